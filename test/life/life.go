// Package life makes a simulated dom0 with life in it: qubes that are authorised
// and connected, a message bus with a systemd and a polkit, the real programs as
// their units, and a past. The desktop's tests, the demos and the benchmarks
// look at it.
//
// It guarantees that a house touches nothing outside its folder, and that Close
// leaves no process behind.
package life

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"qvmremote/daemon/admin"
	"qvmremote/daemon/paths"
	units "qvmremote/daemon/systemd"
	"qvmremote/dbus"
	"qvmremote/dbus/gate"
	"qvmremote/test/bus"
	"qvmremote/test/bus/polkit"
	"qvmremote/test/bus/systemd"
	"qvmremote/test/sim"
)

// patience bounds every wait for something that comes soon on an idle machine.
const patience = 90 * time.Second

// Options differ from a house of three qubes whose executor runs and whose log
// is empty but for their authorisation.
type Options struct {
	Dir      string   // to be made; "" for a folder of its own, removed by Close
	Programs Programs // empty: built
	Qubes    int      // how many are authorised; 0 for three
	Strange  bool     // none of them is, as before a first use
	Records  int      // of the audit log's past, see [FillAudit]
	Day      bool     // that past is one day, not as long as the log keeps
	History  bool     // one command of each outcome, really run; see [House.LiveThrough]
	Running  bool     // one command that runs until it is cancelled
	Stopped  bool     // leave the executor stopped; the bus starts the manager
	Policy   string   // more rules of the bus, as XML
	Rules    string   // of each qube, in place of those that allow everything
}

// House is one simulated dom0. Its methods may be called from several
// goroutines.
type House struct {
	*sim.World
	BusAddress string
	Bus        *bus.Bus
	Systemd    *systemd.Fake
	Polkit     *polkit.Fake // allows everything at first
	Qubes      []string     // those that are authorised

	programs Programs
	executor *systemd.Program
	manager  *systemd.Program
	undo     []func() error // the last one first
}

// Start makes a house for the time of the test.
func Start(t testing.TB, o Options) *House {
	t.Helper()
	if o.Dir == "" {
		o.Dir = filepath.Join(t.TempDir(), "w")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 4*patience)
	defer cancel()
	h, err := New(ctx, o)
	if err != nil {
		t.Fatalf("make a house: %v", err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Errorf("close the house: %v", err)
		}
		if t.Failed() {
			t.Logf("the executor said:\n%s\nthe manager said:\n%s", h.executor.Said(), h.manager.Said())
		}
	})
	return h
}

// New makes a house that ends with Close.
func New(ctx context.Context, o Options) (*House, error) {
	h := &House{programs: o.Programs}
	if err := h.build(ctx, o); err != nil {
		return nil, errors.Join(err, h.Close())
	}
	return h, nil
}

