package boot

import (
	"testing"
	"time"
)

// clock is a boot of a test's own.
type clock struct{ now time.Duration }

func (c *clock) boot(id string) Clock {
	return Clock{ID: id, Now: func() time.Duration { return c.now }}
}

func TestThisBootHasANameAndGoesOn(t *testing.T) {
	t.Parallel()
	c, err := This()
	if err != nil || c.ID == "" || c.Now() <= 0 {
		t.Fatalf("%+v, %v", c, err)
	}
	again, err := This()
	if err != nil || again.ID != c.ID {
		t.Errorf("the same boot is called %q and %q: %v", c.ID, again.ID, err)
	}
	before := c.Now()
	if after := c.Now(); after < before {
		t.Errorf("it went back from %v to %v", before, after)
	}
}

func TestAnEndComesInItsTimeAndWithTheNextBoot(t *testing.T) {
	t.Parallel()
	now := &clock{now: time.Hour}
	first, second := now.boot("first"), now.boot("second")
	hour, reboot := first.Until(time.Hour), first.UntilReboot()
	if left, ok := first.Left(hour); !ok || left != time.Hour || first.Over(hour) || first.Over(reboot) || first.Over(End{}) {
		t.Fatalf("right after the start: %v %v", left, ok)
	}
	if !second.Over(hour) || !second.Over(reboot) || second.Over(End{}) {
		t.Error("another boot did not end what was to end with this one")
	}
	now.now += time.Hour - 1
	if first.Over(hour) {
		t.Error("it is over too early")
	}
	now.now++
	if left, ok := first.Left(hour); !first.Over(hour) || left != 0 || !ok {
		t.Error("it is not over when its time has come")
	}
	now.now += 1000 * time.Hour
	if first.Over(reboot) {
		t.Error("what a reboot ends was ended by time")
	}
	if _, ok := first.Left(reboot); ok {
		t.Error("somebody knows when the next reboot is")
	}
	if long := first.Until(1<<63 - 1); first.Over(long) {
		t.Error("a very long time is over at once")
	}
}
