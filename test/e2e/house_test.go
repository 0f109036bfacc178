package e2e

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"qvmremote/daemon/audit"
	"qvmremote/daemon/paths"
	"qvmremote/queue"
	"qvmremote/test/sim"
	"qvmremote/test/sim/world"
)

// patience bounds every wait for something that comes at once on an idle
// machine.
var patience = time.Minute

// await polls until done reports true.
func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("still waiting: %s", what)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(path), 0o700))
	must(t, os.WriteFile(path, []byte(content), 0o600))
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// house is a simulated machine with qubes that dom0 knows.
type house struct {
	*sim.World
	t     *testing.T
	root  paths.Root
	clock string // file; see clockVar
}

// newDom0 makes a machine without qubes.
func newDom0(t *testing.T) *house {
	t.Helper()
	w := sim.New(t)
	return &house{World: w, t: t, root: paths.Root(w.Dom0()), clock: filepath.Join(w.Dir, "clock")}
}

// newHouse makes a machine in which the named qubes are running, have our
// client and a key, and are configured.
func newHouse(t *testing.T, names ...string) *house {
	t.Helper()
	h := newDom0(t)
	h.configure("QVM_REMOTE_VMS=" + strings.Join(names, " "))
	for _, name := range names {
		h.qube(name, sim.Running)
	}
	return h
}

// configure replaces remote.conf.
func (h *house) configure(lines ...string) {
	h.t.Helper()
	lines = append(lines, "QVM_REMOTE_TRANSPORT="+by)
	fresh := string(h.root.Config()) + ".new"
	write(h.t, fresh, strings.Join(lines, "\n")+"\n")
	must(h.t, os.Rename(fresh, h.root.Config()))
}

// qube makes a qube with our client and a key of its own that dom0 knows too.
func (h *house) qube(name string, s world.State) *qube {
	h.t.Helper()
	h.World.Qube(name, sim.Halted)
	return h.equip(name, s)
}

// equip gives a halted qube our client and a key.
func (h *house) equip(name string, s world.State) *qube {
	h.t.Helper()
	q := &qube{Qube: h.Get(name), h: h, t: h.t}
	q.layout = queue.Layout{Root: filepath.Join(q.Home(), queue.FolderName)}
	q.Install(programs.client, "qvm-remote")
	must(h.t, q.layout.Make())
	q.key = queue.GenerateKey()
	write(h.t, q.layout.Key(), string(q.key.Reveal()))
	write(h.t, q.layout.Name(), name)
	q.authorise()
	if s == sim.Running {
		q.SetState(sim.Running)
	}
	return q
}

// of returns a qube made before.
func (h *house) of(name string) *qube {
	h.t.Helper()
	q := &qube{Qube: h.Get(name), h: h, t: h.t}
	q.layout = queue.Layout{Root: filepath.Join(q.Home(), queue.FolderName)}
	b, err := os.ReadFile(q.layout.Key())
	must(h.t, err)
	q.key, err = queue.ParseKey(b)
	must(h.t, err)
	return q
}

// marker is a file in dom0 that a command may leave: its working folder is
// dom0's root home.
func (h *house) marker(name string) string { return filepath.Join(h.root.Home(), name) }

// off sets how far the quick daemon's clock is off.
func (h *house) off(d time.Duration) {
	h.t.Helper()
	fresh := h.clock + ".new"
	write(h.t, fresh, strconv.Itoa(int(d/time.Second)))
	must(h.t, os.Rename(fresh, h.clock))
}

// now is the quick daemon's time.
func (h *house) now() time.Time { return shiftedClock(h.clock)() }

// records reads the whole audit log.
func (h *house) records() []audit.Record {
	h.t.Helper()
	var all []audit.Record
	err := audit.Read(context.Background(), h.root.Audit(), 0, func(r audit.Record, _ []byte) error {
		all = append(all, r)
		return nil
	})
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		h.t.Fatal(err)
	}
	return all
}

// about counts the records of an id with that event.
func (h *house) about(id string, event audit.Event) int {
	h.t.Helper()
	n := 0
	for _, r := range h.records() {
		if r.ID == id && r.Event == event {
			n++
		}
	}
	return n
}

// verified fails the test unless the audit log agrees with itself.
func (h *house) verified() {
	h.t.Helper()
	report, err := audit.Verify(context.Background(), h.root.Audit(), nil)
	must(h.t, err)
	if !report.OK() {
		h.t.Errorf("the audit log: %v", report)
	}
}

func (h *house) log() string {
	b, _ := os.ReadFile(h.root.Log())
	return string(b)
}

// dom0 is a daemon at work.
type dom0 struct {
	h    *house
	cmd  *exec.Cmd
	said *said
	done chan struct{}
}

// start starts the daemon as it is installed.
func (h *house) start(args ...string) *dom0 {
	h.t.Helper()
	return h.launch(h.Dom0Command(context.Background(), programs.dom0, append([]string{"--root", h.Dom0()}, args...)...))
}

// quick starts the daemon with short waits and the house's clock.
func (h *house) quick(args ...string) *dom0 {
	h.t.Helper()
	cmd := h.Dom0Command(context.Background(), programs.self, append([]string{"--root", h.Dom0()}, args...)...)
	cmd.Env = append(cmd.Env, roleVar+"=daemon", clockVar+"="+h.clock)
	return h.launch(cmd)
}

func (h *house) launch(cmd *exec.Cmd) *dom0 {
	h.t.Helper()
	d := &dom0{h: h, cmd: cmd, said: &said{}, done: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = d.said, d.said
	cmd.WaitDelay = patience
	must(h.t, cmd.Start())
	go func() {
		defer close(d.done)
		_ = cmd.Wait()
	}()
	h.t.Cleanup(func() {
		d.stop()
		if strings.Contains(d.said.String(), "DATA RACE") || strings.Contains(d.said.String(), "panic:") || h.t.Failed() {
			h.t.Errorf("the daemon said:\n%s", d.said)
		}
	})
	return d
}

// stop ends the daemon as systemd does.
func (d *dom0) stop() {
	_ = d.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-d.done:
	case <-time.After(45 * time.Second):
		_ = d.cmd.Process.Kill()
		<-d.done
		d.h.t.Error("the daemon did not end")
	}
}

// kill ends the daemon without a warning.
func (d *dom0) kill() {
	_ = d.cmd.Process.Kill()
	<-d.done
}

// ended waits for the daemon to end by itself and returns its exit code.
func (d *dom0) ended() int {
	d.h.t.Helper()
	select {
	case <-d.done:
	case <-time.After(patience):
		d.h.t.Fatal("the daemon does not end")
	}
	return d.cmd.ProcessState.ExitCode()
}

// peak is the most memory the daemon ever had, in bytes.
func (d *dom0) peak() int64 {
	d.h.t.Helper()
	b, err := os.ReadFile("/proc/" + strconv.Itoa(d.cmd.Process.Pid) + "/status")
	must(d.h.t, err)
	_, rest, _ := strings.Cut(string(b), "VmHWM:")
	kib, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
	must(d.h.t, err)
	return kib << 10
}

// said collects what a program prints, for reading while it runs.
type said struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func (s *said) has(text string) bool { return strings.Contains(s.String(), text) }