func (h *House) build(ctx context.Context, o Options) error {
	dir, err := h.place(ctx, o.Dir)
	if err != nil {
		return err
	}
	if h.World, err = sim.NewAt(dir); err != nil {
		return err
	}
	h.later(h.World.Close)
	for _, step := range []func() error{
		func() error { return h.people(max(o.Qubes, 0)) },
		func() error { return h.remember(ctx, o) },
		func() error { return h.introduce(ctx, o) },
		func() error { return h.furnish(bus.Options{Policy: o.Policy}) },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	if o.Stopped && !o.History && !o.Running {
		return nil
	}
	if err := h.Start(ctx); err != nil {
		return err
	}
	if o.History {
		if err := h.LiveThrough(ctx); err != nil {
			return err
		}
	}
	if o.Running {
		if _, err := h.RunForever(ctx, h.Qubes[1%len(h.Qubes)]); err != nil {
			return err
		}
	}
	if o.Stopped {
		return h.Stop(ctx)
	}
	return nil
}

// place makes the folder above the world, and the programs where nobody named
// them.
func (h *House) place(ctx context.Context, dir string) (string, error) {
	own := ""
	folder := func() (string, error) {
		if own != "" {
			return own, nil
		}
		made, err := os.MkdirTemp("", "life")
		if err == nil {
			own = made
			h.later(func() error { return os.RemoveAll(made) })
		}
		return made, err
	}
	if h.programs == (Programs{}) {
		bin, err := folder()
		if err != nil {
			return "", err
		}
		if h.programs, err = Build(ctx, bin); err != nil {
			return "", err
		}
	}
	if dir != "" {
		return dir, nil
	}
	made, err := folder()
	return filepath.Join(made, "w"), err
}

// furnish puts systemd, polkit and both units on a bus.
func (h *House) furnish(o bus.Options) error {
	var err error
	if h.Bus, err = bus.New(o); err != nil {
		return err
	}
	h.BusAddress = h.Bus.Address
	h.later(func() error { h.Bus.Close(); return nil })
	forSystemd, err := h.Bus.Dial()
	if err != nil {
		return err
	}
	if h.Systemd, err = systemd.New(forSystemd); err != nil {
		return err
	}
	forPolkit, err := h.Bus.Dial()
	if err != nil {
		return err
	}
	if h.Polkit, err = polkit.New(forPolkit); err != nil {
		return err
	}
	h.Polkit.SetAllowed(gate.Actions()...)
	h.executor, h.manager = h.program(), h.program("--manage")
	h.Systemd.AddProgram(admin.Service, h.executor)
	h.Systemd.AddProgram(admin.ManageService, h.manager)
	// An executor starts a manager as it ends, so that one is last.
	h.later(h.Systemd.Finish)
	h.later(h.manager.Close)
	h.later(h.executor.Close)
	h.later(h.stopEverything)
	return h.ActivateManager()
}

// ActivateManager has the bus start the manager for whoever asks for it, as it
// does from the beginning.
func (h *House) ActivateManager() error {
	return h.Bus.Activate(dbus.Name, h.programs.Dom0, []string{"--root", h.Dom0(), "--manage"}, h.environ())
}

// environ is what dom0's programs find themselves in.
func (h *House) environ() []string {
	return append(h.Dom0Env(), paths.BusVar+"="+h.BusAddress)
}

func (h *House) program(args ...string) *systemd.Program {
	return &systemd.Program{Command: func() *exec.Cmd {
		cmd := h.Dom0Command(context.Background(), h.programs.Dom0, append([]string{"--root", h.Dom0()}, args...)...)
		cmd.Env = h.environ()
		return cmd
	}}
}

// later has Close do something, before what was to be done already.
func (h *House) later(what func() error) { h.undo = append(h.undo, what) }

// Close ends everything in the house. Closing again does nothing.
func (h *House) Close() error {
	var err error
	for i := len(h.undo) - 1; i >= 0; i-- {
		err = errors.Join(err, h.undo[i]())
	}
	h.undo = nil
	return err
}

// stopEverything ends what runs, which an executor that ends would wait for.
func (h *House) stopEverything() error {
	if !h.executor.Running() {
		return nil
	}
	return os.WriteFile(h.Root().Stop(), nil, 0o600)
}

// Root is where dom0's files lie.
func (h *House) Root() paths.Root { return paths.Root(h.Dom0()) }

// Environ are the variables by which programs find the house.
func (h *House) Environ() []string {
	return []string{paths.BusVar + "=" + h.BusAddress, "SIM_WORLD=" + h.Dir}
}

// Start starts the executor as an administrator does, and waits until it is
// connected to all qubes that run.
func (h *House) Start(ctx context.Context) error {
	if err := (units.Units{Address: h.BusAddress}).Start(ctx, admin.Service); err != nil {
		return fmt.Errorf("%w\n%s", err, h.executor.Said())
	}
	return h.awaitConnected(ctx)
}

// Stop stops the executor, which waits for what runs.
func (h *House) Stop(ctx context.Context) error {
	return units.Units{Address: h.BusAddress}.Stop(ctx, admin.Service, true)
}

// Kill ends the executor without a warning, as a crash does.
func (h *House) Kill() { h.executor.Kill() }

// Signal sends the executor a signal: SIGSTOP makes a service that does not
// answer.
func (h *House) Signal(s os.Signal) error { return h.executor.Signal(s) }

// Deny makes polkit refuse everybody but root, as a person does who closes the
// password dialog.
func (h *House) Deny() { h.Polkit.SetAnswer(polkit.Dismissed) }
