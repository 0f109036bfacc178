package e2e

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"qvmremote/daemon/audit"
	"qvmremote/queue"
	"qvmremote/test/sim"
)

// TestManyAtOnce: none lost, none twice.
func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	names := []string{"one", "two", "three"}
	h := newHouse(t, names...)
	h.start()
	var all []*submission
	for range 30 {
		for _, name := range names {
			q := h.of(name)
			s := q.craft("")
			s.script = "echo " + s.ID + " >> ran-in-crowd; echo $QVM_REMOTE_QUBE\n"
			s.Body = queue.SumOf([]byte(s.script))
			all = append(all, q.put(s.sign()))
		}
	}
	for _, s := range all {
		q := h.of(s.Qube)
		await(t, "every request's end", func() bool { return exists(q.layout.Result(s.ID, queue.Exit)) })
		b, err := os.ReadFile(q.layout.Result(s.ID, queue.Out))
		must(t, err)
		if string(b) != s.Qube+"\n" {
			t.Errorf("%s got the output %q", s.Qube, b)
		}
	}
	b, err := os.ReadFile(h.marker("ran-in-crowd"))
	must(t, err)
	for _, s := range all {
		if n := strings.Count(string(b), s.ID+"\n"); n != 1 {
			t.Errorf("%s ran %d times", s.ID, n)
		}
	}
	h.verified()
}

// TestBusyQubeHoldsUpNobody: a qube with more commands than it may run at once
// leaves room for the others.
func TestBusyQubeHoldsUpNobody(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "busy", "other")
	h.configure("QVM_REMOTE_VMS=busy other", "QVM_REMOTE_CONCURRENT=2", "QVM_REMOTE_PER_QUBE=2")
	h.start()
	busy := h.of("busy")
	var held []*submission
	for i := range 5 {
		held = append(held, busy.put(busy.craft(hold(fmt.Sprint("release-", i)))))
	}
	await(t, "the busy qube to fill its share", func() bool { return h.named("busy", audit.Run) == 2 })
	h.of("other").works()
	h.of("other").works()
	for i := range held {
		write(t, h.marker(fmt.Sprint("release-", i)), "")
	}
	for _, s := range held {
		if r := busy.answered(s.ID); r.code != 0 || r.out != "before\nafter\n" {
			t.Errorf("%+v", r)
		}
	}
}

// TestThousandsOfFiles: an honest agent in a queue full of rubbish. What is
// recorded is bounded, the rest is counted, also when the daemon stops before
// the minute is over.
func TestThousandsOfFiles(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "littered", "other")
	q := h.of("littered")
	files := 2500
	if by == "poll" { // in which a look refuses 16
		files = 96
	}
	for i := range files {
		must(t, os.WriteFile(q.layout.Header(fmt.Sprintf("00-rubbish-%d", i)), []byte("rubbish"), 0o600))
	}
	h.configure("QVM_REMOTE_VMS=littered other", "QVM_REMOTE_REFUSALS=7")
	d := h.start()
	h.of("other").works()
	for last := files; last > 0; { // a look brings 16 by polling
		left := last
		await(t, "rubbish to go", func() bool { left = countFiles(q.layout.PendingDir()); return left < last })
		last = left
	}
	q.works()
	if peak := d.peak(); peak > most {
		t.Errorf("the daemon needed %d MiB", peak>>20)
	}
	d.stop()
	single, counted := h.named(q.Name, audit.Refused), int64(0)
	for _, r := range h.records() {
		if r.Event == audit.RefusedCount && r.Qube == q.Name {
			counted += r.Count
		}
	}
	if single > 14 || int64(single)+counted != int64(files) { // a minute's end may fall into the test
		t.Errorf("%d records and %d counted, of %d", single, counted, files)
	}
	if !strings.Contains(h.log(), "count=") {
		t.Error("the log has no count")
	}
	h.verified()
}

// TestTransportTroubles: a connection that breaks in one way or another is
// made again, and what was asked runs once.
func TestTransportTroubles(t *testing.T) {
	t.Parallel()
	for name, trouble := range map[string]struct {
		knob  string
		value string
	}{"lost in the middle": {"close-after", "300"}, "refused": {"refuse", "126"}, "stalled": {"stall", "300"}, "killed": {"refuse", "255"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, "work", "other")
			q := h.of("work")
			knob := map[string]func(string){
				"close-after": func(v string) { q.Set(sim.CloseAfter, v) },
				"refuse":      func(v string) { q.Set(sim.Refuse, v) },
				"stall":       func(v string) { q.Set(sim.Stall, v) },
			}[trouble.knob]
			knob(trouble.value)
			h.quick()
			s := q.put(q.craft(count))
			h.of("other").works()
			await(t, "dom0 to try", func() bool { return h.Calls(tool()) >= 2 })
			knob("")
			if r := q.answered(s.ID); r.code != 0 {
				t.Errorf("after the trouble: %+v", r)
			}
			if h.counted() != 1 {
				t.Errorf("ran %d times", h.counted())
			}
			h.verified()
		})
	}
}
