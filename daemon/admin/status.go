package admin

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"time"

	"qvmremote/daemon"
	"qvmremote/daemon/keys"
	"qvmremote/daemon/policy"
	"qvmremote/daemon/qubes"
	"qvmremote/queue"
)

// The states of a key.
const (
	KeyGood     = "good"
	KeyRotating = "rotating" // a second one waits for its first use
	KeyBad      = "unusable" // Problem says why
	KeyNone     = "none"
)

// Key is what is stored for one qube. It never holds the key itself.
type Key struct {
	VM          string    `json:"vm"`
	State       string    `json:"state"`
	Fingerprint string    `json:"fingerprint,omitempty"`
	Next        string    `json:"next,omitempty"`      // fingerprint of the second key
	Authorised  time.Time `json:"authorised,omitzero"` // not known for a key placed by hand
	Configured  bool      `json:"configured"`          // dom0 looks at the qube
	Unsure      bool      `json:"unsure,omitempty"`    // the settings are broken: Configured says nothing
	Problem     string    `json:"problem,omitempty"`   // and how to mend it
	UUID        string    `json:"uuid,omitempty"`      // of the qube that was authorised
	Legacy      bool      `json:"legacy,omitempty"`    // version 1 is allowed for it: insecure
	ByHand      bool      `json:"by_hand,omitempty"`   // placed without authorize, and not seen by the daemon yet

	// How long it counts. A time ends with the boot as well.
	Until       time.Time `json:"until,omitzero"`         // by dom0's clock now
	UntilReboot bool      `json:"until_reboot,omitempty"` // the reboot alone ends it, or Count does
	Count       int64     `json:"count,omitempty"`        // commands it was authorised for, 0 for any number
	Left        int64     `json:"left,omitempty"`         // of those
	Ended       bool      `json:"ended,omitempty"`        // by time, count, or a reboot: each request is denied
	Suspended   time.Time `json:"suspended,omitzero"`     // since when nothing of the qube is taken

	Rules string `json:"rules,omitempty"` // "none", or why they cannot be used: each request is denied
}

// Keys lists the keys, by qube.
func (a *Admin) Keys(context.Context) ([]Key, error) {
	s, err := keys.Open(a.Root.Keys())
	if err != nil {
		return nil, err
	}
	names, err := s.List()
	if err != nil {
		return nil, err
	}
	set, _, broken := a.source().Load()
	list := make([]Key, 0, len(names))
	for _, vm := range names {
		k := describe(s, vm)
		if k.State != KeyBad && k.State != KeyNone {
			a.describeTerms(s, &k)
		}
		k.Legacy = k.Legacy || broken == nil && set.Legacy
		k.Configured, k.Unsure = broken == nil && slices.Contains(set.VMs, vm), broken != nil
		list = append(list, k)
	}
	return list, nil
}

func describe(s *keys.Store, vm string) Key {
	held, err := s.Get(vm)
	if errors.Is(err, keys.ErrNoKey) {
		return Key{VM: vm, State: KeyNone}
	}
	if err != nil {
		return Key{VM: vm, State: KeyBad, Problem: err.Error()}
	}
	k := Key{VM: vm, State: KeyGood, Fingerprint: held.Current.Fingerprint(), UUID: held.Meta.UUID,
		Legacy: held.Meta.Legacy, ByHand: !held.HasMeta}
	if held.Meta.Authorised > 0 {
		k.Authorised = time.Unix(held.Meta.Authorised, 0).UTC()
	}
	if !held.Next.IsZero() {
		k.State, k.Next = KeyRotating, held.Next.Fingerprint()
	}
	if held.NextErr != nil {
		k.Problem = "the second key cannot be used: " + held.NextErr.Error()
	}
	return k
}

// NoRules is what Key.Rules says where there is no file of them.
const NoRules = "none"

// describeTerms adds for how long the key counts, and what its rules are.
func (a *Admin) describeTerms(s *keys.Store, k *Key) {
	held, err := s.Get(k.VM)
	clock, cerr := a.boot()
	if err != nil || cerr != nil {
		return
	}
	m := held.Meta
	k.Count, k.Left = m.Count, m.Left()
	k.Ended = m.Over(clock) || m.Count > 0 && k.Left == 0
	if left, ok := clock.Left(m.End); !m.End.IsZero() && !k.Ended {
		k.UntilReboot = !ok
		if ok {
			k.Until = time.Unix(m.Until, 0).UTC()
			// Unless the wall clock was moved since, what was told then is the same.
			if by := a.Now().Add(left); by.Sub(k.Until).Abs() > 5*time.Second {
				k.Until = by.UTC().Truncate(time.Second)
			}
		}
	}
	if m.Suspended != 0 {
		k.Suspended = time.Unix(m.Suspended, 0).UTC()
	}
	_, err = policy.Load(a.Root.Keys(), k.VM)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		k.Rules = NoRules
	case err != nil:
		k.Rules = err.Error()
	}
}

