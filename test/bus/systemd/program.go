package systemd

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
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
	said   output
	closed bool
}

type process struct {
	cmd     *exec.Cmd
	done    chan struct{}
	stopped bool // somebody asked for its end; under Program.mu
}

// output collects what a program prints, for reading while it runs.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

// Said is what all runs have printed so far.
func (p *Program) Said() string {
	p.said.mu.Lock()
	defer p.said.mu.Unlock()
	return p.said.b.String()
}

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
	return p.now != nil && !p.now.over()
}

// Start starts the program, unless it runs, and returns once it is ready.
func (p *Program) Start() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.now != nil && !p.now.over() {
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
	run := &process{cmd: p.Command(), done: make(chan struct{})}
	run.cmd.Env = append(run.cmd.Environ(), "NOTIFY_SOCKET="+filepath.Join(dir, "s"))
	run.cmd.Stdout, run.cmd.Stderr, run.cmd.WaitDelay = &p.said, &p.said, readyLimit
	if run.cmd.SysProcAttr == nil {
		run.cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	run.cmd.SysProcAttr.Pdeathsig = syscall.SIGTERM
	started := make(chan error)
	go p.live(run, started, func() { notify.Close(); os.RemoveAll(dir) })
	if err := <-started; err != nil {
		return err
	}
	p.now = run
	ready := make(chan struct{})
	go listenFor(notify, ready)
	select {
	case <-ready:
		return nil
	case <-run.done:
		return fmt.Errorf("it ended before it was ready; it said:\n%s", p.Said())
	case <-time.After(readyLimit):
		return fmt.Errorf("it is not ready; it said:\n%s", p.Said())
	}
}

// live starts a run, waits for its end, and tells of one that nobody asked for:
// all in one thread, whose end the kernel counts as the parent's death.
func (p *Program) live(run *process, started chan<- error, tidy func()) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := run.cmd.Start()
	started <- err
	if err == nil {
		err = run.cmd.Wait()
	}
	tidy()
	close(run.done)
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

func (r *process) over() bool {
	select {
	case <-r.done:
		return true
	default:
		return false
	}
}

// Stop ends the program where it runs, as systemd does.
func (p *Program) Stop() error {
	run := p.asked()
	if run == nil {
		return nil
	}
	_ = run.cmd.Process.Signal(syscall.SIGTERM) // it may have ended meanwhile
	select {
	case <-run.done:
		return nil
	case <-time.After(endLimit):
		_ = run.cmd.Process.Kill()
		<-run.done
		return errors.New("the program did not end")
	}
}

// asked is the run that is now asked to end, nil where there is none.
func (p *Program) asked() *process {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.now == nil || p.now.over() {
		return nil
	}
	p.now.stopped = true
	return p.now
}

// Kill ends the program without a warning, as a crash does.
func (p *Program) Kill() {
	p.mu.Lock()
	run := p.now
	p.mu.Unlock()
	if run != nil {
		_ = run.cmd.Process.Kill() // it may have ended
		<-run.done
	}
}

// Close is Stop, after which it is started no more.
func (p *Program) Close() error {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	return p.Stop()
}
