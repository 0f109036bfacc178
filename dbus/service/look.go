package service

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"qvmremote/daemon"
	"qvmremote/daemon/admin"
	"qvmremote/daemon/keys"
	"qvmremote/daemon/qubes"
	"qvmremote/daemon/settings"
	"qvmremote/dbus"
	"qvmremote/queue"
)

// What PowerState says beside the words of Qubes OS.
const (
	powerUnknown = "unknown"
	powerMissing = "missing"
)

// look gathers what the objects say from where it is decided: the executor,
// the keys, the settings, the audit log, and dom0's tools.
type look struct {
	s     *Service
	stale atomic.Bool // keys or settings must be read again

	keys       []admin.Key // guarded by objects.refreshing, like the next two
	configured []string
	broken     error       // of the settings
	ending     *time.Timer // until a key ceases to count; nil while none does

	mu    sync.Mutex
	power map[string]qubes.Qube // by name; nil while nobody asked
	asked time.Time
}

func newLook(s *Service) *look {
	l := &look{s: s}
	l.stale.Store(true)
	return l
}

// self is the service's own account in records; what it looks at makes none.
var self = caller{who: "root"}

// view looks at everything. It asks no qube and runs no program.
func (l *look) view(ctx context.Context) *view {
	a := l.s.admin(self)
	if l.stale.Swap(false) {
		l.read(ctx, a)
	}
	st, state := l.executor(a)
	v := &view{manager: l.s.feed.fill(properties{
		"Version": queue.Version, "Features": features, "State": state, "Since": seconds(st.Since), "Pid": uint32(st.Pid), "DryRun": st.DryRun,
		"StartsAtBoot": l.s.objects.boot.Load(), "Running": uint32(st.Running), "Waiting": uint32(st.Waiting), "Health": l.health(st, a),
	}), qubes: map[string]properties{}}
	if x := l.s.executor.Load(); x != nil {
		v.requests = asking(x.Questions())
	}
	for _, name := range l.names() {
		v.qubes[name] = l.qube(name, st)
	}
	return v
}

// features are what a client may test for.
var features = []string{"approval", "cancel-command", "limit-qube", "list-settings", "pause", "qube-power", "stop-everything"}

// read takes keys and settings in. What cannot be read stays as it was, and the
// health says so.
func (l *look) read(ctx context.Context, a *admin.Admin) {
	if list, err := a.Keys(ctx); err == nil {
		l.keys = list
		l.rereadAtEnd()
	} else {
		l.s.o.Log.Warn("the keys cannot be read", "error", err)
		l.stale.Store(true)
	}
	set, _, err := l.s.source().Load()
	if l.broken = err; err == nil {
		l.configured = set.VMs
	}
}

// executor tells how the executor is, be it in this process, in another that
// could not get the name, or nowhere.
func (l *look) executor(a *admin.Admin) (daemon.Status, string) {
	if x := l.s.executor.Load(); x != nil {
		st := x.Snapshot()
		return st, st.State
	}
	if l.s.executes {
		return daemon.Status{}, dbus.Stopping // until another has the name: whoever reads "stopped" may start the next
	}
	if _, running := a.Executor(); !running {
		return daemon.Status{}, dbus.Stopped
	}
	st, err := daemon.ReadStatus(l.s.o.Root.Status())
	if err != nil || st.State == "" {
		return daemon.Status{}, dbus.Stopping // it has begun and does not tell yet, or has ended and does not any more
	}
	return st, st.State
}

// trouble is one entry of Health.
type trouble struct{ Code, Severity, Title, Text string }

