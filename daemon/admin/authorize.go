package admin

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"

	"qvmremote/daemon/audit"
	"qvmremote/daemon/burn"
	"qvmremote/daemon/keys"
	"qvmremote/daemon/qubes"
	"qvmremote/queue"
)

// ReplaceError says that a qube has another key, which would be dead at once.
type ReplaceError struct {
	VM       string
	Old, New string // fingerprints
}

func (e *ReplaceError) Error() string {
	return fmt.Sprintf("%s has another key (%s), which would be dead at once; "+
		"to let both count until the new one (%s) is first used: qvm-remote-dom0 rotate %[1]s; to replace it now: --replace", e.VM, e.Old, e.New)
}

// Terms are what a qube is authorised for, beside its key.
type Terms struct {
	Replace bool // another key of the qube is dead at once
	Legacy  bool // version 1, which is insecure, is allowed for the qube
	Limit   Limit

	Rules        string // for a qube that has none; "" is [RulesAllow]
	ReplaceRules bool   // also for one that has

	keep bool // its limit stays as it is
}

// LegacyRisk says what [Terms.Legacy] means.
const LegacyRisk = "version 1 is insecure: such a request does not say what it runs, so whoever can write to the qube's queue chooses that"

// Authorize stores key as the key of vm, with the uuid that the qube has now,
// and adds vm to the list of qubes. Storing the same key on the same terms again
// changes nothing. Another key is a [*ReplaceError] unless the terms replace it.
func (a *Admin) Authorize(ctx context.Context, vm string, key queue.Key, terms Terms) (Change, error) {
	return a.authorize(ctx, vm, key, terms, "")
}

// authorize is Authorize with one more event recorded at its end.
func (a *Admin) authorize(ctx context.Context, vm string, key queue.Key, terms Terms, also audit.Event) (c Change, err error) {
	c = a.change(vm)
	if err := checkName(vm); err != nil {
		return c, err
	}
	if key.IsZero() {
		return c, queue.ErrKey
	}
	if terms.Rules != "" && !strings.HasSuffix(terms.Rules, "\n") {
		terms.Rules += "\n" // a text that was handed over is whole
	}
	if err := errors.Join(terms.Limit.Check(), a.checkRules(vm, terms.Rules)); err != nil {
		return c, err
	}
	c.Fingerprint = key.Fingerprint()
	found, err := a.find(ctx, vm)
	if err != nil {
		return c, err
	}
	if found.Class == "DispVM" {
		c.Warnings = append(c.Warnings, vm+" is disposable: its key goes with it, and so does its name")
	}
	if _, _, err := a.source().Load(); err != nil {
		return c, fmt.Errorf("the settings must be mended first: %w", err)
	}
	s, unlock, err := a.keystore(ctx)
	if err != nil {
		return c, err
	}
	defer unlock()
	held, err := s.Get(vm)
	var file *keys.FileError
	if errors.As(err, &file) {
		c.Warnings = append(c.Warnings, "replaced what could not be trusted: "+file.Error())
	} else if err != nil && !errors.Is(err, keys.ErrNoKey) {
		return c, err
	}
	if also == audit.Connected {
		// A new key changes nothing about that, another qube of that name does.
		terms.Legacy = held.Meta.Legacy && found.UUID == held.Meta.UUID
		terms.keep = held.Current.Equal(key) && terms.Limit.IsZero()
	}
	if terms.Legacy {
		c.Warnings = append(c.Warnings, LegacyRisk)
	}
	if !held.Current.IsZero() && !held.Current.Equal(key) && !terms.Replace {
		return c, &ReplaceError{VM: vm, Old: held.Current.Fingerprint(), New: c.Fingerprint}
	}
	l, err := a.ledger(ctx, s)
	if err != nil {
		return c, fmt.Errorf("nothing was changed: %w", err)
	}
	if err = l.isFree(s, vm, key); err != nil {
		err = fmt.Errorf("nothing was changed: %w", err)
	} else {
		err = l.keyAndRules(ctx, s, held, key, found, terms, &c)
	}
	if err == nil {
		err = l.list(ctx, &c, true)
	}
	if err == nil && also != "" {
		err = l.add(ctx, audit.Record{Event: also, Qube: vm, Key: c.Fingerprint})
	}
	c.Warnings = append(c.Warnings, l.odd...)
	return c, errors.Join(err, l.close())
}

// keyAndRules stores both. The rules come before the key: a key without rules
// only gets denials. New rules are not for the old key, and old ones not for the
// new key.
func (l *ledger) keyAndRules(ctx context.Context, s *keys.Store, held keys.Held, key queue.Key, found qubes.Qube, terms Terms, c *Change) (err error) {
	if held.Current.IsZero() || held.Current.Equal(key) {
		if err = l.rules(ctx, c, terms); err != nil {
			return err
		}
		return l.store(ctx, s, held, key, found, terms, c)
	}
	var shut bool     // everything is denied until it has its new key,
	var former []byte // before which it had these rules
	if terms.ReplaceRules {
		if shut, former, err = l.shut(ctx, c); err != nil {
			return err
		}
	}
	err = l.store(ctx, s, held, key, found, terms, c)
	switch {
	case err != nil && shut:
		return l.reopen(ctx, s, c, held, former, err)
	case err != nil:
		return err
	}
	return l.newRules(ctx, c, terms, shut)
}

