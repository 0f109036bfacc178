//go:build gtk

package client

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"qvmremote/client/dom0test"
	"qvmremote/queue"
	"qvmremote/test/stage"
)

// begun is the page Run with a script in its only tab. dom0 is nil where it is
// away.
func begun(t *testing.T, dom0 *dom0test.Dom0, script string) (*opened, *task) {
	t.Helper()
	s := open(t)
	t.Cleanup(func() {
		s.app.Scope.Close()
		s.Window.Destroy()
	})
	s.queue.Database = func(context.Context, string) (string, error) { return "work", nil }
	s.queue.Waits.Cancel = 0
	if dom0 != nil {
		key, err := s.queue.Key()
		if err != nil {
			t.Fatal(err)
		}
		s.queue.Waits.Cancel = time.Minute
		dom0.Qube, dom0.Key = "work", key
		dom0.Connect(t, s.queue.Layout)
	}
	s.Show("run")
	one := s.page("run").(*runPage).task()
	one.Editor.Buffer().SetText(script)
	return s, one
}

// pending are the files of requests that dom0 would find.
func (s *opened) pending(t *testing.T) []os.DirEntry {
	t.Helper()
	files, err := os.ReadDir(s.queue.Layout.PendingDir())
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// TestOneGestureRunsOnce: a key that is held down, for longer than the command
// lasts.
func TestOneGestureRunsOnce(t *testing.T) {
	dom0 := &dom0test.Dom0{}
	_, one := begun(t, dom0, "true")
	one.start()
	stage.Until(t, "it has ended", func() bool {
		if one.progress.phase == ended {
			return true
		}
		one.start()
		return false
	})
	one.start()
	if one.busy() || one.Run.Sensitive() {
		t.Error("the same gesture runs it again")
	}
	stage.Until(t, "it can be run again", one.Run.Sensitive)
	one.start()
	stage.Until(t, "it has ended", func() bool { return one.progress.phase == ended })
	if n := dom0.Runs(); n != 2 {
		t.Errorf("dom0 ran it %d times", n)
	}
}

// TestATypedTimeoutIsTaken, though nothing has told the field that it is whole.
func TestATypedTimeoutIsTaken(t *testing.T) {
	_, one := begun(t, nil, "true")
	one.Timeout.SetText("3600")
	one.start()
	stage.Until(t, "it is sent", func() bool { return one.ticket != nil })
	if one.ticket.Timeout != 3600 {
		t.Errorf("it may run for %d s", one.ticket.Timeout)
	}
}

// TestASidebarHidesThePage, which then gets no key.
func TestASidebarHidesThePage(t *testing.T) {
	s, one := begun(t, nil, "true")
	s.Leaflet.SetCanUnfold(false)
	stage.Until(t, "the window is narrow", s.Folded)
	if s.task() != one {
		t.Error("the page gets no key while it is seen")
	}
	s.GoBack()
	if s.task() != nil || s.front() != nil {
		t.Error("the page behind the sidebar gets keys")
	}
	s.Show("run")
	if s.task() != one {
		t.Error("the page gets no key once it is seen again")
	}
}

// TestCancelWhileItIsSent: nothing is sent.
func TestCancelWhileItIsSent(t *testing.T) {
	s, one := begun(t, nil, "true")
	s.queue.Database = func(ctx context.Context, _ string) (string, error) {
		<-ctx.Done()
		return "", ctx.Err()
	}
	one.start()
	if !one.Cancel.Sensitive() {
		t.Error("it cannot be cancelled")
	}
	one.cancel()
	stage.Until(t, "it is given up", func() bool { return !one.busy() })
	if word := one.State.Text(); word != "Cancelled" {
		t.Errorf("it says %q", word)
	}
	if files := s.pending(t); len(files) != 0 {
		t.Errorf("there is %v", files)
	}
}

// TestCancelJustAfterItWasSent: it is taken back, and who waits for dom0 does so
// no longer than that takes.
func TestCancelJustAfterItWasSent(t *testing.T) {
	s, one := begun(t, nil, "true")
	one.start()
	for len(s.pending(t)) < 2 { // on the main loop, which so hears of it later
		time.Sleep(time.Millisecond)
	}
	one.cancel()
	stage.Until(t, "it is taken back", func() bool { return !one.busy() })
	if word := one.State.Text(); word != "Withdrawn, not confirmed" {
		t.Errorf("it says %q", word)
	}
	if files := s.pending(t); len(files) != 0 {
		t.Errorf("there is %v", files)
	}
}

// TestACancelThatIsNotConfirmed of a command that runs goes on being one.
func TestACancelThatIsNotConfirmed(t *testing.T) {
	s, one := begun(t, nil, "true")
	one.start()
	stage.Until(t, "it is sent", func() bool { return one.ticket != nil })
	if err := queue.Publish(s.queue.Layout.Running(one.ticket.ID), []byte(queue.WordRunning)); err != nil {
		t.Fatal(err)
	}
	stage.Until(t, "it runs", func() bool { return one.progress.phase == running })
	one.cancel()
	stage.Until(t, "dom0 has not answered", func() bool { return !one.asked })
	if word := one.State.Text(); word != "Cancelling, not confirmed" || !one.busy() || !one.Cancel.Sensitive() {
		t.Errorf("it says %q", word)
	}
}

// TestWhatWasSentIsNotCalledUnsent where its queue is gone.
func TestWhatWasSentIsNotCalledUnsent(t *testing.T) {
	s, one := begun(t, nil, "true")
	one.start()
	stage.Until(t, "it is sent", func() bool { return one.progress.phase == queued })
	root := s.queue.Layout.Root
	if err := os.Rename(root, root+"-aside"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(root, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	stage.Until(t, "it gives up", func() bool { return !one.busy() })
	if word := one.State.Text(); word != "Lost sight of it: it may still run" || !strings.Contains(one.Detail.Text(), one.ticket.ID) {
		t.Errorf("it says %q, %q", word, one.Detail.Text())
	}
}

func TestInputIsARegularFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if f, err := openInput(t.Context(), path); err == nil {
		t.Error("a pipe is taken for a file", f.Close())
	}
}

// TestWhatDom0DidIsPast where dom0 is gone.
func TestWhatDom0DidIsPast(t *testing.T) {
	for p, want := range map[phase]string{queued: "Queued", taken: "Was queued in dom0 *", approval: "Was waiting for approval *", running: "Was running *"} {
		look, _ := progress{phase: p}.words(false, false, time.Now())
		if ok, err := filepath.Match(want, look.Word); !ok || err != nil {
			t.Errorf("it says %q, want %q", look.Word, want)
		}
	}
}

// TestALoadedCommandHasNoInput, whatever was chosen in the tab before.
func TestALoadedCommandHasNoInput(t *testing.T) {
	s, one := begun(t, nil, "")
	one.setInput("/etc/hostname")
	s.page("run").(*runPage).load("cat", 0)
	if one.script() != "cat" || one.input != "" || one.NoInput.Visible() {
		t.Errorf("%q reads %q", one.script(), one.input)
	}
}

func TestConcealedCharacters(t *testing.T) {
	for script, want := range map[string]bool{
		"printf '\\\\n \\x41'\n\techo grün": false,
		"echo \u202eevil":                   true,
		"echo a\u200bb":                     true,
		"echo a\r\n":                        true,
	} {
		if got := concealed([]byte(script)); got != want {
			t.Errorf("%q: %v", script, got)
		}
	}
}
