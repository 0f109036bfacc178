package claim

import (
	"runtime"
	"strconv"
	"strings"
	"testing"

	"qvmremote/daemon/audit"
)

// TestClaimsFitIntoMemory: all the claims there may be, each record with
// strings of its own as the log's reader gives them.
func TestClaimsFitIntoMemory(t *testing.T) {
	const most = 96 // bytes a claim
	fingerprint := strings.Repeat("0123 ", 8)
	b := NewBook()
	before := heap()
	for i := range int64(MaxClaims) {
		r := claimOf("work", "20261123-120000-"+strconv.FormatInt(i, 10), strings.Clone(fingerprint), 1000+i/100, i)
		b.Apply(r)
		b.Apply(after(r, audit.Delivered))
	}
	each := (heap() - before) / MaxClaims
	t.Logf("%d bytes a claim", each)
	if b.total != MaxClaims {
		t.Errorf("%d claims held, want %d", b.total, MaxClaims)
	}
	if each > most {
		t.Errorf("a claim takes %d bytes, want at most %d", each, most)
	}
	runtime.KeepAlive(b)
}

// TestOpenRequestsHoldNoTexts: what a qube does not take the answer of is open
// for a week; its script and the ends of its output are in the log, and nothing
// here needs them.
func TestOpenRequestsHoldNoTexts(t *testing.T) {
	b := NewBook()
	for i := range int64(100) {
		r := claimOf("work", "id"+strconv.FormatInt(i, 10), "f", 1000, i)
		b.Apply(r)
		run := after(r, audit.Run)
		run.Command = strings.Repeat("x", 8<<10)
		b.Apply(run)
		final := after(r, audit.Final)
		final.OutHead, final.OutTail, final.ErrHead, final.ErrTail = run.Command, run.Command, run.Command, run.Command
		b.Apply(final)
	}
	state, _ := b.Carry()
	if each := len(state) / 100; each > 1<<10 {
		t.Errorf("an open request takes %d bytes of a carry", each)
	}
	if err := b.Load(state); err != nil || b.All()[0].Run == nil || b.All()[0].Final == nil {
		t.Errorf("that it ran or ended is forgotten: %v", err)
	}
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
