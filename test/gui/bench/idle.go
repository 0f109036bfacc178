package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	godbus "github.com/godbus/dbus/v5"
)

const (
	idleTime = 10 * time.Second
	// quiet is how long the main thread must sleep before it is said to be idle:
	// GTK takes the mark of the focus away 3 s after a key.
	quiet = 4 * time.Second
)

// idlePages are the pages with the keys that lead there.
var idlePages = []struct{ name, key string }{{"qubes", "ctrl+2"}, {"activity", "ctrl+4"}, {"overview", "ctrl+1"}}

// idleRows counts what the program does while nobody does anything.
func idleRows(ctx context.Context, l *lab) ([]row, error) {
	house, err := l.house(ctx)
	if err != nil {
		return nil, err
	}
	s, err := newStage()
	if err != nil {
		return nil, err
	}
	defer s.Close()
	r := l.launch(s, house.BusAddress, "overview")
	r.await("what the service says", 0, serviceShown)
	var ears []*ear
	for _, address := range []string{house.BusAddress, s.Session.Address} {
		e, err := listen(ctx, address)
		if err != nil {
			return nil, err
		}
		defer e.conn.Close()
		ears = append(ears, e)
	}
	var rows []row
	for _, p := range idlePages {
		at := r.press(p.key)
		r.await("the page "+p.name, at, func(f frame) bool { return f.page == p.name })
		r.settle()
		for _, e := range ears {
			e.count()
		}
		main, others := switches(r.program.Pid())
		if err := sleep(ctx, idleTime); err != nil {
			return nil, err
		}
		mainAfter, othersAfter := switches(r.program.Pid())
		messages := 0
		for _, e := range ears {
			messages += e.count()
		}
		what := fmt.Sprintf("idle on %s for %.0f s: ", p.name, idleTime.Seconds())
		rows = append(rows, none(what+"wake-ups of the main thread", int(mainAfter-main)),
			told(what+"wake-ups of all other threads", fmt.Sprint(woke(others, othersAfter))),
			none(what+"messages on its buses", messages))
	}
	return rows, nil
}

// sleep is what is measured here: that nothing happens for so long.
func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// settle waits until what the program did last is over.
func (r *run) settle() {
	last, since := int64(-1), time.Now()
	for late := time.Now().Add(patience); time.Now().Before(late); time.Sleep(50 * time.Millisecond) {
		main, _ := switches(r.program.Pid())
		if main != last {
			last, since = main, time.Now()
		}
		if time.Since(since) > quiet {
			return
		}
	}
	r.Fatalf("the main thread did not sleep for %v within %v", quiet, patience)
}

// switches is how often the main thread of a process went to sleep and woke up,
// and how often each of the others.
func switches(pid int) (main int64, others map[int]int64) {
	others = map[int]int64{}
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pid))
	if err != nil {
		return 0, others
	}
	for _, t := range tasks {
		tid, err := strconv.Atoi(filepath.Base(t))
		if err != nil {
			continue
		}
		n := max(0, statusField(pid, tid, "voluntary_ctxt_switches"))
		if tid == pid {
			main = n
		} else {
			others[tid] = n
		}
	}
	return main, others
}

// woke is how often threads woke up between two counts; what those did that ended
// meanwhile nobody knows.
func woke(before, after map[int]int64) (n int64) {
	for tid, count := range after {
		n += count - before[tid]
	}
	return n
}

// statusField reads a number such as VmRSS of a thread; -1 where there is none.
func statusField(pid, tid int, name string) int64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/status", pid, tid))
	if err != nil {
		return -1
	}
	for line := range strings.Lines(string(b)) {
		if k, v, ok := strings.Cut(line, ":"); ok && k == name && len(strings.Fields(v)) > 0 {
			if n, err := strconv.ParseInt(strings.Fields(v)[0], 10, 64); err == nil {
				return n
			}
		}
	}
	return -1
}

// ear hears all that is said on a bus.
type ear struct {
	conn *godbus.Conn
	said chan *godbus.Message
}

func listen(ctx context.Context, address string) (*ear, error) {
	conn, err := godbus.Connect(address, godbus.WithContext(ctx))
	if err != nil {
		return nil, fmt.Errorf("connect to listen: %w", err)
	}
	if err := conn.BusObject().CallWithContext(ctx, "org.freedesktop.DBus.Monitoring.BecomeMonitor", 0, []string{}, uint32(0)).Err; err != nil {
		conn.Close()
		return nil, fmt.Errorf("listen to a bus: %w", err)
	}
	e := &ear{conn, make(chan *godbus.Message, 1000)}
	conn.Eavesdrop(e.said)
	return e, nil
}

// count is how many messages there were since it was asked last.
func (e *ear) count() (n int) {
	for len(e.said) > 0 {
		m := <-e.said
		// A monitor loses its own name.
		if m.Type != godbus.TypeSignal || m.Headers[godbus.FieldMember].Value() != "NameLost" {
			n++
		}
	}
	return n
}
