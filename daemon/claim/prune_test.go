package claim

import (
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"qvmremote/daemon/audit"
)

// grown is a book whose state may be too large for the log.
type grown struct {
	*Book
	tooLarge bool
}

func (g *grown) Carry() (json.RawMessage, int64) {
	state, oldest := g.Book.Carry()
	if g.tooLarge {
		state, _ = json.Marshal(strings.Repeat("x", 33<<20))
	}
	return state, oldest
}

// TestAPrunedClaimLeavesItsFloor: also where the claim was forgotten since the
// newest segment was begun, so that its floor is in no record yet: because no
// further segment can be begun, or because the clock jumped ahead by years and
// everything happens on the one wrong day.
func TestAPrunedClaimLeavesItsFloor(t *testing.T) {
	t.Parallel()
	t.Run("no new segment", func(t *testing.T) { pruneAfterForgetting(t, 20*time.Hour, 80*time.Hour, true) })
	t.Run("a clock that jumped", func(t *testing.T) { pruneAfterForgetting(t, 3*365*24*time.Hour, time.Minute, false) })
}

func pruneAfterForgetting(t *testing.T, untilSegment, untilPrune time.Duration, tooLarge bool) {
	now := noon
	dir := filepath.Join(t.TempDir(), "audit")
	o := audit.Options{Now: func() time.Time { return now }, MaxAge: 48 * time.Hour, MinAge: time.Hour, Reserve: -1}
	b := &grown{Book: NewBook()}
	l, err := audit.Open(context.Background(), dir, o, b)
	if err != nil {
		t.Fatal(err)
	}
	add := func(r audit.Record) {
		t.Helper()
		if _, err := l.Update(context.Background(), func(tx *audit.Tx) error { tx.Add(r); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	add(audit.Record{Event: audit.Floor, Qube: "work", Key: "k", Floor: 1})
	x := claimOf("work", "x", "k", now.Unix(), 1)
	add(x)
	add(after(x, audit.Delivered))
	now = now.Add(untilSegment)
	add(audit.Record{Event: audit.Started}) // a new day, a new segment; the claim is still held
	now = now.Add(untilPrune)
	b.Forget(now)
	b.tooLarge = tooLarge
	if err := errors.Join(l.Prune(context.Background()), l.Close()); err != nil {
		t.Fatal(err)
	}
	c := NewBook()
	l, err = audit.Open(context.Background(), dir, o, c)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if floor, _ := c.Floor("work", "k"); c.Lookup("work", "x") == Unknown && floor <= x.Issued {
		t.Error("a claim was forgotten without a floor")
	}
}
