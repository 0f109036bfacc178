package admin

import (
	"context"
	"errors"
	"fmt"
	"time"

	"qvmremote/daemon/audit"
	"qvmremote/daemon/boot"
	"qvmremote/daemon/keys"
	"qvmremote/queue"
)

// Limit is how long, and for how many commands, an authorisation counts. The
// zero Limit is none. Whatever else it says, a time ends with the boot: after a
// reboot only the wall clock could tell how much is left, and dom0 takes that
// from a qube.
type Limit struct {
	For         time.Duration // from now on, in whole seconds
	Count       int64         // commands
	UntilReboot bool
}

// Bounds of a [Limit].
const (
	maxFor   = 366 * 24 * time.Hour
	maxCount = 1_000_000
)

// IsZero reports whether l limits nothing.
func (l Limit) IsZero() bool { return l == Limit{} }

// Check says why nobody is authorised like that.
func (l Limit) Check() error {
	switch {
	case l.For < 0 || l.For > maxFor || l.For%time.Second != 0:
		return refused("an authorisation is for a number of seconds, up to 366 days, not for %v", l.For)
	case l.Count < 0 || l.Count > maxCount:
		return refused("an authorisation is for up to %d commands, not for %d", maxCount, l.Count)
	case l.For > 0 && l.UntilReboot:
		return refused("an authorisation is for a time, or until the reboot; a time ends with the reboot as well")
	}
	return nil
}

// String is for people.
func (l Limit) String() string {
	text := ""
	if l.For > 0 {
		text = "for " + l.For.String() + ", until the reboot at most"
	}
	if l.UntilReboot {
		text = "until the reboot"
	}
	if l.Count > 0 {
		if text != "" {
			text += ", "
		}
		text += fmt.Sprintf("for %d commands", l.Count)
	}
	if text == "" {
		return "without an end"
	}
	return text
}

// into writes the limit, which begins now, into what is known of a qube.
func (l Limit) into(m *keys.Meta, clock boot.Clock, now time.Time) {
	m.End, m.Until, m.Count, m.Spent = boot.End{}, 0, l.Count, 0
	if l.UntilReboot {
		m.End = clock.UntilReboot()
	}
	if l.For > 0 {
		m.End = clock.Until(l.For)
		m.End.At = max(m.End.At.Truncate(time.Second), time.Second)
		m.Until = now.Add(l.For).Unix()
	}
}

// limited reports whether an authorisation has any limit.
func limited(m keys.Meta) bool { return !m.End.IsZero() || m.Until != 0 || m.Count != 0 }

// boot is the clock of the boot that grants are measured by.
func (a *Admin) boot() (boot.Clock, error) {
	if a.Boot.ID != "" {
		return a.Boot, nil
	}
	return boot.This()
}

// Limit changes how long and for how many commands the key of vm counts, from
// now on: longer, shorter, or with the zero Limit without an end. The error is
// [keys.ErrNoKey] when vm has no key.
func (a *Admin) Limit(ctx context.Context, vm string, limit Limit) (c Change, err error) {
	if err := limit.Check(); err != nil {
		return a.change(vm), err
	}
	clock, err := a.boot()
	if err != nil {
		return a.change(vm), err
	}
	return a.remeta(ctx, vm, func(m *keys.Meta) []audit.Record {
		limit.into(m, clock, a.Now())
		return []audit.Record{{Event: audit.Setting, Detail: "its key counts " + limit.String()}}
	})
}

// Readmit has requests of vm taken again after it was suspended. c.Changed is
// not set where it was not.
func (a *Admin) Readmit(ctx context.Context, vm string) (Change, error) {
	return a.remeta(ctx, vm, func(m *keys.Meta) []audit.Record {
		if m.Suspended == 0 {
			return nil
		}
		m.Suspended = 0
		return []audit.Record{{Event: audit.Readmitted}}
	})
}

// adopt is what is recorded of keys that were placed by hand: the floor of each
// that has none. The service takes a key with a meta file but no floor for one of
// another log.
func (l *ledger) adopt(s *keys.Store, vm string, held keys.Held) ([]audit.Record, error) {
	var records []audit.Record
	for _, k := range []queue.Key{held.Current, held.Next} {
		if k.IsZero() {
			continue
		}
		if err := l.isFree(s, vm, k); err != nil {
			return nil, err
		}
		if _, known := l.book.Floor(vm, k.Fingerprint()); !known {
			records = append(records, audit.Record{Event: audit.Floor, Qube: vm, Key: k.Fingerprint(),
				Floor: l.floor(vm, k, false), Detail: "key placed by hand, first seen"})
		}
	}
	return records, nil
}

// remeta records and then stores a change of what is known of a qube beside its
// key. No records are no change.
func (a *Admin) remeta(ctx context.Context, vm string, change func(*keys.Meta) []audit.Record) (c Change, err error) {
	c = a.change(vm)
	if err := checkName(vm); err != nil {
		return c, err
	}
	s, unlock, err := a.keystore(ctx)
	if err != nil {
		return c, err
	}
	defer unlock()
	held, err := s.Get(vm)
	if err != nil {
		return c, err
	}
	c.Fingerprint = held.Current.Fingerprint()
	records := change(&held.Meta)
	if len(records) == 0 {
		return c, nil
	}
	if !held.HasMeta {
		found, err := a.find(ctx, vm)
		if err != nil {
			return c, fmt.Errorf("nothing was changed: %w", err)
		}
		held.Meta.Authorised, held.Meta.UUID = a.Now().Unix(), found.UUID
	}
	l, err := a.ledger(ctx, s)
	if err != nil {
		return c, fmt.Errorf("nothing was changed: %w", err)
	}
	for i := range records {
		records[i].Qube, records[i].Key = vm, c.Fingerprint
	}
	err = l.write(ctx, func() ([]audit.Record, error) {
		if held.HasMeta {
			return records, nil
		}
		first, err := l.adopt(s, vm, held)
		return append(first, records...), err
	})
	if err == nil {
		err = s.PutMeta(vm, held.Meta)
		c.Changed = err == nil
	}
	c.Warnings = append(c.Warnings, l.odd...)
	return c, errors.Join(err, l.close())
}
