//go:build gtk

package gui

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"qvmremote/dbus"
	"qvmremote/queue"
	"qvmremote/test/desktop"
	"qvmremote/test/life"
	"qvmremote/test/sim"
	"qvmremote/test/sim/world"
)

// openQube opens the pane of a qube.
func (s *scene) openQube(t *testing.T, name string) {
	t.Helper()
	s.app.Find(t, "list item", name+", label*").Press(t)
	s.app.Find(t, "list item", "Fingerprint*")
}

// qube is what the service says of one.
func (s *scene) qube(t *testing.T, name string) dbus.Qube {
	t.Helper()
	q, err := s.client.ReadQube(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func TestDisconnect(t *testing.T) {
	t.Parallel()
	s := open(t, life.Options{}, "qubes")
	s.openQube(t, "work")
	s.app.Find(t, "button", "Disconnect…*").Press(t)
	s.confirm(t, "Disconnect work?", "Disconnect")
	desktop.Await(t, "the key is gone", func() bool { return s.keyFile(t, "work") == "" })
	desktop.Await(t, "dom0 does not look at it", func() bool {
		names, err := s.client.ListQubes(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return !slices.Contains(names, "work")
	})
	s.app.Gone(t, "list item", "work, label*")
}

// TestCleanTheQueue: files that nobody fetched go, what waits stays.
func TestCleanTheQueue(t *testing.T) {
	t.Parallel()
	s := open(t, life.Options{}, "qubes")
	old := filepath.Join(s.Layout("work").ResultsDir(), "0123456789abcdef.out")
	if err := os.WriteFile(old, []byte("never fetched"), 0o600); err != nil {
		t.Fatal(err)
	}
	long := time.Now().Add(-48 * time.Hour)
	if err := os.Chtimes(old, long, long); err != nil {
		t.Fatal(err)
	}
	s.openQube(t, "work")
	s.app.Find(t, "list item", "1 file*").Press(t)
	s.app.Find(t, "list item", "0123456789abcdef.out*")
	s.app.Find(t, "button", "Clean…*").Press(t)
	s.confirm(t, "Clean the queue?", "Clean")
	desktop.Await(t, "the old file is gone", func() bool {
		_, err := os.Stat(old)
		return os.IsNotExist(err)
	})
	s.app.Gone(t, "list item", "0123456789abcdef.out*")
}

// TestRecoverTheQueue: a request that seems to run and never will gets its
// answer, so that who waits for it in the qube waits no more.
func TestRecoverTheQueue(t *testing.T) {
	t.Parallel()
	s := open(t, life.Options{}, "qubes")
	id := queue.NewID(time.Now().Add(-time.Hour), 1)
	if err := queue.Publish(s.Layout("work").Running(id), []byte("running")); err != nil {
		t.Fatal(err)
	}
	s.openQube(t, "work")
	s.app.Find(t, "list item", "0 waiting · 1 taken*")
	s.app.Find(t, "button", "Recover").Press(t)
	desktop.Await(t, "the request is answered", func() bool {
		_, err := os.Stat(s.Layout("work").Result(id, queue.Exit))
		return err == nil
	})
	s.app.Find(t, "list item", "0 waiting · 0 taken · 1 answer*")
}

func TestShutDownAndStartAQube(t *testing.T) {
	t.Parallel()
	s := open(t, life.Options{}, "qubes")
	s.openQube(t, "dev")
	s.app.Find(t, "button", "Shut down…*").Press(t)
	s.confirm(t, "Shut down dev?", "Shut down")
	s.power(t, "dev", sim.Halted)
	s.app.Find(t, "list item", "This qube is halted*")
	s.app.Find(t, "button", "Start").Press(t)
	s.power(t, "dev", sim.Running)
	s.app.Find(t, "list item", "This qube is running*")
	desktop.Await(t, "dom0 is connected to it again", func() bool { return s.qube(t, "dev").Connection == "connected" })
	s.app.Find(t, "label", "connected")
}

func (s *scene) power(t *testing.T, qube string, want world.State) {
	t.Helper()
	desktop.Await(t, qube+" is "+string(want), func() bool {
		state, err := s.State(qube)
		return err == nil && state == want
	})
}
