package daemon

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"qvmremote/daemon/audit"
	"qvmremote/queue"
)

func (w *world) writeConfig(text string) {
	w.t.Helper()
	path := w.o.Root.Config()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
		w.t.Fatal(err)
	}
}

// TestSettingsAreFollowed: qubes come and go with remote.conf, and a file that
// cannot be used changes nothing.
func TestSettingsAreFollowed(t *testing.T) {
	t.Parallel()
	q, other := newTestQube(t), newTestQube(t)
	w := newWorld(t, q, other)
	w.o.VMs = nil
	w.writeConfig("QVM_REMOTE_VMS=" + q.name + "\n")
	w.start()
	q.result("a", q.submit("a", "true\n"))
	other.mu.Lock()
	if len(other.conns) != 0 {
		t.Error("a qube that is not configured was called")
	}
	other.mu.Unlock()
	w.writeConfig("QVM_REMOTE_VMS='" + q.name + " " + other.name + "'\n")
	other.result("a", other.submit("a", "true\n"))
	w.eventually("the change is recorded", func() bool { return w.count(audit.Setting, "") == 1 })
	w.writeConfig("QVM_REMOTE_CONCURRENT=many\n")
	w.eventually("the bad file is complained of", func() bool { return strings.Contains(w.said.String(), "last good ones") })
	q.result("b", q.submit("b", "true\n"))
	w.eventually("status shows the complaint", func() bool {
		s, err := ReadStatus(w.o.Root.Status())
		return err == nil && len(s.Qubes) == 2 && s.Qubes[0].State == "connected" && strings.Contains(healthOf(s), "settings")
	})
	w.writeConfig("QVM_REMOTE_VMS=" + other.name + "\n")
	w.eventually("the first qube is left", func() bool {
		s, err := ReadStatus(w.o.Root.Status())
		return err == nil && len(s.Qubes) == 1 && s.Qubes[0].Name == other.name && !strings.Contains(healthOf(s), "settings")
	})
	w.writeConfig("QVM_REMOTE_VMS='" + q.name + " " + other.name + "'\n")
	q.result("c", q.submit("c", "true\n"))
}

// TestWhatIsNormalIsNoError: each finding of the log is shown as bad as it is;
// that a log is new is no fault. A change that waits for the next start is told.
func TestWhatIsNormalIsNoError(t *testing.T) {
	t.Parallel()
	q := newTestQube(t)
	w := newWorld(t, q)
	w.writeConfig("")
	w.start()
	q.result("a", q.submit("a", "true\n"))
	w.eventually("the status says that the log is new", func() bool {
		s, err := ReadStatus(w.o.Root.Status())
		return err == nil && strings.Contains(healthOf(s), "audit-"+string(audit.New))
	})
	s, err := ReadStatus(w.o.Root.Status())
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range s.Health {
		if h.Code == "audit-"+string(audit.New) && h.Severity != audit.Info {
			t.Errorf("%+v", h)
		}
	}
	w.writeConfig("QVM_REMOTE_PIDS_MAX=9\n")
	w.eventually("it says what waits for a start", func() bool {
		return strings.Contains(w.said.String(), "next start on\" setting=QVM_REMOTE_PIDS_MAX")
	})
}

func healthOf(s Status) (codes string) {
	for _, h := range s.Health {
		codes += h.Code + " "
	}
	return codes
}

// TestAKeyIsFollowed: authorised while the daemon runs, the qube is served.
func TestAKeyIsFollowed(t *testing.T) {
	t.Parallel()
	q := newTestQube(t)
	w := newWorld(t)
	w.o.VMs = []string{q.name}
	w.start()
	q.submit("a", "true\n")
	q.until("it is refused without a key", func() bool { return len(q.denies["a"]) > 0 })
	w.placeKey(q)
	h := q.submit("b", "true\n")
	if r := q.result("b", h); r.State != queue.StateExit {
		t.Errorf("%+v", r)
	}
}

// TestABrokenKeyIsToldNotUsed: a key others can read counts as none that works.
func TestABrokenKeyIsToldNotUsed(t *testing.T) {
	t.Parallel()
	q := newTestQube(t)
	w := newWorld(t, q)
	path := filepath.Join(w.o.Root.Keys(), q.name+".key")
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	w.start()
	q.submit("a", "true\n")
	q.until("it is refused", func() bool { return len(q.denies["a"]) > 0 })
	q.mu.Lock()
	d := string(q.denies["a"][0].Denied)
	q.mu.Unlock()
	if !strings.HasPrefix(d, "not-ready\n") || strings.Contains(d, path) {
		t.Errorf("%q", d)
	}
	w.eventually("status shows it", func() bool {
		s, err := ReadStatus(w.o.Root.Status())
		return err == nil && strings.Contains(healthOf(s), "key-"+q.name)
	})
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	q.result("b", q.submit("b", "true\n"))
}

func TestAQubeWithoutOurClientIsLeftAndTriedAgain(t *testing.T) {
	t.Parallel()
	q := newTestQube(t)
	w := newWorld(t, q)
	w.o.Times.NoAgent = 10 * time.Millisecond
	q.mu.Lock()
	q.mute = 2
	q.mu.Unlock()
	w.start()
	q.result("a", q.submit("a", "true\n"))
	if !strings.Contains(w.said.String(), "no qvm-remote in the qube") {
		t.Error("nothing was said of it")
	}
}

func TestADaemonThatCannotStartSaysWhy(t *testing.T) {
	t.Parallel()
	for name, hurt := range map[string]func(w *world){
		"settings": func(w *world) { w.writeConfig("QVM_REMOTE_CONCURRENT=many\n") },
		"keys":     func(w *world) { must(w.t, os.Chmod(w.o.Root.Keys(), 0o777)) },
		"audit": func(w *world) {
			must(w.t, errors.Join(os.MkdirAll(w.o.Root.State(), 0o700), os.WriteFile(w.o.Root.Audit(), nil, 0o600)))
		},
		"spool": func(w *world) {
			must(w.t, errors.Join(os.MkdirAll(w.o.Root.State(), 0o700), os.WriteFile(w.o.Root.Spool(), nil, 0o600)))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			q := newTestQube(t)
			w := newWorld(t, q)
			hurt(w)
			for range 2 { // the second time shows that the first one let go of its lock
				if err := Run(t.Context(), w.o); err == nil || errors.Is(err, ErrRunning) {
					t.Errorf("%v", err)
				}
			}
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
