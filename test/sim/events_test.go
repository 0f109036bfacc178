package sim_test

import (
	"bufio"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"qvmremote/test/sim"
	"qvmremote/test/sim/world"
)

// qubesdSays sends a request to what stands for qubesd, and returns a reader of
// what it says.
func qubesdSays(t *testing.T, w *sim.World, request string) *bufio.Reader {
	t.Helper()
	c, err := world.Dial(filepath.Join(w.Dom0(), "var/run/qubesd.sock"), 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(time.Minute))
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	c.CloseWrite()
	return bufio.NewReader(c)
}

// nextEvent reads "1", subject, name and pairs, up to an empty key.
func nextEvent(t *testing.T, r *bufio.Reader) string {
	t.Helper()
	var words []string
	for len(words) < 4 || len(words)%2 == 1 || words[len(words)-1] != "" {
		s, err := r.ReadString(0)
		if err != nil {
			t.Fatalf("after %q: %v", words, err)
		}
		words = append(words, strings.TrimSuffix(s, "\x00"))
	}
	expect(t, "kind", words[0], "1")
	return strings.TrimSpace(strings.Join(words[1:], " "))
}

const follow = "admin.Events+ dom0 name dom0\x00"

// admin.Events: "1\0subject\0event\0k\0v\0…\0", connection-established first.
func TestQubesdTellsOfEvents(t *testing.T) {
	t.Parallel()
	w := sim.New(t)
	q := w.Qube("work", sim.Halted)
	r := qubesdSays(t, w, follow)
	expect(t, "first", nextEvent(t, r), "connection-established")
	for _, step := range []struct {
		what   string
		do     func()
		events []string
	}{
		{"start", func() { q.SetState(sim.Running) }, []string{"domain-pre-start start_guid True mem_required None", "domain-spawn start_guid True", "domain-start start_guid True"}},
		{"the same state", func() { q.SetState(sim.Running) }, nil},
		{"pause", func() { q.SetState(sim.Paused) }, []string{"domain-paused"}},
		{"unpause", func() { tool(t, w, "", "qubes-sim", "unpause", "work") }, []string{"domain-unpaused"}},
		{"a shutdown begins", func() { q.SetState(sim.Halting) }, []string{"domain-pre-shutdown force False"}},
		{"it fails", func() { q.SetState(sim.Running) }, []string{"domain-shutdown-failed reason it was told to stay"}},
		{"qvm-prefs", func() { tool(t, w, "", "qvm-prefs", "work", "label", "blue") }, []string{"property-set:label name label newvalue blue oldvalue red"}},
		{"qvm-shutdown", func() { tool(t, w, "", "qvm-shutdown", "work") }, []string{"domain-pre-shutdown force False", "domain-stopped", "domain-shutdown"}},
		{"qvm-start", func() { tool(t, w, "", "qvm-start", "work") }, []string{"domain-pre-start start_guid True mem_required None", "domain-spawn start_guid True", "domain-start start_guid True"}},
		{"a crash", func() { q.SetState(sim.Crashed) }, []string{"domain-stopped", "domain-shutdown"}},
		{"one that did not happen", func() { q.Event("domain-qdb-change:/x", "path", "/x") }, []string{"domain-qdb-change:/x path /x"}},
	} {
		step.do()
		for _, want := range step.events {
			expect(t, step.what, nextEvent(t, r), "work "+want)
		}
	}
	q.Remove()
	expect(t, "remove", nextEvent(t, r), "domain-delete vm work")
	expect(t, "create", tool(t, w, "", "qubes-sim", "create", "other").code, 0)
	expect(t, "create", nextEvent(t, r), "domain-add vm other")
	w.Get("other").Recreate()
	expect(t, "recreate", nextEvent(t, r), "domain-delete vm other")
	expect(t, "recreate", nextEvent(t, r), "domain-add vm other")
}

// Other requests: "2\0Type\0traceback\0format\0args\0"; what is no request, and
// a method that does not exist, end the connection.
func TestQubesdRefuses(t *testing.T) {
	t.Parallel()
	w := sim.New(t)
	for request, want := range map[string]string{
		"admin.vm.List+ dom0 name dom0\x00":              "2\x00QubesException\x00\x00this is not simulated\x00",
		"admin.vm.Start+ dom0 name nope\x00":             "2\x00QubesVMNotFoundError\x00\x00No such domain: 'nope'\x00",
		"no.Such+ dom0 name dom0\x00":                    "",
		"admin.Events+ dom0\x00":                         "",
		"admin.Events+ dom0 name dom0":                   "",
		follow + strings.Repeat("x", 1<<16):              "",
		"admin.Events+ dom0 name dom0\x00with a payload": "2\x00QubesException\x00\x00this is not simulated\x00",
	} {
		said, err := io.ReadAll(qubesdSays(t, w, request))
		expect(t, fmt.Sprintf("%.40q", request), string(said), want)
		expect(t, "error", err == nil || len(request) > 1<<16, true)
	}
}

func TestEventsKnob(t *testing.T) {
	t.Parallel()
	w := sim.New(t)
	q := w.Qube("work", sim.Halted)
	for _, tt := range []struct{ mode, old, fresh string }{
		{"garbage", "\xff\xfe not qubesd\n\x00", "\xff\xfe not qubesd\n\x00"},
		{"stall", "1\x00wo", "1\x00wo"},
		{"close", "", "1\x00\x00connection-established\x00\x00"},
		{"refuse", "", "2\x00QubesException\x00\x00not today\x1b[2J\x00"},
	} {
		w.SetKnob(sim.Events, "")
		old := qubesdSays(t, w, follow)
		nextEvent(t, old)
		expect(t, "set", tool(t, w, "", "qubes-sim", "set", "events", tt.mode).code, 0)
		fresh := qubesdSays(t, w, follow)
		for _, c := range []struct {
			r    *bufio.Reader
			says string
		}{{old, tt.old}, {fresh, tt.fresh}} {
			b := make([]byte, len(tt.old))
			if c.r == fresh {
				b = make([]byte, len(tt.fresh))
			}
			_, err := io.ReadFull(c.r, b)
			expect(t, tt.mode, string(b), c.says)
			expect(t, tt.mode, err, nil)
			if tt.mode == "close" || tt.mode == "refuse" {
				_, err := c.r.ReadByte()
				expect(t, tt.mode+" ends", err, io.EOF)
			}
		}
	}
	w.SetKnob(sim.Events, "absent")
	_, err := world.Dial(w.AdminSocket(), time.Second)
	expect(t, "absent", err != nil, true)
	w.SetKnob(sim.Events, "")
	r := qubesdSays(t, w, follow)
	expect(t, "back", nextEvent(t, r), "connection-established")
	q.SetState(sim.Running)
	expect(t, "back", nextEvent(t, r), "work domain-pre-start start_guid True mem_required None")
}
