package admin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"qvmremote/daemon/audit"
	"qvmremote/daemon/claim"
	"qvmremote/daemon/keys"
	"qvmremote/daemon/transport"
	"qvmremote/queue"
)

// Recover answers, in the qubes, what lies there as running although dom0 does
// not work on it: a request that was answered before only loses its mark, one
// whose answer is lost is answered as interrupted, signed where dom0 has its
// claim and its key, and one that dom0 never took is answered with 130 as the
// first version did. A request that is open in dom0 is never touched.
func (a *Admin) Recover(ctx context.Context, vms []string) []QueueReport {
	return a.each(ctx, vms, func(ctx context.Context, conn transport.Conn, q *QueueReport) error {
		var stale []queue.Entry
		// Read after the list: what was taken before it was made is known.
		book, err := a.book(ctx)
		if err != nil {
			return err
		}
		for _, e := range q.Entries {
			if e.Folder != queue.FolderRunning {
				continue
			}
			if s := book.Lookup(q.VM, e.Name); s == claim.Open || s == claim.Final {
				q.Skipped++
				continue
			}
			stale = append(stale, e)
		}
		if len(stale) == 0 {
			return nil
		}
		past, err := a.past(ctx, q.VM, stale)
		if err != nil {
			return err
		}
		var records []audit.Record
		for _, e := range stale {
			f := past[e.Name]
			f.delivered = f.delivered || q.answered(e.Name)
			r, failed := a.settle(ctx, conn, q.VM, e, f)
			if failed != nil {
				err = fmt.Errorf("%s: %w", e.Name, failed)
				break
			}
			q.Done = append(q.Done, e.Name)
			records = append(records, r)
		}
		if len(records) == 0 {
			return err
		}
		_, unrecorded := a.record(context.WithoutCancel(ctx), records...)
		return errors.Join(err, unrecorded)
	})
}

// fate is what the log says of a request that is not open.
type fate struct {
	claim     audit.Record
	claimed   bool
	delivered bool // the qube took its answer
}

// past searches the whole log: claims are forgotten, records are not.
func (a *Admin) past(ctx context.Context, vm string, stale []queue.Entry) (map[string]fate, error) {
	past := map[string]fate{}
	for _, e := range stale {
		past[e.Name] = fate{}
	}
	err := audit.Read(ctx, a.Root.Audit(), 0, func(r audit.Record, _ []byte) error {
		f, wanted := past[r.ID]
		if !wanted || r.Qube != vm {
			return nil
		}
		switch r.Event {
		case audit.Claim:
			f = fate{claim: r, claimed: true}
		case audit.Delivered:
			f.delivered = r.Checkpoint != "" && r.Detail == ""
		}
		past[r.ID] = f
		return nil
	})
	return past, err
}

// answered reports whether the answer to id lies in the queue: it must not be
// written over.
func (q *QueueReport) answered(id string) bool {
	return slices.ContainsFunc(q.Entries, func(e queue.Entry) bool {
		return e.Folder == queue.FolderResults && (e.Name == id+queue.Exit || e.Name == id+queue.Denied)
	})
}

const recovered = "qvm-remote-dom0: command recovered (manual queue recover)\n"

// settle answers one request, or takes its mark away, and says so for the log.
func (a *Admin) settle(ctx context.Context, conn transport.Conn, vm string, e queue.Entry, f fate) (audit.Record, error) {
	r := audit.Record{Event: audit.Recovered, Qube: vm, ID: e.Name, Number: f.claim.Number}
	if f.delivered {
		r.Detail = "it had its answer; only the mark in the qube was removed"
		return r, remove(ctx, conn, e)
	}
	m := a.interruption(vm, e.Name, f)
	r.Detail = "answered as interrupted, exit " + m.Exit
	if len(m.Auth) == 0 {
		r.Detail += ", not signed"
	}
	if conn.Live() {
		if err := conn.Write(ctx, e.Name, queue.Stderr, 0, []byte(recovered)); err != nil {
			return r, err
		}
	}
	return r, conn.Finish(ctx, m, strings.NewReader(""), strings.NewReader(recovered))
}

// interruption is the answer to a request whose own is lost.
func (a *Admin) interruption(vm, id string, f fate) *queue.Finish {
	m := &queue.Finish{ID: id, ErrSize: int64(len(recovered)), Exit: fmt.Sprint(queue.ExitCancelled)}
	if f.claimed && f.claim.Version >= 2 {
		m.Exit = fmt.Sprint(queue.ExitInterrupted)
	}
	now := a.Now()
	m.Meta = []byte("id=" + id + "\nrecovered=" + now.Format("2006-01-02T15:04:05") + "\nduration_ms=0\nexit_code=" + m.Exit + "\n")
	m.Log = "[" + now.Format("2006-01-02T15:04:05") + "] id=" + id + " exit=" + m.Exit + " recovered"
	if key, err := a.keyOf(vm, f.claim.Key); err == nil && f.claimed {
		request, err := queue.ParseDigest(f.claim.Request)
		if err != nil {
			return m
		}
		res := queue.Result{ID: id, Qube: vm, Request: request, State: queue.StateInterrupted, Exit: queue.ExitInterrupted,
			Out: queue.SumOf(nil), Err: queue.SumOf([]byte(recovered))}
		m.Auth = res.Sign(key.ResultKey())
	}
	return m
}

// keyOf is the key of vm with that fingerprint, if vm still has it.
func (a *Admin) keyOf(vm, fingerprint string) (queue.Key, error) {
	s, err := keys.Open(a.Root.Keys())
	if err != nil {
		return queue.Key{}, err
	}
	held, err := s.Get(vm)
	if err != nil {
		return queue.Key{}, err
	}
	for _, k := range []queue.Key{held.Current, held.Next} {
		if !k.IsZero() && k.Fingerprint() == fingerprint {
			return k, nil
		}
	}
	return queue.Key{}, errors.New("that key is gone")
}
