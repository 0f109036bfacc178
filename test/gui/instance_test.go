//go:build gtk

package gui

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"qvmremote/test/desktop"
	"qvmremote/test/life"
)

// again starts the program once more on the same desktop, and returns how it
// ended and what it said.
func (s *scene) again(t *testing.T, args ...string) (code int, said string) {
	t.Helper()
	p := s.Launch(t, []string{"QVM_REMOTE_BUS=" + s.BusAddress}, admin, args...)
	return exitCode(t, p.Wait(t)), p.Said()
}

func exitCode(t *testing.T, err error) int {
	t.Helper()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if exit == nil {
		return 0
	}
	return exit.ExitCode()
}

// onPage waits until the sidebar has a page selected, which is the one shown.
func (s *scene) onPage(t *testing.T, title string) {
	t.Helper()
	desktop.Await(t, "the page "+title+" is shown", func() bool {
		rows := s.app.FindAll(t, "list item", title)
		return len(rows) == 1 && rows[0].Is(desktop.Selected)
	})
}

func TestASecondStartBringsTheFirstForward(t *testing.T) {
	t.Parallel()
	s := open(t, life.Options{Stopped: true}, "overview")
	s.onPage(t, "Overview")
	if code, said := s.again(t, "--page", "activity"); code != 0 || said != "" {
		t.Errorf("the second start ended with %d and said %q", code, said)
	}
	s.onPage(t, "Activity")
	if windows := s.app.FindAll(t, "window", ""); len(windows) != 1 {
		t.Errorf("there are %d windows: %v", len(windows), windows)
	}
	if code, said := s.again(t); code != 0 || said != "" {
		t.Errorf("a start without a page ended with %d and said %q", code, said)
	}
	s.onPage(t, "Activity")
	if code, said := s.again(t, "--page", "nonsense"); code != 1 || strings.Count(said, "\n") != 1 || !strings.Contains(said, "overview, qubes, requests, activity") {
		t.Errorf("a page that there is not: it ended with %d and said %q", code, said)
	}
	if !s.run.Running() {
		t.Error("the first one has ended")
	}
}

func TestWithoutADisplay(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), admin)
	cmd.Env = []string{"HOME=" + t.TempDir(), "PATH=" + os.Getenv("PATH"), "GDK_BACKEND=x11"}
	said, err := cmd.CombinedOutput()
	if code := exitCode(t, err); code != 1 {
		t.Errorf("it ended with %d", code)
	}
	if text := string(said); strings.Count(text, "\n") != 1 || !strings.Contains(text, "no display") {
		t.Errorf("it said %q", text)
	}
}

// settingsFile is where the program on this desktop keeps its settings.
func (s *scene) settingsFile() string {
	return filepath.Join(s.Config(), "qvm-remote", "admin.conf")
}

func TestSizeAndPageAreKept(t *testing.T) {
	t.Parallel()
	s := open(t, life.Options{Stopped: true}, "overview")
	s.onPage(t, "Overview")
	s.Resize(t, 900, 700)
	desktop.Await(t, "the program has the size", func() bool {
		w, h := s.Size(t)
		return w == 900 && h == 700 && s.app.Find(t, "window", "").Bounds(t).Dx() == 900
	})
	s.Desktop.Key(t, "ctrl+2")
	s.onPage(t, "Qubes")
	s.CloseWindow(t)
	if err := s.run.Wait(t); err != nil {
		t.Fatalf("it ended: %v", err)
	}
	kept, err := os.ReadFile(s.settingsFile())
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"width 900", "height 700", "page qubes"} {
		if !slices.Contains(strings.Split(string(kept), "\n"), line) {
			t.Errorf("it kept no %q:\n%s", line, kept)
		}
	}
	s.run = s.Launch(t, []string{"QVM_REMOTE_BUS=" + s.BusAddress}, admin)
	s.app = s.App(t, "qvm-remote-admin")
	s.onPage(t, "Qubes")
	if w, h := s.Size(t); w != 900 || h != 700 {
		t.Errorf("the next window is %d by %d", w, h)
	}
}
