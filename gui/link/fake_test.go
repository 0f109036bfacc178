package link

import (
	"context"
	"sync"
	"testing"
	"time"

	godbus "github.com/godbus/dbus/v5"

	"qvmremote/dbus"
	"qvmremote/test/bus"
)

// limit bounds every wait: it is reached in a test that fails alone.
const limit = 30 * time.Second

// service stands for org.qvmremote1 on a bus.
type service struct {
	t    testing.TB
	conn *godbus.Conn

	mu      sync.Mutex
	refused bool // it lets nobody in
	flags   map[string]godbus.Flags
	head    uint64
}

// serve starts one that owns the name.
func serve(t testing.TB, b *bus.Bus) *service {
	t.Helper()
	s := &service{t: t, conn: b.Connect(t), flags: map[string]godbus.Flags{}}
	for iface, methods := range map[string]map[string]any{
		dbus.ManagerInterface: {"Subscribe": s.subscribe, "Pause": s.heard("Pause"), "Resume": s.heard("Resume")},
		dbus.ObjectManager:    {"GetManagedObjects": objects},
		dbus.Properties:       {"GetAll": s.properties},
	} {
		if err := s.conn.ExportMethodTable(methods, dbus.ManagerPath, iface); err != nil {
			t.Fatal(err)
		}
	}
	s.own()
	return s
}

func (s *service) own() {
	s.t.Helper()
	if r, err := s.conn.RequestName(dbus.Name, godbus.NameFlagDoNotQueue); err != nil || r != godbus.RequestNameReplyPrimaryOwner {
		s.t.Fatalf("own the name: %v, %v", r, err)
	}
}

func (s *service) leave() {
	s.t.Helper()
	if _, err := s.conn.ReleaseName(dbus.Name); err != nil {
		s.t.Fatal(err)
	}
}

func (s *service) subscribe() *godbus.Error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refused {
		return godbus.NewError("org.freedesktop.DBus.Error.AccessDenied", []any{"no"})
	}
	return nil
}

func (s *service) refuse(refused bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refused = refused
}

// heard notes how the method was called.
func (s *service) heard(method string) func(godbus.Message) *godbus.Error {
	return func(m godbus.Message) *godbus.Error {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.flags[method] = m.Flags
		return nil
	}
}

// mayAsk reports whether polkit could have asked the person because of a call.
func (s *service) mayAsk(method string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.flags[method]&godbus.FlagAllowInteractiveAuthorization != 0
}

func objects() (map[godbus.ObjectPath]map[string]map[string]godbus.Variant, *godbus.Error) {
	return map[godbus.ObjectPath]map[string]map[string]godbus.Variant{}, nil
}

func (s *service) properties(string) (map[string]godbus.Variant, *godbus.Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := map[string]godbus.Variant{}
	for name, v := range map[string]any{
		"Version": "2.0.0", "Features": []string{}, "State": dbus.Running, "Since": uint64(1), "Pid": uint32(7),
		"DryRun": false, "StartsAtBoot": true, "Running": uint32(0), "Waiting": uint32(0),
		"Health": []dbus.Problem{}, "AuditHead": s.head,
	} {
		all[name] = godbus.MakeVariant(v)
	}
	return all, nil
}

// adds is so many new audit records, each told by itself.
func (s *service) adds(n int) {
	s.t.Helper()
	for range n {
		s.mu.Lock()
		seq := s.head
		s.head++
		s.mu.Unlock()
		rows := []struct {
			Seq         uint64
			Time        int64
			Event, Qube string
			Number      uint64
			State       string
		}{{seq, int64(seq), "final", "work", seq + 1, "exit"}}
		if err := s.conn.Emit(dbus.ManagerPath, dbus.ManagerInterface+".RecordsAdded", rows); err != nil {
			s.t.Fatal(err)
		}
	}
}

// reported is a report that was not taken yet.
type reported struct {
	Report
	taken func()
}

// watched is a link that runs, and what it reports.
type watched struct {
	*Link
	t       testing.TB
	reports chan reported
	end     func() // and waits until Run has returned
}

// watch runs a link; change, which may be nil, sets its times before.
func watch(t testing.TB, address string, change func(*times)) *watched {
	t.Helper()
	w := &watched{t: t, reports: make(chan reported, 1)}
	w.Link = New(address, func(r Report, taken func()) {
		select {
		case w.reports <- reported{r, taken}:
		default:
			t.Error("it reports though the last report was not taken")
			taken()
		}
	})
	w.times.apart, w.times.delay, w.times.longest = time.Millisecond, time.Millisecond, 4*time.Millisecond
	if change != nil {
		change(&w.times)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { w.Run(ctx); close(ended) }()
	w.end = func() {
		cancel()
		select {
		case <-ended:
		case <-time.After(limit):
			t.Error("it does not end")
		}
	}
	t.Cleanup(w.end)
	return w
}

// next is the next report.
func (w *watched) next() reported {
	w.t.Helper()
	select {
	case r := <-w.reports:
		return r
	case <-time.After(limit):
		w.t.Fatal("no report came")
	}
	return reported{}
}

// until takes reports until one is as wanted, which is left to be taken.
func (w *watched) until(what dbus.Availability) reported {
	w.t.Helper()
	for {
		r := w.next()
		if r.Snapshot.Availability == what && (what != dbus.Available || !r.Snapshot.Stale) {
			return r
		}
		r.taken()
	}
}

// arrived waits until what the service sent before has come by the connection.
func (w *watched) arrived(c *dbus.Client) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	if _, err := c.ReadManager(ctx); err != nil {
		w.t.Fatal(err)
	}
}
