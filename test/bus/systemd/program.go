package systemd

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"qvmremote/test/child"
)

const (
	readyLimit = 20 * time.Second
	endLimit   = 45 * time.Second // more than a daemon waits for what runs
)

var errClosed = errors.New("the machine is being shut down")

// Program is what a unit runs, as systemd runs a service of Type=notify: it is
// started once at a time, is ready when it says so, and is ended by SIGTERM,
// also where this process ends first.
type Program struct {
	// Command is a fresh command each time; its outputs are the Program's.
	Command func() *exec.Cmd

	ended  func(error) // told of an end that nobody asked for; see AddProgram
	mu     sync.Mutex
	now    *process // the latest one
	said   child.Output
	closed bool
}

type process struct {
	*child.Child
	stopped bool          // somebody asked for its end; under Program.mu
	told    chan struct{} // closed once the unit knows of its end
}

// Said is what all runs have printed so far.
func (p *Program) Said() string { return p.said.String() }

// AddProgram installs a unit that runs p: disabled, inactive. Where p ends
// without having been stopped the unit is inactive, or failed, and stays so.
func (f *Fake) AddProgram(name string, p *Program) {
	p.ended = func(err error) {
		state := "inactive"
		if err != nil {
			state = "failed"
		}
		f.SetActive(name, state)
	}
	f.Add(name, Hooks{Start: func(string) error { return p.Start() }, Stop: func(string) error { return p.Stop() }})
}

// Running reports whether the program runs.
func (p *Program) Running() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.now != nil && !p.now.Over()
}

// Start starts the program, unless it runs, and returns once it is ready.
func (p *Program) Start() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.now != nil && !p.now.Over() {
		return nil
	}
	if p.closed {
		return errClosed
	}
	dir, err := os.MkdirTemp("", "notify") // a test's own has too long a name
	if err != nil {
		return err
	}
	notify, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "s"), Net: "unixgram"})
	if err != nil {
		return errors.Join(err, os.RemoveAll(dir))
	}
	cmd := p.Command()
	cmd.Env = append(cmd.Environ(), "NOTIFY_SOCKET="+filepath.Join(dir, "s"))
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = &p.said, &p.said, readyLimit
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGTERM
	started, err := child.Start(cmd)
	tidy := func() { notify.Close(); os.RemoveAll(dir) }
	if err != nil {
		tidy()
		return err
	}
	run := &process{Child: started, told: make(chan struct{})}
	go p.watch(run, tidy)
	p.now = run
	ready := make(chan struct{})
	go listenFor(notify, ready)
	select {
	case <-ready:
		return nil
	case <-run.Ended():
		return fmt.Errorf("it ended before it was ready; it said:\n%s", p.Said())
	case <-time.After(readyLimit):
		return fmt.Errorf("it is not ready; it said:\n%s", p.Said())
	}
}

// watch waits for the end of a run, and tells of one that nobody asked for.
func (p *Program) watch(run *process, tidy func()) {
	defer close(run.told)
	err := run.Err()
	tidy()
	p.mu.Lock()
	alone := p.now == run && !run.stopped
	p.mu.Unlock()
	if alone && p.ended != nil {
		p.ended(err)
	}
}

// listenFor hears what a program tells systemd until the socket is closed.
func listenFor(notify *net.UnixConn, ready chan<- struct{}) {
	b := make([]byte, 4096)
	for told := false; ; {
		n, err := notify.Read(b)
		if err != nil {
			return
		}
		if !told && strings.Contains("\n"+string(b[:n])+"\n", "\nREADY=1\n") {
			told = true
			close(ready)
		}
	}
}

// Stop ends the program where it runs, as systemd does.
func (p *Program) Stop() error {
	run := p.asked()
	if run == nil {
		return nil
	}
	_ = run.Signal(syscall.SIGTERM) // it may have ended meanwhile
	select {
	case <-run.Ended():
		return nil
	case <-time.After(endLimit):
		_ = run.Signal(os.Kill)
		<-run.Ended()
		return errors.New("the program did not end")
	}
}

// asked is the run that is now asked to end, nil where there is none.
func (p *Program) asked() *process {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.now == nil || p.now.Over() {
		return nil
	}
	p.now.stopped = true
	return p.now
}

// Signal sends the program a signal; it is an error that it does not run.
func (p *Program) Signal(s os.Signal) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.now == nil {
		return os.ErrProcessDone
	}
	return p.now.Signal(s)
}

// Kill ends the program without a warning, as a crash does. The unit knows of it
// then: a start of one that still counts as active would do nothing.
func (p *Program) Kill() {
	p.mu.Lock()
	run := p.now
	p.mu.Unlock()
	if run != nil {
		_ = run.Signal(os.Kill) // it may have ended
		<-run.told
	}
}

// Close is Stop, after which it is started no more.
func (p *Program) Close() error {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	return p.Stop()
}
