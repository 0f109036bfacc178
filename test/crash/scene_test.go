//go:build crashpoints

package crash

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"qvmremote/client"
	"qvmremote/daemon/audit"
	"qvmremote/daemon/paths"
	"qvmremote/queue"
	"qvmremote/test/sim"
)

// patience bounds every wait; nothing here takes a second on an idle machine.
const patience = 60 * time.Second

const qubeName = "work"

// stage is a simulated machine with one qube, used for one scene after another.
type stage struct {
	world *sim.World
	qube  *sim.Qube
	count int
}

func newStage(t *testing.T) *stage {
	w := sim.New(t)
	s := &stage{world: w, qube: w.Qube(qubeName, sim.Running)}
	s.qube.Install(programs.client, "qvm-remote")
	return s
}

// scene is a fresh dom0 beside a fresh queue in the stage's qube.
type scene struct {
	*stage
	t      testing.TB
	root   paths.Root
	token  string // in the name of every process that a command starts
	marker string // a line for each command that ran
	key    queue.Key
	next   queue.Key // zero, or being rotated in
	client *client.Client
	log    string // of every daemon of the scene
}

func (s *stage) newScene(t testing.TB) *scene {
	t.Helper()
	s.count++
	dir := filepath.Join(s.world.Dir, "scenes", fmt.Sprint(s.count))
	sc := &scene{stage: s, t: t, root: paths.Root(filepath.Join(dir, "root")), marker: filepath.Join(dir, "marker"),
		token: fmt.Sprintf("crash-%d-%d-%p", os.Getpid(), s.count, s), key: queue.GenerateKey(), log: filepath.Join(dir, "daemon.log")}
	home := filepath.Join(s.qube.Home(), queue.FolderName)
	sc.awaitNoAgent(queue.Layout{Root: home})
	must(t, os.RemoveAll(home))
	must(t, os.MkdirAll(filepath.Dir(sc.root.Config()), 0o755))
	sc.client = client.New(home)
	sc.client.Database = func(context.Context, string) (string, error) { return qubeName, nil }
	sc.client.Waits.Cancel = time.Millisecond
	must(t, sc.client.Prepare())
	must(t, queue.Publish(sc.client.Layout.Key(), sc.key.Reveal()))
	return sc
}

// placeKeys makes dom0 as an administrator would by hand.
func (s *scene) placeKeys() {
	s.t.Helper()
	must(s.t, os.MkdirAll(s.root.Keys(), 0o700))
	must(s.t, os.WriteFile(s.root.Config(), []byte("QVM_REMOTE_VMS="+qubeName+"\nQVM_REMOTE_MAX_TIMEOUT=3600\n"), 0o600))
	must(s.t, os.WriteFile(filepath.Join(s.root.Keys(), qubeName+".policy"), []byte("allow **\n"), 0o600))
	must(s.t, os.WriteFile(s.keyFile(), s.key.Reveal(), 0o600))
	if !s.next.IsZero() {
		must(s.t, os.WriteFile(s.keyFile()+".new", s.next.Reveal(), 0o600))
	}
}

func (s *scene) keyFile() string { return filepath.Join(s.root.Keys(), qubeName+".key") }

// awaitNoAgent waits until the agent of the scene before has left.
func (s *scene) awaitNoAgent(l queue.Layout) {
	s.t.Helper()
	f, err := os.Open(l.AgentLock())
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	must(s.t, err)
	defer f.Close()
	await(s.t, "the agent of the last scene to leave", func() bool {
		return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil
	})
}

// process is a running program of dom0's side.
type process struct {
	cmd    *exec.Cmd
	done   chan struct{}
	before int // starts recorded before this one
}

// start starts the daemon, to be killed at point if that is not "".
func (s *scene) start(point, trace string) *process {
	s.t.Helper()
	return s.startWith(nil, point, trace)
}

// startWith starts dom0's program with a command and its input.
func (s *scene) startWith(in io.Reader, point, trace string, args ...string) *process {
	s.t.Helper()
	p := &process{done: make(chan struct{}), before: s.starts()}
	p.cmd = s.world.Dom0Command(context.Background(), programs.dom0, append([]string{"--root", string(s.root)}, args...)...)
	p.cmd.Env = append(p.cmd.Env, "QVM_REMOTE_CRASH="+point, "QVM_REMOTE_CRASH_TRACE="+trace,
		"EDITOR=sh "+s.editor(), "TMPDIR="+filepath.Dir(s.log))
	out, err := os.OpenFile(s.log, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	must(s.t, err)
	defer out.Close()
	fmt.Fprintf(out, "--- %.2q, crash at %q\n", args, point)
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = in, out, out
	must(s.t, p.cmd.Start())
	s.t.Cleanup(func() { p.kill() })
	go func() {
		_ = p.cmd.Wait()
		close(p.done)
	}()
	return p
}

// editor is a script that an administrator edits policies with.
func (s *scene) editor() string {
	s.t.Helper()
	path := filepath.Join(filepath.Dir(s.log), "editor")
	must(s.t, os.WriteFile(path, []byte("printf '"+strings.ReplaceAll(editedRules, "\n", `\n`)+`' >"$1"`+"\n"), 0o600))
	return path
}

func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// crashed reports whether the program was killed, as it is at a crash point.
func (p *process) crashed() bool {
	<-p.done
	status, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == syscall.SIGKILL
}

// stop ends the daemon as systemd does, and waits for it.
func (s *scene) stop(p *process) {
	s.t.Helper()
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	await(s.t, "the daemon to stop", p.ended)
}

// starts counts how often the daemon came up: before that it takes no signal.
func (s *scene) starts() (n int) {
	for _, r := range s.records() {
		if r.Event == audit.Started {
			n++
		}
	}
	return n
}

// records reads the audit log as far as its head goes, none if there is no log.
func (s *scene) records() []audit.Record {
	var list []audit.Record
	if _, err := os.Stat(s.root.Audit()); err != nil {
		return nil
	}
	_ = audit.Read(context.Background(), s.root.Audit(), 0, func(r audit.Record, _ []byte) error {
		list = append(list, r)
		return nil
	})
	return list
}

// alive lists processes that a command of this scene started.
func (s *scene) alive() (pids []string) {
	all, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range all {
		if b, err := os.ReadFile(path); err == nil && strings.HasPrefix(string(b), s.token) {
			pids = append(pids, filepath.Base(filepath.Dir(path)))
		}
	}
	return pids
}

func await(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !cond(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("still waiting for %s", what)
		}
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