// store records the authorisation and then stores the key.
func (l *ledger) store(ctx context.Context, s *keys.Store, held keys.Held, key queue.Key, found qubes.Qube, terms Terms, c *Change) error {
	same := held.Current.Equal(key) && !key.IsZero()
	clock, err := l.a.boot()
	if err != nil {
		return err
	}
	asBefore := same && held.HasMeta && (found.UUID == "" || found.UUID == held.Meta.UUID)
	relimit := !terms.keep && (!terms.Limit.IsZero() || limited(held.Meta))
	changed := false
	err = l.write(ctx, func() ([]audit.Record, error) {
		if err := l.isFree(s, c.VM, key); err != nil {
			return nil, err
		}
		_, known := l.book.Floor(c.VM, c.Fingerprint)
		if asBefore && known && !relimit && held.Meta.Legacy == terms.Legacy && held.Next.IsZero() && held.NextErr == nil {
			return nil, nil
		}
		changed, c.Changed = true, true
		r := audit.Record{Event: audit.Authorized, Qube: c.VM, Key: c.Fingerprint, Floor: l.floor(c.VM, key, same && held.HasMeta)}
		if !held.Current.IsZero() && !same {
			r.Detail = "replaces " + held.Current.Fingerprint()
		}
		if relimit {
			r.Detail = strings.TrimPrefix(r.Detail+"; ", "; ") + terms.Limit.String()
		}
		if terms.Legacy {
			r.Version = 1
			if err := l.makeUsed(c, held.Meta, same); err != nil {
				return nil, err
			}
		}
		return []audit.Record{r}, nil
	})
	if err != nil {
		return fmt.Errorf("nothing was changed: %w", err)
	}
	if !changed {
		return nil
	}
	meta := keys.Meta{}
	if asBefore {
		meta = held.Meta
	} else {
		meta.UUID = found.UUID
	}
	meta.Authorised, meta.Record, meta.Legacy = l.a.Now().Unix(), l.last, terms.Legacy
	if same {
		meta.Used = held.Meta.Used
	}
	switch {
	case relimit:
		terms.Limit.into(&meta, clock, l.a.Now())
	case same: // also where the qube is another by now
		meta.End, meta.Until, meta.Count, meta.Spent = held.Meta.End, held.Meta.Until, held.Meta.Count, held.Meta.Spent
	}
	return s.Put(c.VM, key, meta)
}

// makeUsed makes the list of used version-1 ids, unless it has to be there and
// is not: then only a new key helps, for the old one's tokens are good for ever.
func (l *ledger) makeUsed(c *Change, meta keys.Meta, same bool) error {
	dir, used := l.a.Root.Legacy(), l.book.Legacy(c.VM, c.Fingerprint)
	if used == 0 && !(same && (meta.Legacy || meta.Used == burn.Name(c.Fingerprint))) {
		return burn.Create(dir, c.VM, c.Fingerprint)
	}
	if err := burn.Check(dir, c.VM, c.Fingerprint, used); err != nil {
		return refused("%v; make one, in that qube: qvm-remote key gen", err)
	}
	return nil
}

// isFree refuses a key that another qube has or had: its requests would be
// good here, too.
func (l *ledger) isFree(s *keys.Store, vm string, key queue.Key) error {
	owner, err := s.Owner(key, vm)
	if err != nil {
		return err
	}
	if owner != "" {
		return refused("this is the key of %s; make one for %s, in that qube: qvm-remote key gen", owner, vm)
	}
	if holder, ok := l.book.Holder(key.Fingerprint(), vm); ok {
		return refused("this was the key of %s; make one for %s, in that qube: qvm-remote key gen", holder, vm)
	}
	return nil
}

// list adds the qube to the settings' list, or takes it out, and records that.
func (l *ledger) list(ctx context.Context, c *Change, add bool) error {
	edit, did := l.a.source().RemoveVM, "removed"
	if add {
		edit, did = l.a.source().AddVM, "added"
	}
	changed, warnings, err := edit(c.VM)
	if err != nil {
		return fmt.Errorf("%s could not be %s in %s: %w", c.VM, did, c.Config, err)
	}
	for _, w := range warnings {
		c.Warnings = append(c.Warnings, w.String())
	}
	if set, _, err := l.a.source().Load(); err == nil {
		c.VMs = slices.Clone(set.VMs)
	}
	if !changed {
		return nil
	}
	c.Changed = true
	return l.add(ctx, audit.Record{Event: audit.Setting, Qube: c.VM, Detail: "QVM_REMOTE_VMS: " + did + " " + c.VM})
}

// find asks dom0's tools for the qube. Where there is no qvm-ls, qvm-check
// alone says whether there is such a qube, and no more is known of it.
func (a *Admin) find(ctx context.Context, vm string) (qubes.Qube, error) {
	unknown := refusedAs(ErrNoQube, "dom0 knows no qube of the name %s; see qvm-ls", vm)
	list, err := a.Tools.List(ctx)
	if errors.Is(err, qubes.ErrNoTool) {
		return qubes.Qube{Name: vm, UUID: a.uuid(ctx, vm)}, a.exists(ctx, vm, unknown)
	}
	if err != nil {
		return qubes.Qube{}, fmt.Errorf("cannot ask which qubes there are: %w", err)
	}
	i := slices.IndexFunc(list, func(q qubes.Qube) bool { return q.Name == vm })
	if i < 0 {
		return qubes.Qube{}, unknown
	}
	if list[i].UUID == "" {
		list[i].UUID = a.uuid(ctx, vm)
	}
	return list[i], nil
}

func (a *Admin) exists(ctx context.Context, vm string, unknown error) error {
	path, err := qubes.Tool(a.Root, "qvm-check")
	if err != nil {
		return err
	}
	_, err = qubes.Output(ctx, qubes.DefaultTimeout, path, vm)
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return unknown
	}
	return err
}

// uuid is "" where dom0's tools do not tell it: then the name alone counts.
func (a *Admin) uuid(ctx context.Context, vm string) string {
	uuid, err := a.Tools.UUID(ctx, vm)
	if err != nil {
		return ""
	}
	return uuid
}