// health is what the executor says, and what shows without one.
func (l *look) health(st daemon.Status, a *admin.Admin) []trouble {
	list := []trouble{}
	add := func(h daemon.Health) {
		if !slices.ContainsFunc(list, func(t trouble) bool { return t.Code == h.Code }) {
			list = append(list, trouble{h.Code, string(h.Severity), h.Title, shown(h.Text)})
		}
	}
	for _, h := range st.Health {
		add(h)
	}
	if a.Paused() != admin.NotPaused {
		add(daemon.NewHealth(daemon.HealthPaused, "no new request is taken, also by an executor that is started, until it is told to go on; from a terminal: qvm-remote-dom0 resume"))
	}
	if l.broken != nil {
		add(daemon.NewHealth(daemon.HealthSettings, l.broken.Error()))
	}
	for _, k := range l.keys {
		if k.State == admin.KeyBad {
			add(daemon.NewHealth(daemon.HealthKey+k.VM, k.Problem))
		}
		if rulesWord(k.Rules) == "broken" {
			add(daemon.NewHealth(daemon.HealthPolicy+k.VM, k.Rules))
		}
	}
	slices.SortFunc(list, func(a, b trouble) int { return cmp.Compare(a.Code, b.Code) })
	return list
}

// names are all qubes that have an object.
func (l *look) names() []string {
	names := slices.Clone(l.configured)
	for _, k := range l.keys {
		names = append(names, k.VM)
	}
	slices.Sort(names)
	return slices.DeleteFunc(slices.Compact(names), func(n string) bool { return !queue.ValidQube(n) })
}

func (l *look) qube(name string, st daemon.Status) properties {
	k := admin.Key{State: admin.KeyNone}
	if i := slices.IndexFunc(l.keys, func(k admin.Key) bool { return k.VM == name }); i >= 0 {
		k = l.keys[i]
	}
	var q daemon.QubeStatus
	if i := slices.IndexFunc(st.Qubes, func(q daemon.QubeStatus) bool { return q.Name == name }); i >= 0 {
		q = st.Qubes[i]
	}
	label, power := l.known(name, q)
	return l.s.feed.fillQube(name, properties{
		"Name": name, "Label": label, "PowerState": power, "Connection": queue.Escape(q.State, maxName), "Transport": q.Transport, "KeyState": k.State,
		"Fingerprint": k.Fingerprint, "NextFingerprint": k.Next, "AuthorizedAt": seconds(k.Authorised), "Legacy": k.Legacy,
		"GrantUntil": seconds(k.Until), "GrantUntilReboot": k.UntilReboot, "GrantCount": uint64(k.Count), "GrantLeft": uint64(k.Left),
		"GrantEnded": k.Ended, "SuspendedAt": seconds(k.Suspended), "Rules": rulesWord(k.Rules),
		"Configured": slices.Contains(l.configured, name), "Running": uint32(q.Running), "Open": uint32(q.Open), "Refused": uint64(q.Refused),
	})
}

// rulesWord is what the property Rules says of [admin.Key].Rules.
func rulesWord(rules string) string {
	switch rules {
	case "":
		return "good"
	case admin.NoRules:
		return "none"
	}
	return "broken"
}

// known is what was last told of the qube: by its connection, by dom0's tools,
// or by the executor, which asks them for qubes that it does not reach.
func (l *look) known(name string, q daemon.QubeStatus) (label, power string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	line, listed := l.power[name]
	switch {
	case q.State == daemon.StateConnected:
		return line.Label, string(qubes.Running)
	case l.power != nil && time.Since(l.asked) < 2*l.s.o.Times.Power:
		if !listed {
			return "", powerMissing
		}
		return line.Label, string(line.State)
	case q.Failing():
		return line.Label, string(qubes.Running)
	case q.State != "" && 'A' <= q.State[0] && q.State[0] <= 'Z': // Qubes OS's own words; the executor's are no power states
		return line.Label, queue.Escape(q.State, maxName)
	}
	return line.Label, powerUnknown
}

// askAge is how old an answer of dom0's tools may be for somebody who asks.
const askAge = time.Second

