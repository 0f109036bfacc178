package e2e

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"qvmremote/daemon/audit"
	"qvmremote/queue"
	"qvmremote/test/sim"
)

// most is what the daemon may ever need in memory, whatever qubes send.
const most = 64 << 20

// liarIn makes a running qube whose agent is the named liar.
func (h *house) liarIn(name, role string) *qube {
	h.t.Helper()
	q := h.qube(name, sim.Halted)
	q.Install(programs.self, "liar")
	q.InstallScript("#!/bin/sh\n"+roleVar+"="+role+" exec liar \"$@\"\n", "qvm-remote")
	q.SetState(sim.Running)
	return q
}

// TestLyingAgents lets all liars loose on one installed daemon, and looks
// whether an honest qube notices.
func TestLyingAgents(t *testing.T) {
	t.Parallel()
	agents(t)
	h := newHouse(t, "honest")
	roles := []string{"wrong-magic", "noise"}
	for role := range lies {
		roles = append(roles, role)
	}
	qubes := []string{"honest"}
	for _, role := range roles {
		h.liarIn("liar-"+role, role)
		qubes = append(qubes, "liar-"+role)
	}
	h.configure("QVM_REMOTE_VMS="+strings.Join(qubes, " "), "QVM_REMOTE_STOP_WAIT=0")
	d := h.start()
	honest := h.of("honest")
	for range 5 {
		honest.works()
	}
	// each liar has had its turn when dom0 has dropped it, or has its mark here
	for _, role := range []string{"garbage", "flood", "leave", "half", "ten-k-names", "unasked", "wrong-tag", "bad-names", "oversized"} {
		await(t, "dom0 to drop "+role, func() bool {
			return d.said.has("qube=liar-" + role + ` state="connection lost"`)
		})
	}
	await(t, "dom0 to take noise for no agent", func() bool { return d.said.has("qube=liar-noise state=connected error=\"no agent in the qube") })
	other := h.of("liar-other-bytes")
	await(t, "other bytes to be refused", func() bool { return finals(h, other.Name, queue.Mismatch) == 1 })
	huge := h.of("liar-huge-size")
	await(t, "a huge size to be refused", func() bool { return h.named(huge.Name, audit.Refused) > 0 })
	await(t, "the end of the one whose agent refuses all", func() bool { return h.named("liar-refuse", audit.Final) == 1 })
	for range 5 {
		honest.works()
	}
	if peak := d.peak(); peak > most {
		t.Errorf("the daemon needed %d MiB", peak>>20)
	}
	for _, role := range roles {
		ran := exists(h.marker(role + "-mark"))
		if want := role == "refuse"; ran != want && role != "oversized" && role != "spin" {
			t.Errorf("%s: the command ran = %v, want %v", role, ran, want)
		}
	}
	if strings.Contains(h.log(), "\x1b") || d.said.has("\x1b") {
		t.Error("an agent's words reached the log raw")
	}
	h.verified()
}

// named counts a qube's records of an event.
func (h *house) named(qube string, event audit.Event) int {
	h.t.Helper()
	n := 0
	for _, r := range h.records() {
		if r.Qube == qube && r.Event == event {
			n++
		}
	}
	return n
}

// finals counts how many of a qube's requests were denied for that reason.
func finals(h *house, qube string, why queue.Reason) int {
	n := 0
	for _, r := range h.records() {
		if r.Qube == qube && r.Event == audit.Final && r.Reason == string(why) {
			n++
		}
	}
	return n
}

// TestEndlessNamesAreCounted: the audit log takes twenty refusals of a qube a
// minute, however many there are.
func TestEndlessNamesAreCounted(t *testing.T) {
	t.Parallel()
	agents(t)
	h := newHouse(t, "honest")
	h.liarIn("liar", "new-names")
	h.configure("QVM_REMOTE_VMS=honest liar")
	d := h.start()
	var status string
	await(t, "two hundred refusals", func() bool {
		b, _ := os.ReadFile(h.root.Status())
		status = string(b)
		_, rest, _ := strings.Cut(status, `"name":"liar"`)
		_, rest, _ = strings.Cut(rest, `"refused":`)
		n, _ := strconv.Atoi(rest[:max(0, strings.IndexAny(rest+"}", ",}"))])
		return n > 200
	})
	h.of("honest").works()
	singles := h.named("liar", audit.Refused) + h.named("liar", audit.Dropped)
	if singles > 40 { // a minute's end may fall into the test
		t.Errorf("%d records", singles)
	}
	if peak := d.peak(); peak > most {
		t.Errorf("the daemon needed %d MiB", peak>>20)
	}
	h.verified()
}

