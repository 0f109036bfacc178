package main

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	godbus "github.com/godbus/dbus/v5"

	"qvmremote/daemon/paths"
	"qvmremote/dbus"
	"qvmremote/test/bus"
)

// newBusScene is newScene with a message bus, on which the daemon is.
func (l *lab) newBusScene(ctx context.Context, n int) (*scene, *bus.Bus, error) {
	b, err := bus.New(bus.Options{})
	if err != nil {
		return nil, nil, err
	}
	s, err := l.newScene(ctx, n, paths.BusVar+"="+b.Address)
	if err != nil {
		b.Close()
		return nil, nil, err
	}
	return s, b, nil
}

const reads = 2000

// busRows times the smallest call there is.
func busRows(ctx context.Context, l *lab) ([]row, error) {
	s, b, err := l.newBusScene(ctx, 1)
	if err != nil {
		return nil, err
	}
	defer b.Close()
	defer s.end()
	conn, err := godbus.Connect(b.Address)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	var state, bare []time.Duration
	for range reads {
		began := time.Now()
		if _, err := conn.Object(dbus.Name, dbus.ManagerPath).GetProperty(dbus.ManagerInterface + ".State"); err != nil {
			return nil, err
		}
		state = append(state, time.Since(began))
		began = time.Now()
		if err := conn.Object(dbus.Name, dbus.ManagerPath).CallWithContext(ctx, dbus.Peer+".Ping", 0).Err; err != nil {
			return nil, err
		}
		bare = append(bare, time.Since(began))
	}
	p50, ping := quantile(state, 0.5), quantile(bare, 0.5)
	return []row{{"a property read over the bus, p50", fmt.Sprintf("%.2f ms", p50.Seconds()*1000), times(p50, ping) + " a bare ping", "≤ 2 ms", p50 <= 2*time.Millisecond}}, nil
}

const (
	listeners   = 200
	perListened = 200 // commands of each of five qubes
)

// listener counts the records it was told of, and those it was not.
type listener struct {
	conn *godbus.Conn
	next atomic.Uint64
	lost atomic.Uint64
}

func listen(address string) (*listener, error) {
	conn, err := godbus.Connect(address, godbus.WithSignalHandler(godbus.NewSequentialSignalHandler()))
	if err != nil {
		return nil, err
	}
	l := &listener{conn: conn}
	signals := make(chan *godbus.Signal, 16)
	conn.Signal(signals)
	err = conn.AddMatchSignal(godbus.WithMatchSender(dbus.Name))
	if err == nil {
		err = conn.Object(dbus.Name, dbus.ManagerPath).Call(dbus.ManagerInterface+".Subscribe", 0).Err
	}
	go func() {
		for sig := range signals {
			l.take(sig)
		}
	}()
	return l, err
}

func (l *listener) take(sig *godbus.Signal) {
	if sig.Name != dbus.ManagerInterface+".RecordsAdded" {
		return
	}
	records, _ := sig.Body[0].([][]any)
	for _, r := range records {
		seq, _ := r[0].(uint64)
		if next := l.next.Load(); next != 0 && seq > next {
			l.lost.Add(seq - next)
		}
		l.next.Store(seq + 1)
	}
}

// stuck is a connection from which nobody reads any more once that is set.
type stuck struct {
	net.Conn
	now  atomic.Bool
	done chan struct{}
	once sync.Once
}

func (s *stuck) Read(b []byte) (int, error) {
	n, err := s.Conn.Read(b)
	if s.now.Load() {
		<-s.done
	}
	return n, err
}

func (s *stuck) Close() error {
	s.once.Do(func() { close(s.done) }) // godbus closes it as well
	return s.Conn.Close()
}

// stall connects, asks for every signal and reads nothing ever after.
func stall(address string) (*stuck, error) {
	path, _, _ := strings.Cut(strings.TrimPrefix(address, "unix:path="), ",")
	c, err := net.Dial("unix", path)
	if err != nil {
		return nil, err
	}
	s := &stuck{Conn: c, done: make(chan struct{})}
	conn, err := godbus.NewConn(s)
	if err == nil {
		err = conn.Auth(nil)
	}
	if err == nil {
		err = conn.Hello()
	}
	if err == nil {
		err = conn.AddMatchSignal(godbus.WithMatchSender(dbus.Name))
	}
	s.now.Store(true)
	return s, err
}

