package service

import (
	"context"
	"maps"
	"time"

	godbus "github.com/godbus/dbus/v5"

	"qvmremote/daemon/admin"
	"qvmremote/dbus"
	"qvmremote/queue"
)

// manager has one Go method for each of org.qvmremote1.Manager, and no other.
// When one is called the gate has let the caller pass.
type manager struct{ s *Service }

// Subscribe keeps the service for the caller.
func (m manager) Subscribe(ctx context.Context, c caller) error {
	if err := m.s.clients.subscribe(ctx, c.sender); err != nil {
		return err
	}
	m.s.objects.look.askSoon()
	return nil
}

// Unsubscribe ends that.
func (m manager) Unsubscribe(_ context.Context, c caller) error {
	m.s.clients.unsubscribe(c.sender)
	return nil
}

// options reads a dictionary of which only the named ones are known, each of
// the type that it is read into.
func options(given map[string]godbus.Variant, known map[string]any) error {
	for name, v := range given {
		// Of exactly this type: Variant.Store would look into further variants.
		kind, ok := "", false
		switch into := known[name].(type) {
		case nil:
			return fail(dbus.InvalidArgument, "there is no option %s here", quoted(name))
		case *bool:
			kind = "true or false"
			*into, ok = v.Value().(bool)
		case *string:
			kind = "a text"
			*into, ok = v.Value().(string)
		case *uint64:
			kind = "a number (t)"
			*into, ok = v.Value().(uint64)
			if ok && *into == 0 { // not to be taken for one that is without an end
				return fail(dbus.InvalidArgument, "the option %s is 0; leave it out for none", quoted(name))
			}
		}
		if !ok {
			return fail(dbus.InvalidArgument, "the option %s takes %s", quoted(name), kind)
		}
	}
	return nil
}

// authorization is what an authorisation may be told, beside flags that only
// one method has.
type authorization struct {
	terms         admin.Terms
	seconds       uint64
	count         uint64
	policy, rules string
}

func (o *authorization) options() map[string]any {
	t := &o.terms
	return map[string]any{"replace": &t.Replace, "policy": &o.policy, "rules": &o.rules, "replace-rules": &t.ReplaceRules,
		"for": &o.seconds, "count": &o.count, "until-reboot": &t.Limit.UntilReboot}
}

// read reads the options; others are known to the method alone.
func (o *authorization) read(given map[string]godbus.Variant, others map[string]any) (admin.Terms, error) {
	known := o.options()
	maps.Copy(known, others)
	if err := options(given, known); err != nil {
		return o.terms, err
	}
	words := map[string]string{"": o.rules, "allow": admin.RulesAllow, "ask": admin.RulesAsk, "deny": admin.RulesDeny}
	text, ok := words[o.policy]
	if !ok || o.policy != "" && o.rules != "" {
		return o.terms, fail(dbus.InvalidArgument, `the option "policy" is one of allow, ask and deny; the option "rules" is their text; give one of the two`)
	}
	if text == "" {
		text = admin.RulesAsk
	}
	o.terms.Rules = text
	o.terms.Limit.For, o.terms.Limit.Count = secondsOf(o.seconds), int64(min(o.count, 1<<62))
	return o.terms, nil
}

// secondsOf bounds what somebody else says to what a duration holds.
func secondsOf(n uint64) time.Duration { return time.Duration(min(n, 1<<33)) * time.Second }

// AuthorizeQube stores a key that comes through a descriptor.
func (m manager) AuthorizeQube(ctx context.Context, c caller, vm string, fd godbus.UnixFD, opts map[string]godbus.Variant) (string, []string, error) {
	key, err := keyFrom(ctx, fd, m.s.o.Times.Key)
	if err != nil {
		return "", nil, err
	}
	return m.authorize(ctx, c, vm, key, opts)
}

// AuthorizeQubeWithString stores a key that everybody who monitors the bus saw.
func (m manager) AuthorizeQubeWithString(ctx context.Context, c caller, vm, key string, opts map[string]godbus.Variant) (string, []string, error) {
	k, err := queue.ParseKey([]byte(key))
	if err != nil {
		return "", nil, err
	}
	return m.authorize(ctx, c, vm, k, opts)
}

