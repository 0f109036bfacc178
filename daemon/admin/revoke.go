package admin

import (
	"context"
	"errors"
	"fmt"

	"qvmremote/daemon/audit"
	"qvmremote/daemon/keys"
	"qvmremote/queue"
)

// Revoke takes the key of vm away, with a second one that waits. From then on
// each request of vm is denied; vm stays in the list of qubes. The error is
// [keys.ErrNoKey] when there was no key. With any other error c.Changed tells
// whether the key is gone.
func (a *Admin) Revoke(ctx context.Context, vm string) (c Change, err error) {
	c = a.change(vm)
	if err := checkName(vm); err != nil {
		return c, err
	}
	s, unlock, err := a.keystore(ctx)
	if err != nil {
		return c, err
	}
	defer unlock()
	err = a.revoke(ctx, s, &c)
	return c, err
}

// revoke removes the key whatever becomes of the record: a full disk must not
// keep a qube authorised.
func (a *Admin) revoke(ctx context.Context, s *keys.Store, c *Change) error {
	held, err := s.Get(c.VM)
	if errors.Is(err, keys.ErrNoKey) {
		return errors.Join(err, s.Remove(c.VM)) // what a crash left beside it
	}
	if !held.Current.IsZero() {
		c.Fingerprint = held.Current.Fingerprint()
	}
	l, err := a.ledger(ctx, s)
	if err == nil {
		err = errors.Join(l.remove(ctx, s, c), l.close())
		c.Warnings = append(c.Warnings, l.odd...)
	}
	if err == nil {
		return nil
	}
	if !c.Changed {
		if rerr := removeTwice(s, c.VM); rerr != nil {
			return errors.Join(rerr, err)
		}
		c.Changed = true
	}
	return fmt.Errorf("the key of %s is gone, but that could not be recorded: %w", c.VM, err)
}

// remove removes the key with the log's lock held: the executor promotes a
// second key under that lock, and must not do so in the middle.
func (l *ledger) remove(ctx context.Context, s *keys.Store, c *Change) error {
	return l.write(ctx, func() ([]audit.Record, error) {
		if err := s.Remove(c.VM); err != nil {
			return nil, err
		}
		c.Changed = true
		return []audit.Record{{Event: audit.Revoked, Qube: c.VM, Key: c.Fingerprint}}, nil
	})
}

// removeTwice removes the key without the log's lock. An executor that was
// about to promote a second key can do so between the two, not after.
func removeTwice(s *keys.Store, vm string) error {
	return errors.Join(s.Remove(vm), s.Remove(vm))
}

// Rotate stores key as the second key of vm. Both count until the new one is
// first used; then the old one is dead. The error is [keys.ErrNoKey] when vm
// has no key to replace.
func (a *Admin) Rotate(ctx context.Context, vm string, key queue.Key) (c Change, err error) {
	c = a.change(vm)
	if err := checkName(vm); err != nil {
		return c, err
	}
	if key.IsZero() {
		return c, queue.ErrKey
	}
	c.Fingerprint = key.Fingerprint()
	s, unlock, err := a.keystore(ctx)
	if err != nil {
		return c, err
	}
	defer unlock()
	held, err := s.Get(vm)
	if err != nil {
		return c, err
	}
	if held.Current.Equal(key) {
		return c, refused("%s has this key already; make a new one, in the qube: qvm-remote key gen", vm)
	}
	l, err := a.ledger(ctx, s)
	if err != nil {
		return c, fmt.Errorf("nothing was changed: %w", err)
	}
	err = l.rotate(ctx, s, held, key, &c)
	c.Warnings = append(c.Warnings, l.odd...)
	return c, errors.Join(err, l.close())
}

func (l *ledger) rotate(ctx context.Context, s *keys.Store, held keys.Held, key queue.Key, c *Change) error {
	err := l.write(ctx, func() ([]audit.Record, error) {
		if err := l.isFree(s, c.VM, key); err != nil {
			return nil, err
		}
		if held.Meta.Legacy {
			if err := l.makeUsed(c, keys.Meta{}, false); err != nil {
				return nil, err
			}
		}
		if _, known := l.book.Floor(c.VM, c.Fingerprint); known && held.Next.Equal(key) {
			return nil, nil
		}
		c.Changed = true
		r := audit.Record{Event: audit.Rotating, Qube: c.VM, Key: c.Fingerprint, Floor: l.floor(c.VM, key, held.Next.Equal(key))}
		if !held.Next.IsZero() && !held.Next.Equal(key) {
			r.Detail = "instead of " + held.Next.Fingerprint() + ", which was never used"
		}
		return []audit.Record{r}, nil
	})
	if err != nil {
		return fmt.Errorf("nothing was changed: %w", err)
	}
	if !c.Changed {
		return nil
	}
	return s.PutNext(c.VM, key)
}

// CancelRotation drops the second key of vm. The error is [keys.ErrNoNext]
// when none waits; it may have been used in the meantime.
func (a *Admin) CancelRotation(ctx context.Context, vm string) (c Change, err error) {
	c = a.change(vm)
	if err := checkName(vm); err != nil {
		return c, err
	}
	s, unlock, err := a.keystore(ctx)
	if err != nil {
		return c, err
	}
	defer unlock()
	l, err := a.ledger(ctx, s)
	if err != nil {
		return c, fmt.Errorf("nothing was changed: %w", err)
	}
	err = l.write(ctx, func() ([]audit.Record, error) {
		// Under the log's lock, where it is decided whether it was used.
		held, err := s.Get(vm)
		if err != nil {
			return nil, err
		}
		if held.Next.IsZero() && held.NextErr == nil {
			return nil, fmt.Errorf("%s: %w", vm, keys.ErrNoNext)
		}
		if !held.Next.IsZero() {
			c.Fingerprint = held.Next.Fingerprint()
		}
		if err := s.RemoveNext(vm); err != nil {
			return nil, err
		}
		c.Changed = true
		return []audit.Record{{Event: audit.Revoked, Qube: vm, Key: c.Fingerprint, Detail: "the second key, before its first use"}}, nil
	})
	c.Warnings = append(c.Warnings, l.odd...)
	return c, errors.Join(err, l.close())
}
