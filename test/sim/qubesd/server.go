package qubesd

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"qvmremote/test/sim/world"
)

type server struct {
	world.World
	nursery  *nursery
	admin    *admin
	mu       sync.Mutex
	machines map[string]*machine
	closing  bool
}

// Main is the power manager: argv is its name, the world's folder and "leash"
// if descriptor 3 is one.
func Main(argv []string) int {
	if err := run(argv); err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}

func run(argv []string) error {
	if len(argv) < 2 {
		return errors.New("qubesd is started by the simulator only")
	}
	w, err := world.Open(argv[1])
	if err != nil {
		return err
	}
	lock, err := os.OpenFile(w.Socket()+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := take(lock); err != nil {
		return fmt.Errorf("another power manager runs in %s: %w", w.Dir, err)
	}
	born, err := newNursery()
	if err != nil {
		return err
	}
	s := &server{World: w, nursery: born, admin: newAdmin(w), machines: map[string]*machine{}}
	if err := s.settle(); err != nil {
		return err
	}
	ln, err := world.Listen(w.Socket())
	if err != nil {
		return err
	}
	if err := s.admin.obey(); err != nil {
		return err
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	if len(argv) > 2 {
		unix.CloseOnExec(3)
		go func() {
			io.Copy(io.Discard, os.NewFile(3, "leash"))
			stop <- syscall.SIGHUP
		}()
	}
	go s.accept(ln, stop)
	if _, err := fmt.Println("ready"); err != nil {
		return err
	}
	<-stop
	defer s.admin.close()
	return errors.Join(s.closeAll(), os.Remove(w.Socket()))
}

// take waits a little: one that was asked to close may still be on its way out.
func take(lock *os.File) error {
	for deadline := time.Now().Add(3 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil || time.Now().After(deadline) {
			return err
		}
	}
}

// settle makes a world whose last power manager was killed tell the truth.
func (s *server) settle() error {
	names, err := s.Qubes()
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := s.SetState(name, world.Halted); err != nil {
			return err
		}
	}
	return nil
}

func (s *server) accept(ln *net.UnixListener, stop chan<- os.Signal) {
	for {
		c, err := ln.AcceptUnix()
		if err != nil {
			return
		}
		go s.answer(c, stop)
	}
}

func (s *server) answer(c *net.UnixConn, stop chan<- os.Signal) {
	defer c.Close()
	c.SetReadDeadline(time.Now().Add(limit))
	var r Request
	if err := json.NewDecoder(io.LimitReader(c, 1<<16)).Decode(&r); err != nil {
		return
	}
	var a Answer
	var err error
	switch r.Op {
	case OpClose:
		err = s.closeAll()
	case OpObey:
		err = s.admin.obey()
	case OpEvent:
		s.admin.tell(r.Qube, r.Event, r.Of...)
	default:
		err = s.operate(r)
	}
	if errors.Is(err, ErrNotHalted) {
		a.NotHalted = true
	} else if err != nil {
		a.Error = err.Error()
	}
	json.NewEncoder(c).Encode(a)
	if r.Op == OpClose {
		stop <- syscall.SIGHUP
	}
}

// machine returns the processes of the qube, locked.
func (s *server) machine(name string) (*machine, error) {
	s.mu.Lock()
	if s.closing {
		s.mu.Unlock()
		return nil, errors.New("the world is closing")
	}
	m, ok := s.machines[name]
	if !ok {
		m = &machine{World: s.World, nursery: s.nursery, admin: s.admin, name: name}
		s.machines[name] = m
	}
	s.mu.Unlock()
	m.mu.Lock()
	return m, nil
}

func (s *server) operate(r Request) error {
	if err := world.CheckName(r.Qube); err != nil {
		return err
	}
	m, err := s.machine(r.Qube)
	if err != nil {
		return err
	}
	defer m.mu.Unlock()
	state, err := s.State(r.Qube)
	if err != nil {
		return err
	}
	switch r.Op {
	case OpStart:
		if state.IsRunning() {
			return ErrNotHalted
		}
		return m.boot()
	case OpUnpause:
		if state != world.Paused {
			return nil
		}
		return m.become(world.Running)
	case OpState:
		return m.become(r.State)
	case OpRemove:
		err := errors.Join(m.halt(world.Halted), s.Drop(r.Qube))
		s.admin.tell("", eventDelete, "vm", r.Qube)
		return err
	case OpRenew:
		err := m.renew()
		s.admin.tell("", eventDelete, "vm", r.Qube)
		s.admin.tell("", eventAdd, "vm", r.Qube)
		return err
	}
	return fmt.Errorf("unknown operation %q", r.Op)
}

// closeAll ends every qube and lets no other begin.
func (s *server) closeAll() error {
	s.mu.Lock()
	s.closing = true
	machines := s.machines
	s.mu.Unlock()
	errs := make(chan error, len(machines))
	for _, m := range machines {
		go func() {
			m.mu.Lock()
			defer m.mu.Unlock()
			if !s.Exists(m.name) {
				errs <- nil
				return
			}
			errs <- m.halt(world.Halted)
		}()
	}
	var err error
	for range machines {
		err = errors.Join(err, <-errs)
	}
	return err
}
