package access

import (
	"bytes"
	"context"
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

	"qvmremote/daemon/admin"
	"qvmremote/daemon/paths"
)

// process is the program as a unit's main process.
type process struct {
	cmd  *exec.Cmd
	said *said
	done chan struct{}
}

// said collects what a program prints, for reading while it runs.
type said struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// launch starts a unit's program and returns once it says that it is ready, as
// systemd does. It is called from the fake systemd, so it fails no test itself.
func (m *machine) launch(unit string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if p := m.running[unit]; p != nil && !p.ended() {
		return nil
	}
	if m.closed {
		return errClosed
	}
	args := []string{"--root", m.Dom0()}
	if unit == admin.ManageService {
		args = append(args, "--manage", "--idle", "1h")
	}
	dir, err := os.MkdirTemp("", "notify") // a test's own has too long a name
	if err != nil {
		return err
	}
	notify, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "s"), Net: "unixgram"})
	if err != nil {
		return errors.Join(err, os.RemoveAll(dir))
	}
	p := &process{cmd: m.Dom0Command(context.Background(), programs.dom0, args...), said: &said{}, done: make(chan struct{})}
	p.cmd.Env = append(p.cmd.Env, paths.BusVar+"="+m.bus.Address, "NOTIFY_SOCKET="+filepath.Join(dir, "s"))
	p.cmd.Stdout, p.cmd.Stderr, p.cmd.WaitDelay = p.said, p.said, patience
	if err := p.cmd.Start(); err != nil {
		return errors.Join(err, notify.Close(), os.RemoveAll(dir))
	}
	ready := make(chan struct{})
	go listenFor(notify, ready)
	go func() {
		defer close(p.done)
		_ = p.cmd.Wait()
		notify.Close()
		os.RemoveAll(dir)
	}()
	m.running[unit], m.all = p, append(m.all, p)
	select {
	case <-ready:
		return nil
	case <-p.done:
		return fmt.Errorf("it ended before it was ready; it said:\n%s", p.said)
	case <-time.After(patience):
		return fmt.Errorf("it is not ready; it said:\n%s", p.said)
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

func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// stop ends a unit's program as systemd does.
func (m *machine) stop(unit string) error {
	m.mu.Lock()
	p := m.running[unit]
	m.mu.Unlock()
	if p == nil || p.ended() {
		return nil
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended meanwhile
	select {
	case <-p.done:
		return nil
	case <-time.After(45 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.done
		return errors.New("the program did not end")
	}
}

// report shows what the program said where something went wrong.
func (p *process) report(m *machine) {
	text := p.said.String()
	if m.t.Failed() || strings.Contains(text, "panic:") || strings.Contains(text, "DATA RACE") {
		m.t.Errorf("%q said:\n%s", p.cmd.Args[1:], text)
	}
}
