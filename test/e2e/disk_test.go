package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"qvmremote/daemon/audit"
	"qvmremote/queue"
	"qvmremote/test/sim"
	"qvmremote/test/smalldisk"
)

// diskHouse has dom0's state on a small disk.
func diskHouse(t *testing.T) (*house, *qube) {
	t.Helper()
	h := newDom0(t)
	smalldisk.Mount(t, h.root.State(), 16)
	h.configure("QVM_REMOTE_VMS=work", "QVM_REMOTE_SPOOL_FREE=0", "QVM_REMOTE_AUDIT_RESERVE=1M")
	return h, h.qube("work", sim.Running)
}

func TestDom0DiskIsFull(t *testing.T) {
	t.Parallel()
	h, q := diskHouse(t)
	d := h.quick()
	q.works()
	running := q.begin(hold("release"))
	h.held("release")
	ballast := smalldisk.Fill(t, h.root.State())
	// nothing new runs, and everyone learns why
	r := q.run("touch", "full-mark")
	if r.code != queue.ExitDenied || !strings.Contains(r.err, "denied(not-ready)") || !strings.Contains(r.err, "disk") && !strings.Contains(r.err, "spool") {
		t.Errorf("with a full disk: %+v", r)
	}
	await(t, "the status to say so", func() bool {
		b, _ := os.ReadFile(h.root.Status())
		return strings.Contains(string(b), `"health"`)
	})
	// what ran has its end recorded from the reserve; its result may need room
	write(t, h.marker("release"), "")
	await(t, "the final record", func() bool { return h.named(q.Name, audit.Final) == 2 })
	must(t, os.Remove(ballast))
	if r := running.end(); r.code != 0 || !strings.HasPrefix(r.out, "before\n") {
		t.Errorf("what ran: %+v", r)
	}
	await(t, "dom0 to take requests again", func() bool { return q.run("true").code == 0 })
	if exists(h.marker("full-mark")) {
		t.Error("ran with a full disk")
	}
	d.stop()
	h.verified()
}

// TestDom0DiskIsFullAtStart: a daemon without room for its log serves nobody.
func TestDom0DiskIsFullAtStart(t *testing.T) {
	t.Parallel()
	h, q := diskHouse(t)
	d := h.quick()
	q.works()
	d.stop()
	ballast := smalldisk.Fill(t, h.root.State())
	s := q.put(q.craft("touch full-mark\n"))
	d = h.quick()
	await(t, "an answer, or the daemon's end", func() bool {
		select {
		case <-d.done:
			return true
		default:
			return exists(q.layout.Result(s.ID, queue.Denied))
		}
	})
	d.stop()
	if exists(h.marker("full-mark")) {
		t.Error("ran without a record")
	}
	must(t, os.Remove(ballast))
	h.quick()
	await(t, "dom0 to take requests again", func() bool { return q.run("true").code == 0 })
	h.verified()
}

// TestAuditFolderBecomesReadOnly: what ran keeps its result in dom0 until its
// final record could be written.
func TestAuditFolderBecomesReadOnly(t *testing.T) {
	t.Parallel()
	h, q := diskHouse(t)
	d := h.quick()
	q.works()
	s := q.put(q.craft(hold("release")))
	h.held("release")
	q.taken(s.ID)
	// over the folder, so that also what was opened before is refused
	audits := h.root.Audit()
	must(t, unix.Mount(audits, audits, "", unix.MS_BIND, ""))
	must(t, unix.Mount("", audits, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""))
	mounted := true
	free := func() {
		if mounted {
			must(t, unix.Unmount(audits, unix.MNT_DETACH))
			mounted = false
		}
	}
	t.Cleanup(free)
	r := q.run("touch", "read-only-mark")
	if r.code != queue.ExitDenied || !strings.Contains(r.err, "denied(not-ready)") || !strings.Contains(r.err, "audit trail") {
		t.Errorf("with a read-only audit folder: %+v", r)
	}
	write(t, h.marker("release"), "")
	await(t, "dom0 to try to record the end", func() bool { return d.said.has("cannot record the end of a request; trying again") })
	if exists(q.layout.Result(s.ID, queue.Exit)) || h.about(s.ID, audit.Final) != 0 {
		t.Error("a result without its final record")
	}
	free()
	if r := q.answered(s.ID); r.code != 0 || r.out != "before\nafter\n" {
		t.Errorf("what ran: %+v", r)
	}
	if h.about(s.ID, audit.Final) != 1 {
		t.Error("no final record")
	}
	q.works()
	if exists(h.marker("read-only-mark")) {
		t.Error("ran without a record")
	}
	h.verified()
}

