// Package sim makes simulated Qubes OS machines for tests: a dom0 with qvm-run
// and its kin, and qubes with homes and processes of their own.
//
// It guarantees that a world touches nothing outside its folder, that its tools
// behave as the real ones do (its own tests go through that statement by
// statement), and that Close leaves no process behind.
package sim

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"qvmremote/test/sim/proctree"
	"qvmremote/test/sim/qubesd"
	"qvmremote/test/sim/world"
)

// The power states, and the state of a qube for World.Qube.
const (
	Running   = world.Running
	Halted    = world.Halted
	Paused    = world.Paused
	Transient = world.Transient
	Halting   = world.Halting
	Crashed   = world.Crashed
)

// The knobs; README.md says what each does.
const (
	Delay      = world.Delay
	Hold       = world.Hold
	Noise      = world.Noise
	Stall      = world.Stall
	CloseAfter = world.CloseAfter
	Flood      = world.Flood
	Hang       = world.Hang
	Refuse     = world.Refuse
	ExecLimit  = world.ExecLimit
	Implement  = world.Implement
	VMExec     = world.VMExec
	Race       = world.Race
	StartFail  = world.StartFail
	StartDelay = world.StartDelay
	Isolation  = world.Isolation
	Share      = world.Share
	Env        = world.Env
	HomeSize   = world.HomeSize
	Events     = world.Events
)

// TB is what sim needs of a testing.TB.
type TB interface {
	Helper()
	Cleanup(func())
	TempDir() string
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// World is a simulated machine. It is safe for concurrent use.
type World struct {
	world.World
	// Grace is how long Close lets programs in dom0 end by themselves once
	// all qubes are down: 5 seconds.
	Grace time.Duration

	tb    TB // nil in a world made by NewAt
	leash *os.File
	power *exec.Cmd
	once  sync.Once
}

// New makes a world in a folder of the test. At the end of the test it is
// closed, and the test fails if any process of it is left.
func New(tb TB) *World {
	tb.Helper()
	w, err := NewAt(filepath.Join(tb.TempDir(), "w"))
	if err != nil {
		tb.Fatalf("simulated world: %v", err)
	}
	w.tb = tb
	tb.Cleanup(func() {
		if err := w.Close(); err != nil {
			tb.Errorf("simulated world: %v", err)
		}
	})
	return w
}

// NewAt makes a world in dir that ends with Close, or with this process. What
// New makes an error of the test is a panic there.
func NewAt(dir string) (*World, error) {
	binary, err := build()
	if err != nil {
		return nil, err
	}
	made, err := world.Create(dir, binary)
	if err != nil {
		return nil, err
	}
	r, leash, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	power, err := qubesd.Launch(made, r)
	if err != nil {
		leash.Close()
		return nil, err
	}
	return &World{World: made, Grace: 5 * time.Second, leash: leash, power: power}, nil
}

// Close ends every qube and then every process that still belongs to this
// world: one whose program or working folder lies in it, or whose environment
// names it. Having had to end one of the latter is an error that lists them.
// Closing again does nothing.
func (w *World) Close() (err error) {
	w.once.Do(func() { err = w.close() })
	return err
}

func (w *World) close() error {
	w.leash.Close()
	done := make(chan error, 1)
	go func() { done <- w.power.Wait() }()
	var err error
	select {
	case err = <-done:
	case <-time.After(20 * time.Second):
		w.power.Process.Kill()
		err = errors.New("the power manager does not end")
	}
	left := w.left(w.Grace)
	for _, pid := range left {
		err = errors.Join(err, fmt.Errorf("process left behind: %s", proctree.Describe(pid)))
		unix.Kill(pid, unix.SIGKILL)
	}
	w.left(5 * time.Second)
	return err
}

// left waits until no process of the world is there, else returns who is.
func (w *World) left(patience time.Duration) []int {
	deadline := time.Now().Add(patience)
	for {
		pids := proctree.Mentioning(w.Dir)
		if len(pids) == 0 || time.Now().After(deadline) {
			return pids
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// check ends the test on an error of the simulator.
func (w *World) check(err error) {
	if err == nil {
		return
	}
	if w.tb == nil {
		panic("simulated world: " + err.Error())
	}
	w.tb.Helper()
	w.tb.Fatalf("simulated world: %v", err)
}

// Qube makes a qube in the given state, with a red label.
func (w *World) Qube(name string, state world.State) *Qube {
	w.check(w.Add(name, "red", "AppVM"))
	q := w.Get(name)
	if state != Halted {
		q.SetState(state)
	}
	return q
}

// Add makes a halted qube, as [world.World.Add] does, and tells of it.
func (w *World) Add(name, label, class string) error {
	return qubesd.Add(w.World, name, label, class)
}

// Get returns the qube of that name, whether it exists or not.
func (w *World) Get(name string) *Qube { return &Qube{World: w, Name: name} }

// SetKnob turns a knob for the whole world; "" turns it back.
func (w *World) SetKnob(k world.Knob, value string) { w.check(qubesd.Turn(w.World, "", k, value)) }

// Dom0Env is the environment for programs in this dom0: its tools come first
// in PATH, HOME is dom0's.
func (w *World) Dom0Env() []string {
	var env []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "PATH=") && !strings.HasPrefix(v, "HOME=") && !strings.HasPrefix(v, "SIM_") {
			env = append(env, v)
		}
	}
	return append(env, w.World.Dom0Env()...)
}

// Dom0Command runs a program in dom0; a bare name is looked up in dom0/bin
// first. Its working folder is dom0's root home.
func (w *World) Dom0Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	path := name
	if !strings.Contains(name, "/") {
		if own := filepath.Join(w.Dom0Bin(), name); unix.Access(own, unix.X_OK) == nil {
			path = own
		}
	}
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Args[0], cmd.Env, cmd.Dir = name, w.Dom0Env(), filepath.Join(w.Dom0(), "root")
	return cmd
}

// Calls counts how often a tool was started in dom0. What qvm-run starts
// itself is counted as "qvm-run/qrexec-client".
func (w *World) Calls(tool string) int {
	calls, err := w.World.Calls()
	w.check(err)
	n := 0
	for _, c := range calls {
		if c.Tool == tool {
			n++
		}
	}
	return n
}
