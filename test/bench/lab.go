package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"qvmremote/daemon"
	"qvmremote/queue"
	"qvmremote/test/sim"
)

// lab holds the programs under test.
type lab struct {
	dir    string
	self   string
	client string
	dom0   string
}

func newLab(ctx context.Context) (*lab, error) {
	dir, err := os.MkdirTemp("", "qvm-remote-bench-")
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	l := &lab{dir: dir, self: self, client: filepath.Join(dir, "qvm-remote"), dom0: filepath.Join(dir, "qvm-remote-dom0")}
	return l, l.compile(ctx, nil)
}

// compile builds both programs as a release does.
func (l *lab) compile(ctx context.Context, env []string) error {
	for _, p := range []struct{ out, pkg string }{{l.client, "./cmd/qvm-remote"}, {l.dom0, "./cmd/qvm-remote-dom0"}} {
		cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", p.out, p.pkg)
		cmd.Env = append(append(os.Environ(), "CGO_ENABLED=0"), env...)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("cannot build %s: %w\n%s", p.pkg, err, out)
		}
	}
	return nil
}

func (l *lab) close() { _ = os.RemoveAll(l.dir) }

// scene is a world with a daemon in it.
type scene struct {
	*sim.World
	lab    *lab
	qubes  []*sim.Qube
	daemon *exec.Cmd
}

// newScene makes a world of n authorised, connected qubes.
func (l *lab) newScene(ctx context.Context, n int, env ...string) (*scene, error) {
	return l.newMixedScene(ctx, n, func(int) bool { return false }, env...)
}

// newMixedScene is newScene where some of the qubes have no agent, so that dom0
// polls them.
func (l *lab) newMixedScene(ctx context.Context, n int, polled func(int) bool, env ...string) (*scene, error) {
	dir, err := os.MkdirTemp(l.dir, "world-")
	if err != nil {
		return nil, err
	}
	w, err := sim.NewAt(dir)
	if err != nil {
		return nil, err
	}
	s := &scene{World: w, lab: l}
	root := filepath.Join(dir, "dom0")
	keys := filepath.Join(root, "etc/qubes/remote.d")
	if err := os.MkdirAll(keys, 0o700); err != nil {
		return nil, err
	}
	var names []string
	for i := range n {
		name := fmt.Sprintf("bench%d", i)
		names = append(names, name)
		if err := s.addQube(name, keys, !polled(i)); err != nil {
			return nil, err
		}
	}
	conf := "QVM_REMOTE_VMS=" + strconv.Quote(strings.Join(names, " ")) + "\n"
	if err := os.WriteFile(filepath.Join(root, "etc/qubes/remote.conf"), []byte(conf), 0o600); err != nil {
		return nil, err
	}
	s.daemon = w.Dom0Command(ctx, l.dom0, "--root", root)
	s.daemon.Env = append(s.daemon.Env, env...)
	if s.daemon.Stderr, err = os.Create(filepath.Join(dir, "daemon.log")); err != nil {
		return nil, err
	}
	if err := s.daemon.Start(); err != nil {
		return nil, err
	}
	return s, s.awaitConnected(root, n)
}

func (s *scene) addQube(name, keys string, agent bool) error {
	q := s.Qube(name, sim.Running)
	if agent {
		q.Install(s.lab.client, "qvm-remote")
	}
	q.Install(s.lab.self, "bench")
	s.qubes = append(s.qubes, q)
	k := queue.GenerateKey().Reveal()
	layout := queue.Layout{Root: filepath.Join(q.Home(), queue.FolderName)}
	if err := layout.Make(); err != nil {
		return err
	}
	if err := queue.Publish(layout.Key(), k); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(keys, name+".policy"), []byte("allow **\n"), 0o600); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(keys, name+".key"), k, 0o600)
}

func (s *scene) awaitConnected(root string, n int) error {
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		st, err := daemon.ReadStatus(filepath.Join(root, "run/qvm-remote/status"))
		if err == nil && len(slices.DeleteFunc(st.Qubes, func(q daemon.QubeStatus) bool { return q.State != "connected" })) == n {
			return nil
		}
	}
	return fmt.Errorf("not all of %d qubes were connected in time", n)
}

func (s *scene) end() {
	if s.daemon != nil && s.daemon.Process != nil {
		_ = s.daemon.Process.Signal(os.Interrupt)
		_ = s.daemon.Wait()
	}
	if err := s.Close(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
	}
}

// ask runs this program's inner mode in a qube and reads its report.
func (s *scene) ask(ctx context.Context, q *sim.Qube, report any, args ...string) error {
	cmd := q.Command(ctx, append([]string{"bench", inside}, args...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("in the qube: %w", err)
	}
	return json.Unmarshal(out, report)
}

// statusField reads a number such as VmRSS or voluntary_ctxt_switches.
func statusField(pid int, name string) int64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return -1
	}
	for _, line := range strings.Split(string(b), "\n") {
		if k, v, ok := strings.Cut(line, ":"); ok && k == name {
			n, _ := strconv.ParseInt(strings.Fields(v)[0], 10, 64)
			return n
		}
	}
	return -1
}

// quantile is the value below which the part p of the sorted list lies.
func quantile(list []time.Duration, p float64) time.Duration {
	slices.Sort(list)
	return list[min(len(list)-1, int(p*float64(len(list))))]
}

func ms(d time.Duration) string { return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000) }

func times(a, b time.Duration) string { return fmt.Sprintf("%.1f ×", float64(a)/float64(b)) }
