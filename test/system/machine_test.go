//go:build system

package system

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"qvmremote/test/debian"
	"qvmremote/test/sim/proctree"
)

// How long things may take on a machine that has other things to do.
const (
	bootTime    = 90 * time.Second
	commandTime = 60 * time.Second
)

// Machine is a booted system.
type Machine struct {
	name    string
	keeper  *exec.Cmd
	leash   io.Closer
	ended   chan struct{} // closed when the keeper was collected
	cgroups []string
	console *tail
	once    sync.Once

	// leader is the first process of the machine, as this system counts it.
	leader int
}

// Boot starts a machine from the image and returns when its start is over. It
// is closed at the end of the test.
func Boot(t *testing.T) *Machine {
	t.Helper()
	i := Image(t)
	clearCgroups()
	m, err := boot(t.Context(), i)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

// machines counts, for their names.
var machines = make(chan int, 1)

func init() { machines <- 0 }

func nextName() string {
	n := <-machines + 1
	machines <- n
	return fmt.Sprintf("%s%d-%d", cgroupPrefix, os.Getpid(), n)
}

func boot(ctx context.Context, i debian.Tree) (*Machine, error) {
	over := filepath.Join(filepath.Dir(i.Path), "mount")
	if err := os.MkdirAll(over, 0o700); err != nil {
		return nil, fmt.Errorf("boot: %w", err)
	}
	m := &Machine{name: nextName(), ended: make(chan struct{}), console: &tail{}}
	var err error
	if m.cgroups, err = makeCgroups(m.name); err != nil {
		return nil, fmt.Errorf("boot: %w", err)
	}
	if err = m.start(keeper{Name: m.name, Tree: i.Path, Over: over, Join: m.cgroups}); err != nil {
		return nil, errors.Join(fmt.Errorf("boot: %w", err), removeCgroups(m.cgroups))
	}
	if err = m.await(ctx, 0); err != nil {
		return nil, errors.Join(err, m.Close())
	}
	return m, nil
}

// start starts the keeper.
func (m *Machine) start(k keeper) error {
	arg, err := json.Marshal(k)
	if err != nil {
		return err
	}
	cmd := &exec.Cmd{Path: "/proc/self/exe", Args: []string{os.Args[0], keeperName, string(arg)},
		Env: []string{"PATH=" + os.Getenv("PATH")}, Dir: "/", Stdout: m.console, Stderr: m.console,
		SysProcAttr: &syscall.SysProcAttr{Setsid: true, Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWPID}}
	if m.leash, err = cmd.StdinPipe(); err != nil {
		return err
	}
	cmd.WaitDelay = time.Second
	m.keeper = cmd
	return bind(cmd, func(error) { close(m.ended) })
}

// bind starts a process that is killed when this one ends, and calls ended with
// how it ended. The kernel ties it to the thread that started it, so that
// thread is kept for it.
func bind(cmd *exec.Cmd, ended func(error)) error {
	cmd.SysProcAttr.Pdeathsig = unix.SIGKILL
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			ended(cmd.Wait())
		}
	}()
	return <-started
}

// await waits until the machine has come up with another first process than
// old, and its start is over, well or not.
func (m *Machine) await(ctx context.Context, old int) error {
	ctx, cancel := context.WithTimeout(ctx, bootTime)
	defer cancel()
	alive := func() bool {
		select {
		case <-m.ended:
			return false
		default:
			return true
		}
	}
	err := poll(bootTime, func() error {
		if !alive() {
			return nil
		}
		if m.leader = m.findLeader(); m.leader == 0 || m.leader == old {
			return errors.New("no first process")
		}
		_, err := os.Stat(fmt.Sprintf("/proc/%d/root/run/systemd/private", m.leader))
		return err
	})
	if err != nil {
		return fmt.Errorf("the machine does not come up: %w\n%s", err, m.console)
	}
	// A socket is there before somebody listens at it.
	var state string
	_ = poll(bootTime, func() error {
		state, err = m.output(ctx, "", "systemctl", "is-system-running", "--wait")
		if state = strings.TrimSpace(state); state != "" || !alive() {
			return nil
		}
		return err
	})
	switch {
	case !alive():
		return fmt.Errorf("the machine ended:\n%s", m.console)
	case state != "running" && state != "degraded":
		return fmt.Errorf("the machine is %q: %w\n%s", state, err, m.console)
	}
	return nil
}

// findLeader finds the process below the keeper that is the first of a pid
// namespace of its own; 0 if there is none (yet).
func (m *Machine) findLeader() int {
	for _, pid := range proctree.Below(m.keeper.Process.Pid) {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			continue
		}
		for line := range bytes.Lines(status) {
			// as seen here, by the keeper, and in the machine
			ids := strings.Fields(string(line))
			if ids[0] == "NSpid:" && len(ids) == 4 && ids[3] == "1" {
				return pid
			}
		}
	}
	return 0
}

// Reboot has the machine reboot itself and returns when its next start is over.
func (m *Machine) Reboot(t *testing.T) {
	t.Helper()
	old := m.leader
	// the answer may be lost in the shutdown that it begins
	_, _ = m.Run("systemctl", "reboot")
	if err := m.await(t.Context(), old); err != nil {
		t.Fatalf("reboot: %v", err)
	}
}

// Close ends all of the machine. Closing again does nothing.
func (m *Machine) Close() (err error) {
	m.once.Do(func() {
		_ = m.keeper.Process.Kill()
		m.leash.Close()
		select {
		case <-m.ended:
		case <-time.After(10 * time.Second):
			err = errors.New("the keeper of the machine does not end")
		}
		err = errors.Join(err, removeCgroups(m.cgroups))
	})
	return err
}

// tail keeps the last of what is written to it.
type tail struct {
	mu   sync.Mutex
	text []byte
}

const tailSize = 16 << 10

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, b...)
	if n := len(t.text) - tailSize; n > 0 {
		t.text = append([]byte(nil), t.text[n:]...)
	}
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.text)
}
