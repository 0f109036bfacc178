package daemon

import (
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// manager is a service manager that hears what the daemon tells it.
type manager struct {
	mu   sync.Mutex
	said []string
}

func (m *manager) count(prefix string) (n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, line := range m.said {
		if strings.HasPrefix(line, prefix) {
			n++
		}
	}
	return n
}

func (m *manager) heard() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.said)
}

// managed gives the world's daemon a service manager.
func (w *world) managed(watchdog string) *manager {
	w.t.Helper()
	path := filepath.Join(w.t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { conn.Close() })
	m := &manager{}
	go func() {
		for b := make([]byte, 4096); ; {
			n, err := conn.Read(b)
			if err != nil {
				return
			}
			m.mu.Lock()
			m.said = append(m.said, strings.Split(string(b[:n]), "\n")...)
			m.mu.Unlock()
		}
	}()
	w.o.Environ = append(w.o.Environ, "NOTIFY_SOCKET="+path)
	if watchdog != "" {
		w.o.Environ = append(w.o.Environ, "WATCHDOG_USEC="+watchdog)
	}
	return m
}

func TestTheServiceManagerIsTold(t *testing.T) {
	t.Parallel()
	q := newTestQube(t)
	w := newWorld(t, q)
	m := w.managed("")
	x, _, stop := w.observed()
	w.eventually("ready", func() bool { return m.count("READY=1") == 1 })
	w.eventually("the qube is connected", func() bool { return m.count("STATUS=running; qubes: 1 of 1 connected; commands: 0 run, 0 wait") > 0 })
	q.submit("a", "until [ -e release ]; do sleep 0.02; done\n")
	w.eventually("a command runs", func() bool { return m.count("STATUS=running; qubes: 1 of 1 connected; commands: 1 run, 0 wait") > 0 })
	touch(t, w.o.Root.Stop())
	w.eventually("stopped", func() bool { return m.count("STATUS=paused, everything stopped; ") > 0 })
	if x.Snapshot().State != StatePaused {
		t.Error("not paused")
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	w.eventually("stopping", func() bool { return m.count("STOPPING=1") == 1 })
	if said := m.heard(); m.count("WATCHDOG=1") != 0 || m.count("READY=1") != 1 {
		t.Errorf("said: %q", said)
	}
}

// TestTheWatchdogStarvesWhenTheDaemonIsStuck, and only then: each part that is
// held shows by beats that stop, and come again when it goes on.
func TestTheWatchdogStarvesWhenTheDaemonIsStuck(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.managed("20000")
	x, _, _ := w.observed()
	beats := func() int { return m.count("WATCHDOG=1") }
	more := func(what string) {
		t.Helper()
		n := beats()
		w.eventually("beats "+what, func() bool { return beats() > n+1 })
	}
	more("of a daemon at rest")
	for what, hold := range map[string]func() (release func()){
		"the executor's lock": func() func() { x.mu.Lock(); return x.mu.Unlock },
		"the brake":           func() func() { x.brake.looking.Lock(); return x.brake.looking.Unlock },
		"the status": func() func() {
			x.status.mu.Lock()
			return x.status.mu.Unlock
		},
		"the loop": func() func() {
			answer := make(chan error)
			x.reloads <- answer // the loop waits until somebody takes it
			return func() { <-answer }
		},
	} {
		release := hold()
		// What was under way may still come back. Twenty beats' time in which
		// none is heard cannot pass while they go on.
		last, since := beats(), time.Now()
		w.eventually("no more beats while somebody holds "+what, func() bool {
			if n := beats(); n != last {
				last, since = n, time.Now()
			}
			return time.Since(since) > 200*time.Millisecond
		})
		release()
		more("after " + what + " was given back")
	}
}

func TestOnlyOneWatchdogOfOurOwn(t *testing.T) {
	t.Parallel()
	for environ, want := range map[string]time.Duration{
		"NOTIFY_SOCKET=/x WATCHDOG_USEC=3000000":                          3 * time.Second,
		"NOTIFY_SOCKET=/x WATCHDOG_USEC=3000000 WATCHDOG_PID=1":           0, // of another process
		"NOTIFY_SOCKET=/x WATCHDOG_USEC=0":                                0,
		"NOTIFY_SOCKET=/x WATCHDOG_USEC=-5":                               0,
		"NOTIFY_SOCKET=/x WATCHDOG_USEC=soon":                             0,
		"NOTIFY_SOCKET=/x WATCHDOG_USEC=99999999999999999":                0,
		"WATCHDOG_USEC=3000000":                                           0, // nobody hears it
		"NOTIFY_SOCKET=@abstract WATCHDOG_USEC=1500 WATCHDOG_PID=nothing": 0,
	} {
		if n := newNotifier(strings.Fields(environ)); n.watchdog != want {
			t.Errorf("%s: %v, want %v", environ, n.watchdog, want)
		}
	}
	if err := (notifier{socket: "vsock:2:1"}).tell("READY=1"); err == nil {
		t.Error("told a socket of another machine")
	}
	if err := (notifier{socket: "/nowhere/at/all"}).tell("READY=1"); err == nil {
		t.Error("told nobody, and said nothing of it")
	}
}