// TestSpinningWaitIsSlowed: answers that bring nothing are asked for less and
// less often. Only a lower bound of the time is asserted.
func TestSpinningWaitIsSlowed(t *testing.T) {
	t.Parallel()
	agents(t)
	h := newHouse(t, "honest")
	q := h.liarIn("liar", "spin")
	h.configure("QVM_REMOTE_VMS=honest liar")
	h.start()
	waits := func() int {
		b, _ := os.ReadFile(filepath.Join(q.layout.Root, "waits"))
		n, _ := strconv.Atoi(string(b))
		return n
	}
	await(t, "the first answer", func() bool { return waits() > 0 })
	began, first := time.Now(), waits()
	await(t, "60 answers", func() bool { return waits() >= first+60 })
	if took := time.Since(began); took < time.Second {
		t.Errorf("60 empty answers were taken in %s", took)
	}
	h.of("honest").works()
}

// TestStalledFrame: half a frame ends the connection after a while, and the
// qube is served again once its agent is honest.
func TestStalledFrame(t *testing.T) {
	t.Parallel()
	agents(t)
	h := newHouse(t, "honest")
	q := h.liarIn("liar", "stall")
	h.configure("QVM_REMOTE_VMS=honest liar")
	d := h.quick()
	await(t, "dom0 to give up", func() bool { return d.said.has("half a frame") })
	h.of("honest").works()
	q.Install(programs.client, "qvm-remote")
	q.works()
}

// TestRefusingAgentIsReplaced: a result waits in dom0 until an agent takes it.
func TestRefusingAgentIsReplaced(t *testing.T) {
	t.Parallel()
	agents(t)
	h := newHouse(t, "honest")
	q := h.liarIn("liar", "refuse")
	h.configure("QVM_REMOTE_VMS=honest liar")
	h.quick()
	await(t, "the end in dom0", func() bool { return h.named("liar", audit.Final) >= 1 })
	if h.named("liar", audit.Delivered) != 0 {
		t.Error("recorded as delivered")
	}
	q.Install(programs.client, "qvm-remote")
	q.SetState(sim.Halted)
	q.SetState(sim.Running)
	await(t, "the delivery", func() bool { return h.named("liar", audit.Delivered) >= 1 })
	q.works()
	h.of("honest").works()
}

// TestEndlessStderr: what an agent says on stderr is dropped, and the rest of
// its work goes on.
func TestEndlessStderr(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "loud", "honest")
	q := h.of("loud")
	q.Install(programs.client, "honest-agent")
	q.InstallScript("#!/bin/sh\nyes 'noise \x1b[2J' >&2 & exec honest-agent \"$@\"\n", "qvm-remote")
	d := h.start()
	h.of("honest").works()
	s := q.put(q.craft("echo heard\n"))
	await(t, "the delivery", func() bool { return h.about(s.ID, audit.Delivered) == 1 })
	h.of("honest").works()
	if peak := d.peak(); peak > most {
		t.Errorf("the daemon needed %d MiB", peak>>20)
	}
	if d.said.has("\x1b") {
		t.Error("stderr came through raw")
	}
}

// TestFileChangesWhileRead: what runs is what was signed, or nothing.
func TestFileChangesWhileRead(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "work", "other")
	h.start()
	q := h.of("work")
	q.works()
	big := "touch good-mark\n" + strings.Repeat("# padding\n", 90_000)
	s := q.craft(big)
	evil := []byte("touch evil-mark\n" + big[len("touch good-mark\n"):])
	must(t, queue.Publish(q.layout.Body(s.ID), []byte(big)))
	stop := make(chan struct{})
	writer := make(chan struct{})
	go func() {
		defer close(writer)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			f, err := os.OpenFile(q.layout.Body(s.ID), os.O_WRONLY, 0)
			if err != nil {
				continue
			}
			_, _ = f.WriteAt(map[bool][]byte{true: evil[:20], false: []byte(big)[:20]}[i%2 == 0], 0)
			_, _ = f.WriteAt(evil[len(evil)-5:], int64(len(evil)-5))
			_ = f.Close()
		}
	}()
	must(t, queue.Publish(q.layout.Header(s.ID), s.header))
	await(t, "an end", func() bool { return h.about(s.ID, audit.Final) == 1 })
	close(stop)
	<-writer
	if exists(h.marker("evil-mark")) {
		t.Error("what ran was not what was signed")
	}
	for _, r := range h.records() {
		if r.ID == s.ID && r.Event == audit.Final && r.State == audit.Denied && r.Reason != string(queue.Mismatch) {
			t.Errorf("denied for %s", r.Reason)
		}
	}
	h.of("other").works()
}