func (m manager) authorize(ctx context.Context, c caller, vm string, key queue.Key, opts map[string]godbus.Variant) (string, []string, error) {
	var connect, legacy bool
	var o authorization
	terms, err := o.read(opts, map[string]any{"connect": &connect, "legacy": &legacy})
	if err != nil {
		return "", nil, err
	}
	terms.Legacy = legacy
	a := m.s.admin(c)
	if connect && !terms.Legacy {
		return m.changed(a.Connect(ctx, vm, key, terms))
	}
	if connect {
		return "", nil, fail(dbus.InvalidArgument, "%s", "a connection leaves as it was whether version 1 is allowed; give only one of \"connect\" and \"legacy\"")
	}
	return m.changed(a.Authorize(ctx, vm, key, terms))
}

// changed publishes what a change of keys came to before its caller learns.
func (m manager) changed(ch admin.Change, err error) (string, []string, error) {
	m.s.objects.look.stale.Store(true)
	m.s.objects.refresh(m.s.life) // it is done, also where the caller has left
	if err != nil {
		return "", nil, err
	}
	return ch.Fingerprint, sentences(ch.Warnings), nil
}

// sentences are never nil and fit to be shown.
func sentences(list []string) []string {
	out := []string{}
	for _, s := range list {
		out = append(out, shown(s))
	}
	return out
}

// GenerateKey makes a key here and places it in the qube.
func (m manager) GenerateKey(ctx context.Context, c caller, vm string, opts map[string]godbus.Variant) (string, []string, error) {
	var o authorization
	terms, err := o.read(opts, nil)
	if err != nil {
		return "", nil, err
	}
	ch, err := m.s.admin(c).Generate(ctx, vm, terms)
	return m.changed(ch, err)
}

// LimitQube changes how long a key counts.
func (m manager) LimitQube(ctx context.Context, c caller, vm string, opts map[string]godbus.Variant) ([]string, error) {
	var limit admin.Limit
	var seconds, count uint64
	if err := options(opts, map[string]any{"for": &seconds, "count": &count, "until-reboot": &limit.UntilReboot}); err != nil {
		return nil, err
	}
	limit.For, limit.Count = secondsOf(seconds), int64(min(count, 1<<62))
	ch, err := m.s.admin(c).Limit(ctx, vm, limit)
	_, warnings, err := m.changed(ch, err)
	return warnings, err
}

// FetchKey tells the fingerprint of the key that a qube has.
func (m manager) FetchKey(ctx context.Context, c caller, vm string) (string, error) {
	key, err := m.s.admin(c).FetchKey(ctx, vm)
	if err != nil {
		return "", err
	}
	return key.Fingerprint(), nil
}

// ConnectQube stores the key that a qube has, if it is still the one that a
// person compared.
func (m manager) ConnectQube(ctx context.Context, c caller, vm, fingerprint string, opts map[string]godbus.Variant) ([]string, error) {
	var o authorization
	terms, err := o.read(opts, nil)
	if err != nil {
		return nil, err
	}
	a := m.s.admin(c)
	key, err := a.FetchKey(ctx, vm)
	if err != nil {
		return nil, err
	}
	if key.Fingerprint() != fingerprint {
		return nil, fail(dbus.KeyChanged, "the key in %s has the fingerprint %s, which is not the one that was compared; compare again", vm, key.Fingerprint())
	}
	ch, err := a.Connect(ctx, vm, key, terms)
	_, warnings, err := m.changed(ch, err)
	return warnings, err
}

// RotateKey stores a second key that comes through a descriptor.
func (m manager) RotateKey(ctx context.Context, c caller, vm string, fd godbus.UnixFD) (string, []string, error) {
	key, err := keyFrom(ctx, fd, m.s.o.Times.Key)
	if err != nil {
		return "", nil, err
	}
	ch, err := m.s.admin(c).Rotate(ctx, vm, key)
	return m.changed(ch, err)
}