// ask takes the qubes' labels and power states from dom0's tools, not older
// than age.
func (l *look) ask(ctx context.Context, age time.Duration) ([]qubes.Qube, error) {
	list, err := l.s.tools.Snapshot(ctx, age) // one qvm-ls for all who ask at once
	if err != nil {
		return nil, err
	}
	power := make(map[string]qubes.Qube, len(list))
	for _, q := range list {
		power[q.Name] = q
	}
	l.mu.Lock()
	l.power, l.asked = power, time.Now()
	l.mu.Unlock()
	l.s.objects.touch()
	return list, nil
}

// watch follows keys, settings and, while somebody is subscribed, the qubes.
func (l *look) watch(ctx context.Context) {
	defer l.s.loops.Done()
	var changedKeys <-chan string
	if store, err := keys.Open(l.s.o.Root.Keys()); err != nil {
		l.s.o.Log.Warn("changes of keys by hand will not be seen", "error", err)
	} else if changedKeys, err = store.Watch(ctx); err != nil {
		l.s.o.Log.Warn("changes of keys by hand will not be seen", "error", err)
	}
	updates, err := l.s.source().Watch(ctx, settings.Settings{})
	if err != nil {
		l.s.o.Log.Warn("changes of the settings will not be seen", "error", err)
	}
	changed := make(chan struct{}, 1)
	l.s.tools.Changes(ctx, func(string) {
		select {
		case changed <- struct{}{}:
		default:
		}
	})
	power := time.NewTicker(l.s.o.Times.Power)
	defer power.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case _, ok := <-changedKeys:
			if !ok {
				changedKeys = nil
				continue
			}
			l.reread()
		case _, ok := <-updates:
			if !ok {
				updates = nil
				continue
			}
			l.reread()
		case <-changed:
			l.askForSubscribers()
		case <-power.C:
			l.askForSubscribers()
		}
	}
}

// askForSubscribers asks if anybody wants to know, once at a time, by Snapshot;
// keys and settings do not wait for it.
func (l *look) askForSubscribers() {
	if l.s.owned.Load() && l.s.clients.subscribed() {
		l.askSoon()
	}
}

// follow follows the qubes for a manager; an executor does so itself.
func (s *Service) follow() {
	defer s.loops.Done()
	s.tools.Follow(s.life, s.o.Times.Events, func(err error) {
		switch {
		case err == nil:
			s.o.Log.Info("the qubes' power states are followed")
		case errors.Is(err, qubes.ErrNoEvents):
			s.o.Log.Info("the qubes' power states are asked for", "why", err)
		default:
			s.o.Log.Warn("the qubes' power states are asked for, not followed", "error", err)
		}
	})
}

// askSoon asks beside whoever wants it, for nobody in particular: dom0's tools
// take their time.
func (l *look) askSoon() {
	l.s.loops.Add(1)
	go func() {
		defer l.s.loops.Done()
		if _, err := l.ask(l.s.life, askAge); err != nil && l.s.life.Err() == nil {
			l.s.o.Log.Debug("cannot ask for the qubes", "error", err)
		}
	}()
}

// rereadAtEnd looks again when the first key ceases to count by time.
func (l *look) rereadAtEnd() {
	if l.ending != nil {
		l.ending.Stop()
	}
	var first time.Time
	for _, k := range l.keys {
		if !k.Until.IsZero() && (first.IsZero() || k.Until.Before(first)) {
			first = k.Until
		}
	}
	if !first.IsZero() {
		l.ending = time.AfterFunc(max(time.Until(first), 0)+time.Second, l.reread)
	}
}

func (l *look) reread() {
	l.stale.Store(true)
	l.s.objects.touch()
}

func seconds(t time.Time) uint64 {
	if t.IsZero() {
		return 0
	}
	return uint64(max(t.Unix(), 0))
}

// problem is why the settings are not used, nil when they are.
func (l *look) problem() error {
	l.s.objects.refreshing.Lock()
	defer l.s.objects.refreshing.Unlock()
	return l.broken
}
