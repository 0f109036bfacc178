package main

import (
	"context"
	"errors"
	"maps"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"qvmremote/daemon/admin"
	"qvmremote/dbus"
	"qvmremote/dbus/gate"
	"qvmremote/test/bus"
	"qvmremote/test/bus/polkit"
	"qvmremote/test/bus/systemd"
	"qvmremote/test/executable"
)

// TestOverBus runs the scripts against a real manager, which the bus starts,
// and a real executor, which systemd starts.
func TestOverBus(t *testing.T) {
	t.Parallel()
	program := forOthers(t)
	for _, folder := range []string{"script", "bus"} {
		testscript.Run(t, params("bus", folder, func(e *testscript.Env) error {
			m := newMachine(t, e)
			e.Setenv("FOR_OTHERS", program)
			e.Values[theSystemd], e.Values[thePolkit] = m.systemd, m.polkit
			return nil
		}))
	}
}

// TestBrokenService runs the scripts about a service that is installed and
// does not start.
func TestBrokenService(t *testing.T) {
	t.Parallel()
	b := bus.Start(t)
	b.Activatable(t, dbus.Name, "/bin/false", nil, nil)
	testscript.Run(t, params("bus", "broken", func(e *testscript.Env) error {
		e.Setenv("QVM_REMOTE_BUS", b.Address)
		return nil
	}))
}

// thePolkit is the script's, by that name among its values.
const thePolkit = "polkit"

// allow tells polkit which actions everybody may do from now on, by the last
// part of their names; polkit password has it ask a person.
func allow(ts *testscript.TestScript, _ bool, args []string) {
	p := ts.Value(thePolkit).(*polkit.Fake)
	if slices.Equal(args, []string{"password"}) {
		p.SetAnswer(polkit.Password)
		return
	}
	var actions []string
	for _, name := range args {
		actions = append(actions, dbus.Name+"."+name)
	}
	p.SetAllowed(actions...)
}

// machine is what a dom0 has around the program: a bus that starts the manager,
// and a systemd that starts both.
type machine struct {
	address string
	root    string
	environ []string
	bus     *bus.Bus
	polkit  *polkit.Fake
	systemd *systemd.Fake

	mu      sync.Mutex
	running map[string]*process // by unit
}

// process is a unit's.
type process struct {
	*exec.Cmd
	ended chan struct{} // closed when err is known
	err   error
}

// newMachine makes the machine of one script, on which everybody may do all.
func newMachine(t *testing.T, e *testscript.Env) *machine {
	t.Helper()
	m := &machine{root: e.Getenv("ROOT"), running: map[string]*process{}}
	m.bus = bus.Start(t, bus.Options{Policy: `<policy user="` + outsiderName + `"><deny send_destination="` + dbus.Name + `"/></policy>`})
	m.address = m.bus.Address
	e.Defer(m.stop)
	e.Setenv("QVM_REMOTE_BUS", m.address)
	e.Setenv("SYSTEMD", m.address)
	// With GOCOVERDIR what the service does counts as covered.
	for _, name := range []string{"PATH", "QUBES", "WORK", "GORACE", "GOCOVERDIR", "QVM_REMOTE_BUS", "HOME"} {
		m.environ = append(m.environ, name+"="+e.Getenv(name))
	}
	m.polkit = polkit.Start(t, m.bus)
	m.polkit.SetAllowed(gate.Actions()...)
	m.systemd = systemd.Start(t, m.bus)
	m.systemd.Add(admin.Service, systemd.Hooks{Start: m.startExecutor, Stop: m.stopUnit})
	m.systemd.Add(admin.ManageService, systemd.Hooks{Start: m.startManager, Stop: m.stopUnit})
	self, err := exec.LookPath("qvm-remote-dom0")
	if err != nil {
		t.Fatal(err)
	}
	m.bus.Activatable(t, dbus.Name, self, []string{"--root", m.root, "--manage"}, m.environ)
	return m
}

// run starts the program as a unit's process.
func (m *machine) run(unit string, args ...string) error {
	cmd := exec.Command("qvm-remote-dom0", append([]string{"--root", m.root}, args...)...)
	cmd.Env, cmd.Stderr = m.environ, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := cmd.Start(); err != nil {
		return err
	}
	p := &process{Cmd: cmd, ended: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		close(p.ended)
	}()
	m.running[unit] = p
	return nil
}

func (m *machine) startManager(unit string) error { return m.run(unit, "--manage") }

// startExecutor returns when the executor answers or has ended, as systemd does.
func (m *machine) startExecutor(unit string) error {
	if err := m.run(unit); err != nil {
		return err
	}
	m.mu.Lock()
	p := m.running[unit]
	m.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	c, err := dbus.Dial(ctx, m.address)
	if err != nil {
		return err
	}
	defer c.Close()
	for ctx.Err() == nil {
		now, err := c.ReadManager(ctx)
		if err == nil && (now.State == dbus.Running || now.State == dbus.Paused) {
			return nil
		}
		select {
		case <-p.ended:
			return errors.Join(errors.New("the executor ended"), m.stopUnit(unit))
		case <-time.After(10 * time.Millisecond):
		}
	}
	return ctx.Err()
}

// stopUnit ends a unit's process and waits for its end.
func (m *machine) stopUnit(unit string) error {
	m.mu.Lock()
	p := m.running[unit]
	delete(m.running, unit)
	m.mu.Unlock()
	if p == nil {
		return nil
	}
	err := p.Process.Signal(syscall.SIGTERM)
	if errors.Is(err, os.ErrProcessDone) {
		err = nil
	}
	<-p.ended
	return errors.Join(err, p.err)
}

// stop ends the machine with all that runs on it.
func (m *machine) stop() {
	m.mu.Lock()
	units := slices.Collect(maps.Keys(m.running))
	m.mu.Unlock()
	for _, unit := range units {
		_ = m.stopUnit(unit) // in order: what is killed tells nothing of what it covered
	}
	m.bus.Stop()
}

// Users of every machine: one whom the bus lets speak to the service, as it
// does the members of its group, and one whom it does not.
const (
	memberName   = "nobody"
	outsiderName = "daemon"
)

func playMember()   { os.Exit(playAs(memberName)) }
func playOutsider() { os.Exit(playAs(outsiderName)) }

// playAs is the program as another user starts it, from where that user may.
func playAs(name string) int {
	id := func(text string) uint32 {
		n, err := strconv.ParseUint(text, 10, 32)
		if err != nil {
			panic(err)
		}
		return uint32(n)
	}
	u, err := user.Lookup(name)
	if err != nil {
		panic(err)
	}
	cmd := exec.Command(os.Getenv("FOR_OTHERS"), append([]string{"--root", os.Getenv("ROOT")}, os.Args[1:]...)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.Dir = os.Stdin, os.Stdout, os.Stderr, "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: id(u.Uid), Gid: id(u.Gid)}}
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		panic(err)
	}
	return cmd.ProcessState.ExitCode()
}

// forOthers is a copy of the program that every user may start.
func forOthers(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "program") // t.TempDir is closed to other users
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	self, err := os.ReadFile("/proc/self/exe")
	path := filepath.Join(dir, programName)
	if err = errors.Join(err, os.Chmod(dir, 0o755), executable.Write(path, self)); err != nil {
		t.Fatal(err)
	}
	return path
}
