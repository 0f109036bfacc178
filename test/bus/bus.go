// Package bus gives each test a message bus of its own: a private dbus-daemon,
// callers of any uid on it, and programs it starts on demand.
//
// It guarantees that a test meets neither the machine's buses nor those of
// other tests, that starting takes 10 s at most or fails the test, and that the
// daemon ends with the test, however the test ends. Root is needed only for
// [Bus.ConnectAs] another user.
package bus

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"qvmremote/test/child"
)

const (
	startLimit = 10 * time.Second
	stopLimit  = 5 * time.Second
)

// Options differ from what most tests want: a bus on which everybody may do
// everything.
type Options struct {
	// AllowUsers are the users who may connect, by name or number, and who must
	// be users of this machine; none here means everybody. Root and the user of
	// the test always may.
	AllowUsers []string
	// System begins with the rules of a distribution's system bus: nobody owns a
	// name or calls a method but what Includes and Policy allow.
	System bool
	// Includes are files of bus policy, as a package installs them, read after
	// the rules that System chose.
	Includes []string
	// Policy is more XML for the bus's configuration, read last.
	Policy string
}

// Bus is one running bus.
type Bus struct {
	// Address is the D-Bus address that programs connect to.
	Address string

	dir    string
	daemon *child.Child // nil where it is stopped
}

// Start launches a bus for the time of the test. At most one Options is used.
func Start(t testing.TB, options ...Options) *Bus {
	t.Helper()
	var o Options
	if len(options) > 0 {
		o = options[0]
	}
	b, err := New(o)
	if err != nil {
		t.Fatalf("start a bus: %v", err)
	}
	t.Cleanup(func() {
		b.Stop()
		if t.Failed() {
			t.Logf("dbus-daemon said:\n%s", b.log())
		}
		b.Close()
	})
	return b
}

// New launches a bus for a program that is no test; it ends with Close, or with
// the program.
func New(o Options) (*Bus, error) {
	b := &Bus{}
	var err error
	// Not a test's own folder: its path is long for a socket and closed to other
	// users.
	if b.dir, err = os.MkdirTemp("", "bus"); err != nil {
		return nil, err
	}
	if err = b.configure(o); err == nil {
		err = b.launch()
	}
	if err != nil {
		err = fmt.Errorf("%w\n%s", err, b.log())
		b.Close()
		return nil, err
	}
	return b, nil
}

// Close is Stop, and removes what the bus left.
func (b *Bus) Close() {
	b.Stop()
	_ = os.RemoveAll(b.dir)
}

func (b *Bus) file(name string) string { return filepath.Join(b.dir, name) }

func (b *Bus) configure(o Options) error {
	if err := os.Chmod(b.dir, 0o755); err != nil {
		return err
	}
	if err := os.Mkdir(b.file("services"), 0o755); err != nil {
		return err
	}
	return os.WriteFile(b.file("bus.conf"), []byte(b.configuration(o)), 0o644)
}

func (b *Bus) log() string {
	text, err := os.ReadFile(b.file("log"))
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// launch starts the daemon and waits for its address.
func (b *Bus) launch() error {
	path, err := exec.LookPath("dbus-daemon")
	if err != nil {
		return fmt.Errorf("%w; `make setup-test` installs it", err)
	}
	log, err := os.Create(b.file("log"))
	if err != nil {
		return err
	}
	defer log.Close()
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer r.Close()
	cmd := exec.Command(path, "--config-file="+b.file("bus.conf"), "--nofork", "--nopidfile", "--print-address")
	cmd.Dir = b.dir
	cmd.Stdout, cmd.Stderr = w, log
	b.daemon, err = child.Start(cmd)
	w.Close()
	if err != nil {
		return err
	}
	if err := r.SetReadDeadline(time.Now().Add(startLimit)); err != nil {
		b.Stop()
		return err
	}
	line, err := bufio.NewReader(r).ReadString('\n')
	if err != nil {
		b.Stop()
		return fmt.Errorf("no address from dbus-daemon within %v: %w", startLimit, err)
	}
	b.Address = strings.TrimSpace(line)
	return nil
}

// Stop ends the bus and the programs it started, as when the machine's own bus
// crashes: all connections break. It may be called more than once.
func (b *Bus) Stop() {
	if b.daemon == nil {
		return
	}
	b.daemon.End(stopLimit)
	b.daemon = nil
}

// Start starts a bus that was stopped once more, at the same address but for
// its guid. Nobody is on it.
func (b *Bus) Start(t testing.TB) {
	t.Helper()
	if err := os.Remove(b.file("socket")); err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("start the bus again: %v", err)
	}
	if err := b.launch(); err != nil {
		t.Fatalf("start the bus again: %v\n%s", err, b.log())
	}
}

// Signal sends the daemon a signal, as SIGSTOP for a bus that hangs.
func (b *Bus) Signal(s os.Signal) error { return b.daemon.Signal(s) }
