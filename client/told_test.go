package client_test

import (
	"testing"
	"time"

	"qvmremote/client"
	"qvmremote/client/dom0test"
)

// TestWaitTellsEarlyWhereNobodyLooks: and only there; a command that takes its
// time is nothing to talk about.
func TestWaitTellsEarlyWhereNobodyLooks(t *testing.T) {
	t.Parallel()
	for _, connected := range []bool{false, true} {
		c := newQube(t)
		c.Waits.Early, c.Waits.Tick = time.Millisecond, time.Hour
		if connected {
			serve(t, c, &dom0test.Dom0{Ignore: true})
		}
		told := 0
		ticket := submit(t, c, client.Request{Script: []byte("x"), Within: time.Second})
		_, err := c.Wait(limited(t), ticket, client.Events{Tick: func(_, _ time.Duration) { told++ }})
		wantError(t, err, client.ErrNotTaken)
		if told == 1 == connected {
			t.Errorf("connected %v: told %d times", connected, told)
		}
	}
}

// TestCutOutput: what was cut is told apart from what only looks so.
func TestCutOutput(t *testing.T) {
	t.Parallel()
	c := newQube(t)
	serve(t, c, &dom0test.Dom0{})
	for script, want := range map[string][2]int64{
		`printf 'abc\n[truncated at 3 bytes]\n' >&2`:                     {0, 3},
		`printf 'abcd\n[truncated at 3 bytes]\n'`:                        {},
		`printf 'abc\n[truncated at 03 bytes]\n'`:                        {},
		`printf 'abc\n[truncated at 3 bytes]\nd'`:                        {},
		`yes | head -c 200000; printf '\n[truncated at 200000 bytes]\n'`: {200000, 0},
	} {
		o, err := c.Wait(limited(t), submit(t, c, client.Request{Script: []byte(script)}), client.Events{})
		if got := [2]int64{o.CutOut, o.CutErr}; err != nil || got != want {
			t.Errorf("%s: %v, %v; want %v", script, got, err, want)
		}
	}
}
