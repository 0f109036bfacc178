//go:build gtk

package client

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"qvmremote/queue"
	"qvmremote/test/desktop"
	"qvmremote/test/life"
)

// TestAQueuedCommandIsCancelled: one that another program sent, and whose process
// in dom0 is gone then.
func TestAQueuedCommandIsCancelled(t *testing.T) {
	t.Parallel()
	s := open(t, life.Options{}, "queue")
	s.app.Find(t, "", "The queue is empty")
	pidFile := filepath.Join(s.Dom0(), "root", "pid")
	if _, err := s.Client(t.Context(), qube, "--detach", "--", "echo $$ > pid; sleep 86000 & echo $! >> pid; wait"); err != nil {
		t.Fatal(err)
	}
	var pids []string
	desktop.Await(t, "the command tells its processes", func() bool {
		b, _ := os.ReadFile(pidFile)
		pids = strings.Fields(string(b))
		return len(pids) == 2
	})
	s.app.Find(t, "list item", "running, *")
	s.app.Find(t, "button", "Cancel: echo*").Press(t)
	s.app.Find(t, "", "It was cancelled*")
	s.ended(t, queue.StateCancelled)
	for _, p := range pids {
		pid, err := strconv.Atoi(p)
		if err != nil {
			t.Fatal(err)
		}
		if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
			t.Errorf("the process %d is still there: %v", pid, err)
		}
	}
	s.app.Find(t, "", "The queue is empty")
	s.turn(t, "History")
	s.app.Find(t, "list item", "*cancelled: echo*")
}

// TestOnlyLeftoversAreCleaned: what waits stays, and nothing goes without a
// question.
func TestOnlyLeftoversAreCleaned(t *testing.T) {
	t.Parallel()
	s := prepare(t, life.Options{Stopped: true})
	l := s.Layout(qube)
	stale := filepath.Join(l.PendingDir(), "20261120-101010-77-0000beef")
	long := time.Now().Add(-72 * time.Hour)
	for _, err := range []error{os.WriteFile(stale, []byte("echo"), 0o600), os.Chtimes(stale, long, long)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	s.launch(t, "--page", "queue")
	s.app.Find(t, "list item", "left over, *")
	if _, err := s.Client(t.Context(), qube, "--detach", "--", "echo it-waits"); err != nil {
		t.Fatal(err)
	}
	s.app.Find(t, "list item", "waits for dom0, *")
	clean := s.app.Find(t, "button", "Clean up…*")
	clean.Press(t)
	s.app.Find(t, "dialog", "Remove 1 leftover?")
	s.Desktop.Key(t, "Escape")
	s.app.Gone(t, "dialog", "Remove 1 leftover?")
	if _, err := os.Stat(stale); err != nil {
		t.Fatal("Escape removed it:", err)
	}
	clean.Press(t)
	s.app.Find(t, "dialog", "Remove 1 leftover?").Find(t, "button", "Remove*").Press(t)
	s.app.Gone(t, "list item", "left over*")
	desktop.Await(t, "it is gone", func() bool { _, err := os.Stat(stale); return errors.Is(err, os.ErrNotExist) })
	clean.AwaitState(t, desktop.Sensitive, false)
	s.app.Find(t, "list item", "waits for dom0, *")
	if files, _, err := s.theirs().Files(t.Context(), 10); err != nil || len(files) != 2 {
		t.Errorf("the queue has %v, %v", files, err)
	}
}
