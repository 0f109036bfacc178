//go:build gtk

package gui

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"qvmremote/dbus"
	"qvmremote/test/desktop"
	"qvmremote/test/life"
)

// The programs under test, built once.
var (
	programs life.Programs
	admin    string
)

// buildLimit bounds the compiling of the programs; the bindings are in the
// build cache after their own tests' vet.
const buildLimit = 15 * time.Minute

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "qvm-remote-gui-")
	if err == nil {
		err = os.Chmod(dir, 0o755) // for programs of another user
	}
	if err == nil {
		err = build(dir)
	}
	code := 1
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	} else {
		code = m.Run()
	}
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

func build(dir string) (err error) {
	ctx, stop := context.WithTimeout(context.Background(), buildLimit)
	defer stop()
	if programs, err = life.Build(ctx, dir); err != nil {
		return err
	}
	admin = filepath.Join(dir, "qvm-remote-admin")
	// The one set of flags, see docs/gotk4.md.
	cmd := exec.CommandContext(ctx, "go", "build", "-tags", "gtk", "-trimpath", "-buildvcs=false", "-o", admin, "qvmremote/cmd/qvm-remote-admin")
	cmd.Env = append(os.Environ(), "CC=clang")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("cannot build the desktop program: %w\n%s", err, out)
	}
	return nil
}

// scene is a dom0, a screen, and the program on it.
type scene struct {
	*life.House
	*desktop.Desktop
	app    *desktop.Node
	client *dbus.Client // of somebody else on the same bus
	run    *desktop.Program
}

// open makes a scene that shows a page, for whom the service does everything.
func open(t *testing.T, o life.Options, page string) *scene {
	t.Helper()
	return openAs(t, 0, o, page)
}

// openAs makes a scene of another user, whom polkit is asked about.
func openAs(t *testing.T, user int, o life.Options, page string) *scene {
	t.Helper()
	s := prepare(t, user, o)
	s.connect(t)
	s.launch(t, page)
	return s
}

// connect makes the other client.
func (s *scene) connect(t *testing.T) {
	t.Helper()
	client, err := dbus.Dial(t.Context(), s.BusAddress)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	s.client = client
}

// prepare makes a scene on which the program is not started yet.
func prepare(t *testing.T, user int, o life.Options) *scene {
	t.Helper()
	o.Programs = programs
	s := &scene{House: life.Start(t, o), Desktop: desktop.Start(t, desktop.Options{Width: 1280, Height: 2400, User: user})}
	t.Cleanup(func() {
		if t.Failed() && s.run != nil {
			t.Logf("the program said:\n%s", s.run.Said())
		}
	})
	return s
}

// launch starts the program and waits for its window.
func (s *scene) launch(t *testing.T, page string) {
	t.Helper()
	s.run = s.Launch(t, []string{"QVM_REMOTE_BUS=" + s.BusAddress}, admin, "--page", page)
	s.app = s.App(t, "qvm-remote-admin")
}

// manager is what the service says of itself, by another client.
func (s *scene) manager(t *testing.T) dbus.Manager {
	t.Helper()
	m, err := s.client.ReadManager(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// becomes waits until the service says so.
func (s *scene) becomes(t *testing.T, what string, so func(dbus.Manager) bool) {
	t.Helper()
	desktop.Await(t, what, func() bool { return so(s.manager(t)) })
}
