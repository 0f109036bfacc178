//go:build gtk

package client

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"qvmremote/daemon/audit"
	"qvmremote/dbus"
	"qvmremote/gui/prefs"
	"qvmremote/queue"
	"qvmremote/test/desktop"
	"qvmremote/test/life"
	"qvmremote/test/smalldisk"
)

// The programs under test, built once.
var (
	programs life.Programs
	program  string
)

// buildLimit bounds the compiling of the programs.
const buildLimit = 15 * time.Minute

func TestMain(m *testing.M) {
	if code, was := smalldisk.Enter(); was {
		os.Exit(code)
	}
	dir, err := os.MkdirTemp("", "qvm-remote-client-")
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
	program = filepath.Join(dir, "qvm-remote-gui")
	// The one set of flags, see docs/gotk4.md.
	cmd := exec.CommandContext(ctx, "go", "build", "-tags", "gtk", "-trimpath", "-buildvcs=false", "-o", program, "qvmremote/cmd/qvm-remote-gui")
	cmd.Env = append(os.Environ(), "CC=clang")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("cannot build the desktop program: %w\n%s", err, out)
	}
	return nil
}

// qube is the one on whose desktop the program runs.
const qube = "work"

// scene is a dom0, and the desktop of one of its qubes with the program on it.
type scene struct {
	*life.House
	*desktop.Desktop
	app    *desktop.Node
	client *dbus.Client // of somebody in dom0
	run    *desktop.Program
}

// open makes a scene that shows a page.
func open(t *testing.T, o life.Options, page string) *scene {
	t.Helper()
	s := prepare(t, o)
	s.launch(t, "--page", page)
	return s
}

// prepare makes a scene on which the program is not started yet.
func prepare(t *testing.T, o life.Options) *scene {
	t.Helper()
	o.Programs = programs
	if o.Qubes == 0 {
		o.Qubes = 1
	}
	house := life.Start(t, o)
	s := &scene{House: house, Desktop: desktop.Start(t, desktop.Options{Width: 1280, Height: 1400,
		Env: []string{"HOME=" + house.QubePath(qube, "home")}})}
	t.Cleanup(func() {
		if t.Failed() && s.run != nil {
			t.Logf("the program said:\n%s", s.run.Said())
		}
	})
	var err error
	if s.client, err = dbus.Dial(t.Context(), s.BusAddress); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.client.Close() })
	return s
}

// launch starts the program and waits for its window.
func (s *scene) launch(t *testing.T, args ...string) {
	t.Helper()
	s.run = s.Launch(t, nil, program, args...)
	s.app = s.App(t, "qvm-remote-gui")
}

// left leaves the window as a person would have left it.
func (s *scene) left(t *testing.T, change func(*prefs.Prefs)) {
	t.Helper()
	p := prefs.Default()
	change(&p)
	if err := p.Save(filepath.Join(s.Config(), "qvm-remote", "client.conf")); err != nil {
		t.Fatal(err)
	}
}

// onPage waits until the sidebar has a page selected, which is the one shown.
func (s *scene) onPage(t *testing.T, title string) {
	t.Helper()
	desktop.Await(t, "the page "+title+" is shown", func() bool {
		rows := s.app.FindAll(t, "list item", title)
		return len(rows) == 1 && rows[0].Is(desktop.Selected)
	})
}

// turn shows a page by the sidebar.
func (s *scene) turn(t *testing.T, title string) {
	t.Helper()
	s.app.Find(t, "list item", title).Press(t)
	s.onPage(t, title)
}

// write writes a command into the editor.
func (s *scene) write(t *testing.T, script string) {
	t.Helper()
	s.app.Find(t, "text box", "Command for dom0").SetText(t, script)
}

// runs runs a command by the button.
func (s *scene) runs(t *testing.T, script string) {
	t.Helper()
	s.write(t, script)
	run := s.app.Find(t, "button", "Run*")
	run.AwaitState(t, desktop.Sensitive, true)
	run.Press(t)
}

// records are what dom0 wrote down of commands.
func (s *scene) records(t *testing.T, event audit.Event) (all []audit.Record) {
	t.Helper()
	err := audit.Read(t.Context(), s.Root().Audit(), 0, func(r audit.Record, _ []byte) error {
		if r.Event == event && r.Kind != queue.KindPing {
			all = append(all, r)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// ended waits until dom0 wrote down how its only command ended.
func (s *scene) ended(t *testing.T, state queue.State) audit.Record {
	t.Helper()
	var all []audit.Record
	desktop.Await(t, "dom0 has written down how it ended", func() bool {
		all = s.records(t, audit.Final)
		return len(all) == 1
	})
	if string(all[0].State) != string(state) {
		t.Errorf("dom0 wrote down that it ended as %q, want %q", all[0].State, state)
	}
	return all[0]
}
