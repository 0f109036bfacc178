package e2e

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"qvmremote/daemon/audit"
	"qvmremote/queue"
)

// claimedWhilePaused lists claims that the log has between a pause, or a stop of
// everything, and the next resume.
func (h *house) claimedWhilePaused() (ids []string) {
	h.t.Helper()
	paused := false
	for _, r := range h.records() {
		switch r.Event {
		case audit.Paused, audit.StoppedEverything:
			paused = true
		case audit.Resumed:
			paused = false
		case audit.Claim:
			if paused {
				ids = append(ids, r.ID)
			}
		}
	}
	return ids
}

// TestPauseLeavesRequestsInTheQube: over a restart of the daemon, too; what ran
// goes on.
func TestPauseLeavesRequestsInTheQube(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "work")
	d := h.start()
	q := h.of("work")
	g := q.begin(hold("release"))
	h.held("release")
	h.done("", "pause")
	if again := h.done("", "pause"); !strings.Contains(again.out, "resume") {
		t.Errorf("paused again: %+v", again)
	}
	if st := h.done("", "status"); !strings.Contains(st.out, "paused") {
		t.Errorf("status: %+v", st)
	}
	late := q.put(q.craft("echo late"))
	write(t, h.marker("release"), "")
	if r := g.end(); r.code != 0 || r.out != "before\nafter\n" {
		t.Errorf("what ran: %+v", r)
	}
	d.stop()
	d = h.start()
	await(t, "the daemon to see the pause and the qube", func() bool { return d.said.has("paused") && d.said.has("state=connected") })
	if !exists(q.layout.Header(late.ID)) || h.about(late.ID, audit.Claim) != 0 {
		t.Error("taken while paused")
	}
	h.done("", "resume")
	if r := q.answered(late.ID); r.code != 0 || r.out != "late\n" {
		t.Errorf("after the pause: %+v", r)
	}
	if st := h.done("", "status"); strings.Contains(st.out, "paused") {
		t.Errorf("status: %+v", st)
	}
	if ids := h.claimedWhilePaused(); len(ids) != 0 {
		t.Errorf("claimed between the records of pause and resume: %q", ids)
	}
	h.verified()
}

// TestStopEverything: when it says so, no process of a command is left, and the
// qube's user sees what happened; nothing begins before somebody resumes.
func TestStopEverything(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "work")
	h.configure("QVM_REMOTE_VMS=work", "QVM_REMOTE_CONCURRENT=1", "QVM_REMOTE_PER_QUBE=1")
	d := h.start()
	q := h.of("work")
	g := q.begin("sleep 600 & echo $! > child; setsid sleep 600 & echo $! > stray; echo $$ > shell; echo begun; trap '' TERM; sleep 600")
	await(t, "the command to run", func() bool { return exists(h.marker("shell")) })
	waiting := q.begin("touch must-not")
	await(t, "the second to be queued", func() bool { return published(q.layout.Root+"/queue/running") == 2 })
	if r := h.done("", "stop-everything"); !strings.Contains(r.out, "Nothing runs any more") {
		t.Errorf("said: %+v", r)
	}
	for _, name := range []string{"child", "stray", "shell"} {
		pid, err := os.ReadFile(h.marker(name))
		must(t, err)
		if exists("/proc/" + strings.TrimSpace(string(pid))) {
			t.Errorf("the %s still runs", name)
		}
	}
	if r := g.end(); r.code != queue.ExitInterrupted || !strings.Contains(r.err, "interrupted: dom0 stopped it, or stopped, while it ran") {
		t.Errorf("the client of what ran says %+v", r)
	}
	if r := waiting.end(); r.code != queue.ExitDenied || !strings.Contains(r.err, "everything was stopped in dom0") {
		t.Errorf("the client of what waited says %+v", r)
	}
	late := q.put(q.craft("echo late"))
	d.kill()
	d = h.start()
	await(t, "the daemon to see it and the qube", func() bool { return d.said.has("everything is stopped") && d.said.has("state=connected") })
	if st := h.done("", "status"); !strings.Contains(st.out, "all that ran was stopped") || h.about(late.ID, audit.Claim) != 0 {
		t.Errorf("after a crash: %+v", st)
	}
	h.done("", "resume")
	if r := q.answered(late.ID); r.code != 0 || r.out != "late\n" {
		t.Errorf("after that: %+v", r)
	}
	if exists(h.marker("must-not")) {
		t.Error("what waited ran after all")
	}
	if ids := h.claimedWhilePaused(); len(ids) != 0 {
		t.Errorf("claimed between the records of stop and resume: %q", ids)
	}
	h.verified()
}

// TestCommandsHearNothingOfTheServiceManager: what could speak for the daemon,
// or keep its watchdog quiet, reaches the daemon only.
func TestCommandsHearNothingOfTheServiceManager(t *testing.T) {
	once(t)
	t.Parallel()
	h := newHouse(t, "work")
	socket := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	must(t, err)
	t.Cleanup(func() { conn.Close() })
	var told said
	go func() {
		for b := make([]byte, 4096); ; {
			n, err := conn.Read(b)
			if err != nil {
				return
			}
			_, _ = told.Write(append(b[:n:n], '\n'))
		}
	}()
	cmd := h.Dom0Command(context.Background(), programs.dom0, "--root", h.Dom0())
	cmd.Env = append(cmd.Env, "NOTIFY_SOCKET="+socket, "WATCHDOG_USEC=200000")
	d := h.launch(cmd)
	await(t, "the daemon to be ready and alive", func() bool { return told.has("READY=1\n") && told.has("WATCHDOG=1\n") })
	r := h.of("work").run("env; cat /proc/$PPID/environ | tr '\\0' '\\n'")
	if r.code != 0 || !strings.Contains(r.out, "QVM_REMOTE_QUBE=work") || strings.Contains(r.out, "NOTIFY_SOCKET") || strings.Contains(r.out, "WATCHDOG") {
		t.Errorf("the environment of a command, and of its supervisor: %+v", r)
	}
	d.stop()
	await(t, "the daemon's last word", func() bool { return told.has("STOPPING=1\n") })
}
