package daemon

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"qvmremote/daemon/audit"
	"qvmremote/daemon/keys"
	"qvmremote/queue"
)

// prepare settles the past before any qube is looked at: floors first, then
// what is open.
func (x *Executor) prepare(ctx context.Context) error {
	suspect := x.suspect()
	names, err := x.keys.List()
	if err != nil {
		return fmt.Errorf("cannot list the keys: %w", err)
	}
	for _, name := range names {
		x.unsettled[name] = suspect
	}
	for _, name := range names {
		// What fails here is tried again before a request of the qube counts.
		if err := x.adopt(ctx, name); err != nil {
			x.warn("cannot use a key", "qube", name, "error", err)
		}
	}
	if err := x.takeUp(); err != nil {
		return err
	}
	if err := x.forgetKeys(); err != nil {
		x.warn("cannot clear the spool of old keys", "error", err)
	}
	return nil
}

// suspect reports whether the log may have lost claims.
func (x *Executor) suspect() bool {
	suspect := false
	for _, f := range x.log.Findings() {
		tell := x.warn
		if f.Kind.Severity() == audit.Info {
			tell = x.info
		}
		tell("found in the audit log", "finding", string(f.Kind), "detail", f.Detail)
		suspect = suspect || f.Kind.LosesClaims()
	}
	return suspect
}

// settle raises the floors of a qube's keys, once, above everything a lost log
// could have admitted. A key that has no meta file and is not in the book was
// never used here. One whose first floor came after the log was opened has lost
// nothing: it is asked under the log's lock, since a key is recorded before its
// meta file is written.
func (x *Executor) settle(ctx context.Context, name string, held keys.Held) error {
	x.mu.Lock()
	must := x.unsettled[name]
	x.mu.Unlock()
	if !must {
		return nil
	}
	raised, _, err := x.write(ctx, x.log.Update, func(*audit.Tx) (records []audit.Record, err error) {
		for _, k := range []queue.Key{held.Current, held.Next} {
			if k.IsZero() {
				continue
			}
			_, knows := x.book.Floor(name, k.Fingerprint())
			if slices.Contains(x.knew[name], k.Fingerprint()) || held.HasMeta && !knows {
				records = append(records, audit.Record{Event: audit.Floor, Qube: name, Key: k.Fingerprint(), Way: "daemon",
					Floor: x.book.FloorAfterLoss(x.now()), Detail: "the audit log may have lost claims"})
			}
		}
		return records, nil
	})
	if err != nil {
		return err
	}
	if len(raised) > 0 {
		x.warn("the audit log may have lost claims: what the qube issued before now is refused", "qube", name)
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	delete(x.unsettled, name)
	return nil
}

// adopt gives a key that the book does not know its floor: a key without a
// meta file was placed by hand and begins now; one with a meta file is known
// from a log that is not this one. It is asked before any request counts.
func (x *Executor) adopt(ctx context.Context, name string) error {
	held, err := x.keys.Get(name)
	if errors.Is(err, keys.ErrNoKey) {
		return nil
	}
	if err != nil {
		return err
	}
	return x.adoptHeld(ctx, name, held)
}

// adoptHeld is adopt for keys just read.
func (x *Executor) adoptHeld(ctx context.Context, name string, held keys.Held) error {
	if err := x.settle(ctx, name, held); err != nil {
		return err
	}
	for _, k := range []queue.Key{held.Current, held.Next} {
		if k.IsZero() {
			continue
		}
		if _, known := x.book.Floor(name, k.Fingerprint()); known {
			continue
		}
		// Asked again under the log's lock: whoever authorised the key recorded
		// its floor first, but this book may not have read that yet.
		_, _, err := x.write(ctx, x.log.Update, func(*audit.Tx) ([]audit.Record, error) {
			return x.firstFloor(name, k, held.HasMeta)
		})
		if err != nil {
			return err
		}
	}
	if held.HasMeta {
		return nil
	}
	return x.adoptMeta(ctx, name)
}

// firstFloor is the record for a key that the book does not know.
func (x *Executor) firstFloor(name string, k queue.Key, hasMeta bool) ([]audit.Record, error) {
	if _, known := x.book.Floor(name, k.Fingerprint()); known {
		return nil, nil
	}
	if other, taken := x.book.Holder(k.Fingerprint(), name); taken {
		return nil, fmt.Errorf("the key of %s is or was the key of %s; authorise it with a key of its own", name, other)
	}
	r := audit.Record{Event: audit.Floor, Qube: name, Key: k.Fingerprint(), Way: "daemon",
		Floor: x.now().Add(-queue.ClockSlack).Unix(), Detail: "key placed by hand, first seen"}
	if hasMeta {
		r.Floor, r.Detail = x.now().Add(queue.ClockSlack).Unix(), "key known from another log"
	}
	return []audit.Record{r}, nil
}

// adoptMeta gives a key that was placed by hand its meta file, unless it has
// one by now, or is gone.
func (x *Executor) adoptMeta(ctx context.Context, name string) error {
	uuid := x.qubeOf(name).currentUUID()
	unlock, err := x.keys.Lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	held, err := x.keys.Get(name)
	if errors.Is(err, keys.ErrNoKey) || err == nil && held.HasMeta {
		return nil
	}
	if err != nil {
		return err
	}
	held.Meta.Authorised, held.Meta.UUID = x.now().Unix(), uuid
	if err := x.keys.PutMeta(name, held.Meta); err != nil {
		return err
	}
	if _, err := x.approvals.Revoke(name, 0); err != nil { // a key begins with nothing approved
		x.warn("cannot keep that approvals were taken back with their key", "error", err)
	}
	return nil
}
