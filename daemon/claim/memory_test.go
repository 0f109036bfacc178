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

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
