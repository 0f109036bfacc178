package e2e

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"qvmremote/daemon/audit"
	"qvmremote/queue"
	"qvmremote/test/sim"
)

// hold is a command that says its number, then waits for a file in dom0.
func hold(file string) string {
	return "echo $$ >> " + file + ".pid; echo before; until [ -e " + file + " ]; do sleep 0.02; done; echo after"
}

// held waits until a command made by hold runs and returns its number.
func (h *house) held(file string) string {
	h.t.Helper()
	var b []byte
	await(h.t, "the command to run", func() bool {
		b, _ = os.ReadFile(h.marker(file + ".pid"))
		return strings.HasSuffix(string(b), "\n")
	})
	return strings.TrimSpace(string(b))
}

func TestQubeHaltsInTheMiddle(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "work", "other")
	h.quick()
	q := h.of("work")
	s := q.put(q.craft(hold("release")))
	h.held("release")
	q.SetState(sim.Halted)
	write(t, h.marker("release"), "")
	await(t, "the end in dom0", func() bool { return h.about(s.ID, audit.Final) == 1 })
	h.of("other").works()
	if h.about(s.ID, audit.Delivered) != 0 || q.Boots() != 1 {
		t.Errorf("delivered to, or started, a qube that is halted (%d boots)", q.Boots())
	}
	q.SetState(sim.Running)
	if r := q.answered(s.ID); r.code != 0 || r.out != "before\nafter\n" {
		t.Errorf("after it came back: %+v", r)
	}
	await(t, "the delivery's record", func() bool { return h.about(s.ID, audit.Delivered) == 1 })
	if pids := h.held("release"); strings.Contains(pids, "\n") {
		t.Errorf("ran more than once: %q", pids)
	}
	h.verified()
}

func TestPausedQubeIsLeftAlone(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "work")
	q := h.of("work")
	q.SetState(sim.Paused)
	d := h.quick()
	await(t, "the daemon to see it", func() bool { return d.said.has("state=Paused") })
	if n := h.Calls(tool()); n != 0 {
		t.Errorf("%d calls into a paused qube", n)
	}
	q.SetState(sim.Running)
	q.works()
}

// TestResultSurvivesRestart: the qube gets the bytes that were signed before
// the daemon ended, once.
func TestResultSurvivesRestart(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "work")
	d := h.quick()
	q := h.of("work")
	s := q.put(q.craft(hold("release")))
	h.held("release")
	q.SetState(sim.Halted)
	write(t, h.marker("release"), "")
	var kept struct{ Auth []byte }
	await(t, "the answer in the spool", func() bool {
		found, _ := filepath.Glob(filepath.Join(h.root.Spool(), "*", "result"))
		if len(found) != 1 {
			return false
		}
		b, err := os.ReadFile(found[0])
		begin := bytes.Index(b, []byte(`{"auth"`)) // behind its hash
		return err == nil && begin >= 0 && json.Unmarshal(b[begin:], &kept) == nil && len(kept.Auth) > 0
	})
	d.kill()
	q.SetState(sim.Running)
	h.quick()
	await(t, "the delivery", func() bool { return h.about(s.ID, audit.Delivered) == 1 })
	auth, err := os.ReadFile(q.layout.Result(s.ID, queue.Auth))
	must(t, err)
	if !bytes.Equal(auth, kept.Auth) {
		t.Errorf("delivered %q, signed before %q", auth, kept.Auth)
	}
	if r := q.answered(s.ID); r.code != 0 || r.out != "before\nafter\n" {
		t.Errorf("%+v", r)
	}
	if n := h.about(s.ID, audit.Final); n != 1 {
		t.Errorf("%d final states", n)
	}
	await(t, "an empty spool", func() bool { return countFiles(h.root.Spool()) == 0 })
	h.verified()
}

// TestKilledDaemonTakesTheCommandAlong: nothing runs on unwatched, and nothing
// runs again.
func TestKilledDaemonTakesTheCommandAlong(t *testing.T) {
	t.Parallel()
	for _, program := range []string{"installed", "quick"} {
		t.Run(program, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, "work")
			start := h.start
			if program == "quick" {
				start = h.quick
			}
			d := start()
			q := h.of("work")
			g := q.begin(hold("never"))
			pid := h.held("never")
			if by != "poll" { // which brings it at the end only
				await(t, "its output", func() bool { return g.out.String() == "before\n" })
			}
			d.kill()
			await(t, "the command to be gone", func() bool { return !exists("/proc/" + pid) })
			start()
			r := g.end()
			if r.code != queue.ExitInterrupted || !strings.Contains(r.err, "interrupted: dom0 stopped it, or stopped, while it ran") {
				t.Errorf("the client says %+v", r)
			}
			q.works()
			if h.held("never") != pid {
				t.Error("ran again")
			}
			h.verified()
		})
	}
}

func TestStoppedDaemonInterrupts(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "work")
	h.configure("QVM_REMOTE_VMS=work", "QVM_REMOTE_STOP_WAIT=0")
	d := h.start()
	q := h.of("work")
	g := q.begin(hold("never"))
	pid := h.held("never")
	d.stop()
	if r := g.end(); r.code != queue.ExitInterrupted || r.out != "before\n" || !strings.Contains(r.err, "interrupted") {
		t.Errorf("the client says %+v", r)
	}
	if exists("/proc/" + pid) {
		t.Error("the command outlived the daemon")
	}
	h.verified()
}

func TestStoppedDaemonLetsCommandsEnd(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "work")
	d := h.start()
	g := h.of("work").begin(hold("release"))
	h.held("release")
	go d.stop()
	late := h.of("work").put(h.of("work").craft("touch late-mark"))
	write(t, h.marker("release"), "")
	if r := g.end(); r.code != 0 || r.out != "before\nafter\n" {
		t.Errorf("the client says %+v", r)
	}
	d.ended()
	if h.about(late.ID, audit.Run) != 0 && h.about(late.ID, audit.Final) != 1 {
		t.Error("what came while the daemon stopped has no final state")
	}
	h.verified()
}

// TestRevokedWhileQueued: a key that is gone starts nothing, not even what was
// claimed before.
func TestRevokedWhileQueued(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "work", "other")
	h.configure("QVM_REMOTE_VMS=work other", "QVM_REMOTE_CONCURRENT=1", "QVM_REMOTE_PER_QUBE=1")
	h.quick()
	q := h.of("work")
	q.begin(hold("release"))
	h.held("release")
	s := q.put(q.craft("touch revoked-mark"))
	await(t, "the second to be queued", func() bool { return exists(q.layout.Running(s.ID)) })
	q.revoke()
	write(t, h.marker("release"), "")
	q.refused(s.ID, queue.NoKey)
	if r := q.answered(s.ID); r.code != queue.ExitDenied || !strings.Contains(r.err, "denied(no-key)") {
		t.Errorf("%+v", r)
	}
	after := q.put(q.craft("touch revoked-mark"))
	q.refused(after.ID, queue.NoKey)
	h.of("other").works()
	if exists(h.marker("revoked-mark")) {
		t.Error("ran without a key")
	}
	h.verified()
}