// crowdRows runs commands while two hundred clients listen, and one that is
// stuck.
func crowdRows(ctx context.Context, l *lab) ([]row, error) {
	alone, _, err := l.crowd(ctx, 0)
	if err != nil {
		return nil, err
	}
	rate, c, err := l.crowd(ctx, listeners)
	if err != nil {
		return nil, err
	}
	return []row{
		{fmt.Sprintf("commands while %d clients listen and one is stuck", listeners), fmt.Sprintf("%.0f a second", rate), fmt.Sprintf("%.1f × without", rate/alone), "", true},
		{"records told to each of them / missed by any", fmt.Sprintf("%d / %d", c.told, c.missed), "", "0 missed", c.missed == 0 && c.told > 0},
		{"the daemon's resident memory after that", fmt.Sprintf("%.1f MiB", c.rss), "", "≤ 64 MiB", c.rss <= 64},
	}, nil
}

type crowd struct {
	told, missed uint64
	rss          float64 // MiB
}

func (l *lab) crowd(ctx context.Context, n int) (rate float64, c crowd, err error) {
	s, b, err := l.newBusScene(ctx, 5)
	if err != nil {
		return 0, c, err
	}
	defer b.Close()
	defer s.end()
	var all []*listener
	for range n {
		one, err := listen(b.Address)
		if err != nil {
			return 0, c, err
		}
		defer one.conn.Close()
		all = append(all, one)
	}
	if n > 0 {
		stuck, err := stall(b.Address)
		if err != nil {
			return 0, c, err
		}
		defer stuck.Close()
	}
	took, err := s.keepBusy(ctx)
	if err != nil {
		return 0, c, err
	}
	c.rss = float64(statusField(s.daemon.Process.Pid, "VmRSS")) / 1024
	rate = float64(perListened*len(s.qubes)) / took.Seconds()
	if n == 0 {
		return rate, c, nil
	}
	err = all[0].catchUp(all, &c)
	return rate, c, err
}

// keepBusy has every qube submit commands at once.
func (s *scene) keepBusy(ctx context.Context) (time.Duration, error) {
	var wg sync.WaitGroup
	errs := make([]error, len(s.qubes))
	began := time.Now()
	for i, q := range s.qubes {
		wg.Add(1)
		go func() {
			defer wg.Done()
			var r report
			errs[i] = s.ask(ctx, q, &r, "submit", fmt.Sprint(perListened), "true")
			if errs[i] == nil && r.Finished != perListened {
				errs[i] = fmt.Errorf("%d of %d commands ended well", r.Finished, perListened)
			}
		}()
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return 0, err
		}
	}
	return time.Since(began), nil
}

// catchUp waits until every listener was told of the newest record there is.
func (l *listener) catchUp(all []*listener, c *crowd) error {
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		v, err := l.conn.Object(dbus.Name, dbus.ManagerPath).GetProperty(dbus.ManagerInterface + ".AuditHead")
		if err != nil {
			return err
		}
		head, _ := v.Value().(uint64)
		behind := 0
		c.missed = 0
		for _, one := range all {
			if one.next.Load() < head {
				behind++
			}
			c.missed += one.lost.Load()
		}
		if c.told = head; behind == 0 {
			return nil
		}
	}
	return fmt.Errorf("not every client was told of every record in time")
}

const silence = 10 * time.Second

// silenceRows counts what an idle client and an idle daemon say to each other.
func silenceRows(ctx context.Context, l *lab) ([]row, error) {
	s, b, err := l.newBusScene(ctx, 1)
	if err != nil {
		return nil, err
	}
	defer b.Close()
	defer s.end()
	c, err := dbus.Dial(ctx, b.Address)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	m, err := dbus.NewMirror(ctx, c)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	time.Sleep(3 * time.Second) // what follows a subscription is over
	monitor, err := godbus.Connect(b.Address)
	if err != nil {
		return nil, err
	}
	defer monitor.Close()
	if err := monitor.BusObject().Call("org.freedesktop.DBus.Monitoring.BecomeMonitor", 0, []string{}, uint32(0)).Err; err != nil {
		return nil, err
	}
	seen := make(chan *godbus.Message, 1000)
	monitor.Eavesdrop(seen)
	time.Sleep(silence)
	n := 0
	for len(seen) > 0 {
		if m := <-seen; m.Type != godbus.TypeSignal || m.Headers[godbus.FieldMember].Value() != "NameLost" { // a monitor loses its own name
			n++
		}
	}
	return []row{{"messages on the bus of an idle client and an idle daemon in 10 s", fmt.Sprint(n), "", "0", n == 0}}, nil
}
