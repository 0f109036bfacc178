// Package service is dom0's side of org.qvmremote1: it puts the administration
// and, where one runs, the executor on the bus.
//
// It guarantees:
//   - Every method passes the gate before it does anything; what the interface
//     does not describe does not exist. Only Ping and GetMachineId, of every
//     object of every program on a bus, godbus answers by itself.
//   - No method, and no client that hangs, floods or dies, holds up another, the
//     executor, or the end of the process; what a caller who left had asked for
//     is cancelled, and its file descriptors are closed.
//   - What goes to everybody (signals, property values in them) is made of
//     sequence numbers, states, counters, names, labels and fingerprints.
//   - A clean hand-over between executor and manager leaves the name owned at
//     every moment, and loses no call.
//
// [Executor] is the face of a running executor, [Manage] the process that
// answers while none runs.
package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	godbus "github.com/godbus/dbus/v5"

	"qvmremote/daemon"
	"qvmremote/daemon/admin"
	"qvmremote/daemon/paths"
	"qvmremote/daemon/qubes"
	"qvmremote/dbus"
	"qvmremote/dbus/gate"
	"qvmremote/dbus/wire"
)

// Options are what a process that answers on the bus decides.
type Options struct {
	Root    paths.Root
	Environ []string // where settings may come from
	Address string   // of the bus
	Log     *slog.Logger
	Times   Times
}

// Times are the service's waits, in one value so that tests shorten them.
type Times struct {
	Idle     time.Duration // a manager that nobody needs ends after it
	Power    time.Duration // between looks at the qubes' states while somebody is subscribed
	Gather   time.Duration // changes within it go out together
	Search   time.Duration // of the audit log, in one call
	Call     time.Duration // a usual method gets so long
	LongCall time.Duration // one that talks to qubes, systemd or a person, or reads the whole log
	Handover time.Duration // for a manager to appear
	Key      time.Duration // a caller may take so long to write a key
	Stall    time.Duration // a client's pipe may be stuck for so long
	Notice   time.Duration // a call is cancelled with its caller once it is older
	Bus      time.Duration // the bus answers within it, or never
	Retry    time.Duration // between tries to reach a bus that is not there
	Events   qubes.Times   // of a manager's connection that tells of changes of power states
}

// DefaultTimes are those that the interface's documentation tells.
func DefaultTimes() Times {
	return Times{
		Idle: 60 * time.Second, Power: 15 * time.Second, Gather: 100 * time.Millisecond, Search: 80 * time.Millisecond,
		Call: 30 * time.Second, LongCall: 10 * time.Minute, Handover: 5 * time.Second, Key: 10 * time.Second, Stall: 30 * time.Second,
		Notice: 500 * time.Millisecond, Bus: 10 * time.Second, Retry: 10 * time.Second,
		Events: qubes.DefaultTimes(),
	}
}

// Service is one connection to the bus that answers.
type Service struct {
	o       Options
	conn    *godbus.Conn
	gate    *gate.Gate
	methods map[gate.Member]*method
	tools   *qubes.Tools
	traffic *traffic
	clients *clients
	objects *objects
	feed    *feed

	executes bool // this process is an executor, be it one that ends; set before calls are answered
	executor atomic.Pointer[daemon.Executor]
	life     context.Context // ends with the connection's work
	end      context.CancelFunc
	loops    sync.WaitGroup

	made       chan struct{} // closed when all of the above is there
	readyOnce  sync.Once
	ready      chan struct{} // closed when calls may be answered
	owner      chan bool     // told when the name was lost (false) or came (true); newest only
	owned      atomic.Bool   // the name is ours
	units      chan struct{} // calls to systemd
	moving     sync.Map      // names of qubes that are being started or shut down
	came, seen atomic.Uint64 // how often the name came, and what of that was caught up with
	catching   sync.Mutex    // held while catching up
}

// connect reaches the bus and makes the objects; no name is owned yet and no
// call answered.
func connect(ctx context.Context, o Options) (*Service, error) {
	s := &Service{o: o, tools: &qubes.Tools{Root: o.Root}, traffic: newTraffic(), made: make(chan struct{}), ready: make(chan struct{}), owner: make(chan bool, 1), units: make(chan struct{}, maxUnits)}
	table, err := s.bind()
	if err != nil {
		return nil, err
	}
	s.life, s.end = context.WithCancel(context.Background())
	conn, err := wire.Dial(ctx, o.Address, wire.Options{Incoming: s.incoming}, godbus.WithHandler(handler{s}), godbus.WithSignalHandler(s))
	if err != nil {
		s.end()
		return nil, fmt.Errorf("cannot reach the message bus at %s: %w", o.Address, err)
	}
	s.conn = conn
	s.gate = gate.New(conn, table)
	s.clients = newClients(s)
	s.objects = newObjects(s)
	s.feed = newFeed(s)
	close(s.made)
	return s, nil
}