// RotateKeyWithString stores a second key that everybody who monitors the bus saw.
func (m manager) RotateKeyWithString(ctx context.Context, c caller, vm, key string) (string, []string, error) {
	k, err := queue.ParseKey([]byte(key))
	if err != nil {
		return "", nil, err
	}
	ch, err := m.s.admin(c).Rotate(ctx, vm, k)
	return m.changed(ch, err)
}

// CancelRotation drops a second key.
func (m manager) CancelRotation(ctx context.Context, c caller, vm string) ([]string, error) {
	ch, err := m.s.admin(c).CancelRotation(ctx, vm)
	_, warnings, err := m.changed(ch, err)
	return warnings, err
}

// RevokeQube takes a qube's keys away.
func (m manager) RevokeQube(ctx context.Context, c caller, vm string, opts map[string]godbus.Variant) ([]string, error) {
	if err := options(opts, nil); err != nil {
		return nil, err
	}
	ch, err := m.s.admin(c).Revoke(ctx, vm)
	_, warnings, err := m.changed(ch, err)
	return warnings, err
}

// DisconnectQube is RevokeQube, and dom0 looks at the qube no more.
func (m manager) DisconnectQube(ctx context.Context, c caller, vm string) (uint32, []string, error) {
	ch, err := m.s.admin(c).Disconnect(ctx, vm)
	_, warnings, err := m.changed(ch, err)
	return uint32(ch.Cleaned), warnings, err
}

// ListQubes are the objects of all qubes.
func (m manager) ListQubes(context.Context, caller) ([]godbus.ObjectPath, error) {
	paths := []godbus.ObjectPath{}
	v := m.s.objects.now.Load()
	for _, name := range sortedKeys(v.qubes) {
		paths = append(paths, dbus.QubePath(name))
	}
	return paths, nil
}

// available is a qube that could be authorised.
type available struct {
	Name, Class, Label, Power, UUID string
	HasKey                          bool
}

// AvailableQubes asks dom0's tools which qubes there are.
func (m manager) AvailableQubes(ctx context.Context, _ caller) ([]available, error) {
	list, err := m.s.objects.look.ask(ctx, askAge)
	if err != nil {
		return nil, err
	}
	v := m.s.objects.now.Load()
	out := []available{}
	for _, q := range list {
		p := v.qubes[q.Name]
		out = append(out, available{q.Name, queue.Escape(q.Class, maxName), queue.Escape(q.Label, maxName), queue.Escape(string(q.State), maxName), q.UUID,
			p != nil && p["KeyState"] != admin.KeyNone})
	}
	return out, nil
}

// command is what the executor works on.
type command struct {
	Number         uint64
	Qube, ID       string
	State          string
	Taken, Started uint64
}

// ListCommands is what the executor works on.
func (m manager) ListCommands(context.Context, caller) ([]command, error) {
	out := []command{}
	if x := m.s.executor.Load(); x != nil {
		for _, r := range x.Commands() {
			out = append(out, command{uint64(r.Number), r.Qube, r.ID, r.State, seconds(r.Since), seconds(r.StartedAt)})
		}
	}
	return out, nil
}

// finding is something that the doctor looked at.
type finding struct{ Level, Text, Next string }

// Doctor looks for what is wrong.
func (m manager) Doctor(ctx context.Context, c caller) ([]finding, error) {
	out := []finding{}
	for _, f := range m.s.admin(c).Doctor(ctx) {
		out = append(out, finding{string(f.Level), shown(f.Text), shown(f.Next)})
	}
	return out, ctx.Err()
}

// at is a time in Unix seconds; 0 is no time at all.
func at(seconds uint64) (time.Time, error) {
	if seconds == 0 {
		return time.Time{}, nil
	}
	if seconds > 1<<40 {
		return time.Time{}, fail(dbus.InvalidArgument, "%d is no time", seconds)
	}
	return time.Unix(int64(seconds), 0), nil
}
