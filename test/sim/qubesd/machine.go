package qubesd

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"qvmremote/test/sim/guest"
	"qvmremote/test/sim/proctree"
	"qvmremote/test/sim/world"
)

// machine is one qube's processes. mu is held over every operation.
type machine struct {
	world.World
	nursery *nursery
	admin   *admin
	name    string
	mu      sync.Mutex

	ln     *net.UnixListener // qrexec socket, from the first moment of a start
	init   *exec.Cmd         // nil when down
	how    string            // guest.User, guest.Mount or guest.Plain
	leash  *os.File
	ended  chan struct{} // closed when init was collected
	frozen bool
}

// become does what it takes to be in state.
func (m *machine) become(state world.State) error {
	switch state {
	case world.Halted, world.Crashed:
		return m.halt(state)
	case world.Transient:
		if err := m.halt(world.Halted); err != nil {
			return err
		}
		if err := m.listen(); err != nil {
			return err
		}
		return m.enter(state)
	case world.Running, world.Paused, world.Halting:
		if m.init == nil {
			if err := m.boot(); err != nil {
				return err
			}
		}
		if err := m.freeze(state == world.Paused); err != nil {
			return err
		}
		return m.enter(state)
	}
	return fmt.Errorf("unknown power state %q", state)
}

// enter records a state, and tells of the change.
func (m *machine) enter(state world.State) error {
	before, err := m.State(m.name)
	if err == nil && state == world.Halted && before == world.Running {
		m.admin.moved(m.name, before, world.Halting) // it still runs then
		before = world.Halting
	}
	if err == nil {
		err = m.SetState(m.name, state)
	}
	if err == nil {
		m.admin.moved(m.name, before, state)
	}
	return err
}

func (m *machine) listen() (err error) {
	if m.ln == nil {
		m.ln, err = world.Listen(m.Qrexec(m.name))
	}
	return err
}

// boot starts the qube: Transient, then Running.
func (m *machine) boot() error {
	if m.On(m.name, world.StartFail, false) {
		return fmt.Errorf("domain %s cannot be started (start-fail is set)", m.name)
	}
	if err := m.listen(); err != nil {
		return err
	}
	if err := m.enter(world.Transient); err != nil {
		return err
	}
	time.Sleep(m.Duration(m.name, world.StartDelay))
	if err := m.spawn(); err != nil {
		return errors.Join(err, m.halt(world.Crashed))
	}
	return errors.Join(m.CountBoot(m.name), m.SetIsolation(m.name, m.how), m.enter(world.Running))
}

// spawn starts the first process, as well isolated as knob and machine allow.
func (m *machine) spawn() error {
	choices := []string{guest.User, guest.Mount, guest.Plain}
	if k := m.Knob(m.name, world.Isolation); k != "" && k != "auto" {
		choices = []string{k}
	}
	var errs error
	for _, how := range choices {
		err := m.spawnAs(how)
		if err == nil {
			return nil
		}
		errs = errors.Join(errs, fmt.Errorf("start %s with isolation %s: %w", m.name, how, err))
	}
	return errs
}

func (m *machine) spawnAs(how string) error {
	user, err := m.User(m.name)
	if err != nil {
		return err
	}
	config := guest.NewConfig(m.Dir, m.name, user, how, lines(m.Knob(m.name, world.Share)), lines(m.Knob(m.name, world.Env)))
	config.HomeSize, _ = m.Count(m.name, world.HomeSize)
	if config.HomeSize > 0 && how == guest.Plain {
		return errors.New("home-size needs namespaces")
	}
	argv, err := config.Argv()
	if err != nil {
		return err
	}
	socket, err := m.ln.File()
	if err != nil {
		return err
	}
	defer socket.Close()
	readyRead, readyWrite, err := os.Pipe()
	if err != nil {
		return err
	}
	defer readyRead.Close()
	leashRead, leashWrite, err := os.Pipe()
	if err != nil {
		readyWrite.Close()
		return err
	}
	cmd := &exec.Cmd{Path: m.QubePath(m.name, "lib", world.Program), Args: argv, Dir: "/", Env: []string{},
		ExtraFiles: []*os.File{socket, readyWrite, leashRead}, SysProcAttr: guest.Attributes(how)}
	err = m.nursery.start(cmd)
	readyWrite.Close()
	leashRead.Close()
	if err != nil {
		leashWrite.Close()
		return err
	}
	readyRead.SetReadDeadline(time.Now().Add(10 * time.Second))
	said, err := io.ReadAll(io.LimitReader(readyRead, 4096))
	if string(said) != guest.Ready {
		cmd.Process.Kill()
		leashWrite.Close()
		return errors.Join(err, fmt.Errorf("not ready: %q", said), m.nursery.wait(cmd))
	}
	m.init, m.how, m.leash, m.frozen, m.ended = cmd, how, leashWrite, false, make(chan struct{})
	go m.watch(cmd, m.ended)
	return nil
}

// watch notices when the first process ends without being told to.
func (m *machine) watch(cmd *exec.Cmd, ended chan struct{}) {
	if err := m.nursery.wait(cmd); err != nil {
		fmt.Fprintf(os.Stderr, "qubesd: end of %s: %v\n", m.name, err)
	}
	close(ended)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.init == cmd && m.Exists(m.name) {
		m.halt(world.Crashed)
	}
}

// halt ends everything in the qube. The state is changed first: who sees a
// stream end also sees that the qube is down.
func (m *machine) halt(state world.State) error {
	if err := m.enter(state); err != nil {
		return err
	}
	if m.ln != nil {
		m.ln.Close()
		os.Remove(m.Qrexec(m.name))
		m.ln = nil
	}
	if m.init == nil {
		return nil
	}
	pid, deadline := m.init.Process.Pid, time.Now().Add(10*time.Second)
	var err error
	if m.how == guest.Plain {
		// nobody may leave the tree, and no status may be reported, meanwhile
		if err = proctree.Freeze(pid); err == nil {
			err = proctree.KillBelow(pid, deadline)
		}
	}
	m.init.Process.Kill()
	select {
	case <-m.ended:
	case <-time.After(time.Until(deadline)):
		err = errors.Join(err, fmt.Errorf("qube %s does not end", m.name))
	}
	m.leash.Close()
	m.init, m.frozen = nil, false
	return err
}

func (m *machine) freeze(on bool) error {
	if on == m.frozen {
		return nil
	}
	pid := m.init.Process.Pid
	if on {
		if err := proctree.Freeze(pid); err != nil {
			return err
		}
	} else {
		proctree.Thaw(pid)
	}
	m.frozen = on
	return nil
}

// renew is what a user does who removes a qube and makes one of that name.
func (m *machine) renew() error {
	if err := m.halt(world.Halted); err != nil {
		return err
	}
	return m.Renew(m.name)
}

func lines(s string) []string { return strings.FieldsFunc(s, func(r rune) bool { return r == '\n' }) }