// errOwned says that the name belongs to somebody who does not give it away.
var errOwned = errors.New("another program owns " + dbus.Name + " and keeps it")

// takeName reaches the bus and asks for the name. Without DoNotQueue it may
// come later.
func takeName(ctx context.Context, o Options, flags godbus.RequestNameFlags) (*Service, error) {
	s, err := connect(ctx, o)
	if err != nil {
		return nil, err
	}
	var reply uint32
	err = s.bus(ctx, "RequestName", &reply, dbus.Name, uint32(flags))
	if err != nil {
		err = fmt.Errorf("cannot own the name %s: %w", dbus.Name, err)
	} else if got := godbus.RequestNameReply(reply); got == godbus.RequestNameReplyExists {
		err = errOwned
	}
	if err != nil {
		s.abandon()
		return nil, err
	}
	return s, nil
}

// abandon ends a connection that is of no more use, or lost, without a word.
func (s *Service) abandon() {
	s.end()
	_ = s.conn.Close()
	s.loops.Wait()
}

// begin lets calls be answered from now on.
func (s *Service) begin() {
	s.readyOnce.Do(func() {
		s.feed.prime(s.life)
		s.objects.refresh(s.life)
		if !s.executes {
			s.loops.Add(1)
			go s.follow()
		}
		s.loops.Add(3)
		go s.objects.loop()
		go s.feed.loop()
		go s.feed.send()
		close(s.ready)
		s.objects.look.askSoon()
	})
}

// admin is the administration as the caller has it done, for one call.
func (s *Service) admin(c caller) *admin.Admin {
	a := admin.New(s.o.Root, s.o.Environ, c.who, "dbus")
	a.Tools = s.tools
	return a
}

// DeliverSignal takes the bus's own signals; godbus calls it in order, for each
// signal before it reads the next message.
func (s *Service) DeliverSignal(_, _ string, sig *godbus.Signal) {
	if sig.Sender != "org.freedesktop.DBus" {
		return
	}
	switch sig.Name {
	case "org.freedesktop.DBus.NameOwnerChanged":
		var name, before, after string
		if godbus.Store(sig.Body, &name, &before, &after) == nil && after == "" && s.clients != nil {
			s.clients.left(name)
		}
	case "org.freedesktop.DBus.NameLost", "org.freedesktop.DBus.NameAcquired":
		var name string
		if godbus.Store(sig.Body, &name) == nil && name == dbus.Name {
			s.owns(sig.Name == "org.freedesktop.DBus.NameAcquired")
		}
	}
}

func (s *Service) owns(yes bool) {
	s.owned.Store(yes)
	if yes {
		s.came.Add(1)
	}
	select {
	case <-s.owner: // only the newest counts
	default:
	}
	s.owner <- yes
}

// catchUp looks anew if the name came since the last look: what happened while
// another owned it was not for this process to tell, and it may not have seen
// all of it yet. Of several calls each waits for the look.
func (s *Service) catchUp() {
	if s.seen.Load() >= s.came.Load() {
		return
	}
	s.catching.Lock()
	defer s.catching.Unlock()
	if came := s.came.Load(); s.seen.Load() < came { // still, and nobody else looked meanwhile
		s.objects.look.stale.Store(true)
		s.objects.refresh(s.life) // not for this caller alone, who may leave
		s.seen.Store(came)
	}
}

// bus asks the bus itself.
func (s *Service) bus(ctx context.Context, method string, ret any, args ...any) error {
	ctx, cancel := context.WithTimeout(ctx, s.o.Times.Bus)
	defer cancel()
	c := s.conn.BusObject().CallWithContext(ctx, "org.freedesktop.DBus."+method, 0, args...)
	if ret == nil {
		return c.Err
	}
	return c.Store(ret)
}

// close answers what it was asked, gives the name back and leaves the bus.
// Whoever wants no gap has seen to it that another waits for the name.
func (s *Service) close(ctx context.Context) error {
	s.begin() // whoever still waits gets an answer
	var released uint32
	err := s.bus(ctx, "ReleaseName", &released, dbus.Name)
	if err == nil {
		// Behind this answer no call can follow any more.
		err = s.bus(ctx, "GetId", new(string))
	}
	s.traffic.settle(s.o.Times.Handover)
	s.end()
	s.traffic.settle(time.Second)
	closed := s.conn.Close()
	s.loops.Wait()
	return errors.Join(err, closed)
}
