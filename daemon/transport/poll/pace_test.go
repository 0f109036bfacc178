package poll

import (
	"testing"
	"time"
)

// TestManyQubesShareTheLooks: dom0 has no more work with fifty active qubes than
// with two, and none of them is left out.
func TestManyQubesShareTheLooks(t *testing.T) {
	t.Parallel()
	s := NewShare(4, 100*time.Millisecond)
	now := time.Now()
	for i := range 50 {
		if at := s.turn(now); at.Sub(now) != time.Duration(i)*100*time.Millisecond {
			t.Errorf("qube %d looks after %s", i, at.Sub(now))
		}
	}
	later := now.Add(time.Minute)
	if at := s.turn(later); !at.Equal(later) {
		t.Errorf("after a minute of nothing a look waits %s", at.Sub(later))
	}
}

// TestARenewedWayKeepsItsPace: a qube that was idle for long is not looked at
// anew as if something had happened, only because dom0 looked for an agent.
func TestARenewedWayKeepsItsPace(t *testing.T) {
	t.Parallel()
	q := newQube(t)
	q.d.Active = time.Now().Add(-time.Hour)
	c := q.dial()
	if pace := c.pace(time.Now()); pace != q.d.Times.Rest || !c.Active().Equal(q.d.Active) {
		t.Errorf("the pace is %s", pace)
	}
}

// TestPace: fast while something happens, then slower, and at most two calls a
// minute when nothing does, the looks after an agent included.
func TestPace(t *testing.T) {
	t.Parallel()
	times := DefaultTimes()
	c := &conn{d: Dialer{Times: times}, known: map[string]bool{}, open: map[string]bool{}}
	now := time.Now()
	last := time.Duration(0)
	for quiet := time.Duration(0); quiet < 20*time.Minute; quiet += 10 * time.Second {
		c.active = now.Add(-quiet)
		pace := c.pace(now)
		if pace < last || quiet < times.Recent && pace != times.Fast || quiet < times.Idle && pace > times.Slow {
			t.Errorf("after %s the pace is %s", quiet, pace)
		}
		last = pace
	}
	if perHour := time.Hour/last + time.Hour/(10*time.Minute); perHour > 120 {
		t.Errorf("%d calls an hour at rest", perHour)
	}
	c.open["a"] = true
	if pace := c.pace(now); pace != times.Slow {
		t.Errorf("while a command runs the pace is %s", pace)
	}
	delete(c.open, "a")
	c.changes = []*change{{}} // carried for 20 minutes, and never acknowledged
	if pace := c.pace(now); pace != times.Slow {
		t.Errorf("to a qube that acknowledges nothing the pace is %s", pace)
	}
}
