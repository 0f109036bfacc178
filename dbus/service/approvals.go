package service

import (
	"context"
	"time"

	"qvmremote/daemon"
	"qvmremote/dbus"
)

// approved is something that was approved beyond one request.
type approved struct {
	Number      uint64
	Qube        string
	Hash        string // "" is any
	Left, Count uint64 // seconds, requests; 0 is no such end
	Who, Way    string
}

func (m manager) approver() (*daemon.Executor, error) {
	if x := m.s.executor.Load(); x != nil {
		return x, nil
	}
	return nil, fail(dbus.Refused, "%s", "the executor alone knows what is approved, and it is stopped; start it, or revoke the qube's key")
}

// ListApprovals is what was approved and still counts.
func (m manager) ListApprovals(context.Context, caller) ([]approved, error) {
	x, err := m.approver()
	if err != nil {
		return nil, err
	}
	out := []approved{}
	for _, g := range x.Approvals() {
		a := approved{Number: uint64(g.Number), Qube: g.Qube, Hash: g.Hash, Who: clip(g.Who), Way: clip(g.Way)}
		if g.Counted {
			a.Count = uint64(g.Left)
		}
		if left, ok := x.Left(g.End); ok {
			a.Left = uint64((left + time.Second - 1) / time.Second)
		}
		out = append(out, a)
	}
	return out, nil
}

// RevokeApprovals takes that back.
func (m manager) RevokeApprovals(ctx context.Context, c caller, vm string, number uint64) (uint32, error) {
	x, err := m.approver()
	if err != nil {
		return 0, err
	}
	n, err := x.RevokeApprovals(ctx, vm, int64(min(number, 1<<62)), c.who, "dbus")
	return uint32(n), err
}