// QubeLine is one qube in [Status].
type QubeLine struct {
	Name       string `json:"name"`
	Configured bool   `json:"configured"`
	Key        string `json:"key"` // as Key.State
	Power      string `json:"power"`
	Connection string `json:"connection"`          // as the daemon says; "" when none runs
	Transport  string `json:"transport,omitempty"` // while it is connected: stream, qrexec or poll
	Running    int    `json:"running"`
	Open       int    `json:"open"`
	Refused    int64  `json:"refused"`
	Legacy     bool   `json:"legacy,omitempty"` // version 1 is allowed for it: insecure
	Terms      Key    `json:"terms,omitzero"`   // of its key: how long it counts, its rules
}

// Status is how dom0's side is.
type Status struct {
	Version   string          `json:"version"`
	Running   bool            `json:"running"` // the executor
	Pid       int             `json:"pid,omitempty"`
	Since     time.Time       `json:"since,omitzero"`
	DryRun    bool            `json:"dry_run,omitempty"`
	Paused    string          `json:"paused,omitempty"` // as [Admin.Paused]
	Autostart string          `json:"autostart"`        // systemd's word, "" where it cannot tell
	Config    string          `json:"config"`
	KeysDir   string          `json:"keys_dir"`
	Log       string          `json:"log"`
	Audit     string          `json:"audit"`
	Unsure    bool            `json:"unsure,omitempty"` // the settings are broken: nobody knows which qubes are configured
	Qubes     []QubeLine      `json:"qubes"`
	Problems  []string        `json:"problems,omitempty"` // of settings and keys
	Health    []daemon.Health `json:"health,omitempty"`   // as the daemon says
}

// Status looks at everything without changing anything.
func (a *Admin) Status(ctx context.Context) (Status, error) {
	st := Status{Version: queue.Version, Config: a.Root.Config(), KeysDir: a.Root.Keys(), Log: a.Root.Log(), Audit: a.Root.Audit(),
		Paused: a.Paused(), Autostart: a.Autostart(ctx)}
	_, warnings, err := a.source().Load()
	if err != nil {
		st.Problems, st.Unsure = append(st.Problems, err.Error()), true
	}
	for _, w := range warnings {
		st.Problems = append(st.Problems, w.String())
	}
	st.Pid, st.Running = executor(a.Root.ExecutorLock())
	if st.Qubes, err = a.qubes(ctx); err != nil {
		return st, err
	}
	if st.Running {
		a.ask(&st)
	}
	a.power(ctx, st.Qubes)
	return st, nil
}

// ask adds what the executor tells of itself.
func (a *Admin) ask(st *Status) {
	told, err := daemon.ReadStatus(a.Root.Status())
	if err != nil {
		st.Problems = append(st.Problems, "the daemon runs, but cannot be asked: "+err.Error())
		return
	}
	st.Pid, st.Since, st.DryRun, st.Health = told.Pid, told.Since, told.DryRun, told.Health
	for _, q := range told.Qubes {
		i := slices.IndexFunc(st.Qubes, func(l QubeLine) bool { return l.Name == q.Name })
		if i < 0 { // given with --vm
			st.Qubes = append(st.Qubes, QubeLine{Name: q.Name, Key: KeyNone})
			i = len(st.Qubes) - 1
		}
		l := &st.Qubes[i]
		l.Connection, l.Transport, l.Running, l.Open, l.Refused = q.State, q.Transport, q.Running, q.Open, q.Refused
	}
}

// qubes lists who is configured, in that order, then who only has a key.
func (a *Admin) qubes(ctx context.Context) ([]QubeLine, error) {
	known, err := a.Keys(ctx)
	if err != nil {
		return nil, err
	}
	lines := []QubeLine{}
	for _, vm := range a.usable().VMs {
		lines = append(lines, QubeLine{Name: vm, Configured: true, Key: KeyNone})
	}
	for _, k := range known {
		i := slices.IndexFunc(lines, func(l QubeLine) bool { return l.Name == k.VM })
		if i < 0 {
			lines = append(lines, QubeLine{Name: k.VM})
			i = len(lines) - 1
		}
		lines[i].Key, lines[i].Legacy, lines[i].Terms = k.State, k.Legacy, k
	}
	return lines, nil
}

// power asks for the states, at the same time where each must be asked alone.
func (a *Admin) power(ctx context.Context, lines []QubeLine) {
	qubes.Each(len(lines), func(i int) {
		state, err := a.Tools.State(ctx, lines[i].Name, 5*time.Second)
		switch {
		case err != nil:
			lines[i].Power = "unknown"
		case state == "":
			lines[i].Power = "not running"
		default:
			lines[i].Power = string(state)
		}
	})
}