// TestReadOnlyAndRestarted: what ran while the folder could not be written is
// interrupted for good when the daemon was restarted meanwhile.
func TestReadOnlyAndRestarted(t *testing.T) {
	t.Parallel()
	h, q := diskHouse(t)
	d := h.quick()
	q.works()
	s := q.put(q.craft(hold("release")))
	h.held("release")
	audits := h.root.Audit()
	must(t, unix.Mount(audits, audits, "", unix.MS_BIND, ""))
	must(t, unix.Mount("", audits, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""))
	write(t, h.marker("release"), "")
	await(t, "dom0 to try to record the end", func() bool { return d.said.has("cannot record the end of a request; trying again") })
	d.kill()
	must(t, unix.Unmount(audits, unix.MNT_DETACH))
	h.quick()
	if r := q.answered(s.ID); r.code != queue.ExitInterrupted || !strings.Contains(r.err, "interrupted") {
		t.Errorf("what ran: %+v", r)
	}
	if h.about(s.ID, audit.Final) != 1 || h.about(s.ID, audit.Run) != 1 {
		t.Error("not one run and one final state")
	}
	h.verified()
}

// TestQubeDiskIsFull: a result waits in dom0 until the qube has room for it.
func TestQubeDiskIsFull(t *testing.T) {
	t.Parallel()
	h := newDom0(t)
	h.configure("QVM_REMOTE_VMS=work other")
	must(t, h.Add("work", "red", "AppVM"))
	smalldisk.Mount(t, h.QubePath("work", "home"), 4)
	q := h.equip("work", sim.Running)
	other := h.qube("other", sim.Running)
	h.quick()
	q.works()
	s := q.put(q.craft("until [ -e release ]; do sleep 0.02; done; head -c 200000 /dev/zero | tr '\\0' y\n"))
	await(t, "it to run", func() bool { return exists(q.layout.Running(s.ID)) })
	ballast := smalldisk.Fill(t, q.Home())
	if r := q.run("touch", "qube-full-mark"); r.code != queue.ExitInternal || !strings.Contains(r.err, "the qube's disk is full") {
		t.Errorf("with a full disk in the qube: %+v", r)
	}
	write(t, h.marker("release"), "")
	await(t, "the end in dom0", func() bool { return h.about(s.ID, audit.Final) == 1 })
	other.works()
	if exists(q.layout.Result(s.ID, queue.Exit)) {
		t.Error("an end without its output")
	}
	must(t, os.Remove(ballast))
	if r := q.answered(s.ID); r.code != 0 || len(r.out) != 200000 {
		t.Errorf("what ran: code %d, %d bytes, %s", r.code, len(r.out), r.err)
	}
	q.works()
	h.verified()
}

// TestDiskOfUsedIDsIsFull: a version-1 request whose id cannot be written down
// as used up does not run; it runs, once, when there is room again.
func TestDiskOfUsedIDsIsFull(t *testing.T) {
	t.Parallel()
	h := newDom0(t)
	smalldisk.Mount(t, h.root.Legacy(), 1)
	h.configure("QVM_REMOTE_VMS=work")
	must(t, h.Add("work", "red", "AppVM"))
	q := h.equip("work", sim.Running)
	h.done(string(q.key.Reveal())+"\n", "authorize", "--replace", "--legacy", "work")
	d := h.quick()
	q.works()
	ballast := smalldisk.Fill(t, h.root.Legacy())
	const id = "full-1"
	token := []byte(queue.LegacyToken(q.key, id))
	body := "echo ran >> " + h.marker("used-mark") + "\n"
	must(t, queue.Publish(q.layout.Body(id), []byte(body)))
	must(t, queue.Publish(q.layout.Header(id), token))
	await(t, "dom0 to say that it cannot", func() bool { return d.said.has("cannot keep a used version-1 id; trying again") })
	q.works() // version 2 goes on beside it
	if exists(h.marker("used-mark")) || exists(q.layout.Result(id, queue.Exit)) {
		t.Error("ran with its id still good")
	}
	must(t, os.Remove(ballast))
	await(t, "its end", func() bool { return exists(q.layout.Result(id, queue.Exit)) })
	lists, err := filepath.Glob(filepath.Join(h.root.Legacy(), "work.*"))
	must(t, err)
	if len(lists) != 1 {
		t.Fatalf("lists of used ids: %q", lists)
	}
	if b, err := os.ReadFile(lists[0]); err != nil || string(b) != id+"\n" {
		t.Errorf("used ids: %q, %v", b, err)
	}
	if b, err := os.ReadFile(h.marker("used-mark")); err != nil || string(b) != "ran\n" {
		t.Errorf("it ran %q, %v", b, err)
	}
	d.stop()
	h.verified()
}
