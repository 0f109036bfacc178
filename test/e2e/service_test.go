package e2e

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	godbus "github.com/godbus/dbus/v5"

	"qvmremote/daemon/admin"
	"qvmremote/daemon/paths"
	"qvmremote/dbus"
	"qvmremote/test/bus"
	"qvmremote/test/bus/systemd"
	"qvmremote/test/sim"
)

// installed is a house in which qvm-remote is installed: a message bus that
// starts the manager when it is called, and a systemd that has both units.
type installed struct {
	*house
	bus     *bus.Bus
	systemd *systemd.Fake

	mu      sync.Mutex
	running map[string]*dom0 // by unit
}

// install puts both units on a bus of the house's own.
func (h *house) install() *installed {
	h.t.Helper()
	b := bus.Start(h.t)
	i := &installed{house: h, bus: b, systemd: systemd.Start(h.t, b), running: map[string]*dom0{}}
	b.Activatable(h.t, dbus.Name, programs.dom0, []string{"--root", h.Dom0(), "--manage"}, append(h.Dom0Env(), paths.BusVar+"="+b.Address))
	for unit, args := range map[string][]string{admin.Service: nil, admin.ManageService: {"--manage"}} {
		i.systemd.Add(unit, systemd.Hooks{
			Start: func(string) error { return i.launch(unit, args...) },
			Stop:  func(string) error { i.end(unit); return nil },
		})
	}
	return i
}

// launch starts a unit of Type=notify: it returns when that is ready.
func (i *installed) launch(unit string, args ...string) error {
	// Not the test's own folder: its path may be too long for a socket.
	dir, err := os.MkdirTemp("", "notify")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	socket := filepath.Join(dir, "s")
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		return err
	}
	cmd := i.Dom0Command(context.Background(), programs.dom0, append([]string{"--root", i.Dom0()}, args...)...)
	cmd.Env = append(cmd.Env, paths.BusVar+"="+i.bus.Address, "NOTIFY_SOCKET="+socket)
	d := i.house.launch(cmd)
	i.mu.Lock()
	i.running[unit] = d
	i.mu.Unlock()
	go func() {
		<-d.done
		l.Close()
	}()
	_ = l.SetReadDeadline(time.Now().Add(patience))
	for buf := make([]byte, 4096); ; {
		n, err := l.Read(buf)
		if err != nil {
			return fmt.Errorf("%s did not become ready: %w", unit, err)
		}
		if strings.Contains("\n"+string(buf[:n])+"\n", "\nREADY=1\n") {
			return nil
		}
	}
}

func (i *installed) end(unit string) {
	i.mu.Lock()
	d := i.running[unit]
	i.mu.Unlock()
	if d != nil {
		d.stop()
	}
}

// client is what the desktop app and the command line talk through.
func (i *installed) client() *dbus.Client {
	i.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c, err := dbus.Dial(ctx, i.bus.Address)
	must(i.t, err)
	i.t.Cleanup(func() { c.Close() })
	return c
}

// unowned counts how often the name had no owner since.
func (i *installed) unowned() func() int {
	i.t.Helper()
	conn := i.bus.Connect(i.t)
	seen := make(chan *godbus.Signal, 1000)
	conn.Signal(seen)
	must(i.t, conn.AddMatchSignal(godbus.WithMatchMember("NameOwnerChanged"), godbus.WithMatchArg(0, dbus.Name)))
	return func() int {
		i.t.Helper()
		must(i.t, conn.BusObject().Call("org.freedesktop.DBus.GetId", 0).Err) // all signals before are there now
		n := 0
		for {
			select {
			case s := <-seen:
				if len(s.Body) == 3 && s.Body[2] == "" {
					n++
				}
			default:
				return n
			}
		}
	}
}

func (i *installed) state(c *dbus.Client) string {
	i.t.Helper()
	m, err := c.ReadManager(context.Background())
	must(i.t, err)
	return m.State
}

// TestOneServiceForTheDesktop is a day with the desktop app: a qube is
// authorised with a key made in dom0, the executor started, a command watched
// and cancelled, everything stopped, and the name is never without an owner.
func TestOneServiceForTheDesktop(t *testing.T) {
	once(t)
	t.Parallel()
	h := newHouse(t, "other")
	h.World.Qube("work", sim.Halted)
	work := &qube{Qube: h.Get("work"), h: h, t: t, layout: h.of("other").layout}
	work.layout.Root = strings.Replace(work.layout.Root, "/other/", "/work/", 1)
	work.Install(programs.client, "qvm-remote")
	work.SetState(sim.Running)
	i := h.install()
	ctx := context.Background()
	c := i.client()

	if got := i.state(c); got != dbus.Stopped {
		t.Fatalf("a look at the service found it %s", got)
	}
	if calls := strings.Join(i.systemd.Calls(), " "); strings.Contains(calls, "StartUnit "+admin.Service) {
		t.Fatalf("looking started the executor: %s", calls)
	}
	gap := i.unowned()
	fingerprint, _, err := c.GenerateKey(ctx, "work", dbus.Options{Policy: "allow"})
	must(t, err)
	q, err := c.ReadQube(ctx, "work")
	must(t, err)
	if q.Fingerprint != fingerprint || !q.Configured || q.KeyState != "good" {
		t.Errorf("authorised, but it reads %+v", q)
	}
	if _, _, err := c.GenerateKey(ctx, "work", dbus.Options{}); !errors.Is(err, dbus.Err(dbus.OtherKey)) {
		t.Errorf("a second key was made for it: %v", err)
	}

	must(t, c.Start(ctx))
	if got := i.state(c); got != dbus.Running {
		t.Errorf("started, but it is %s", got)
	}
	work.works()

	sleeper := work.begin("sleep 600")
	var number uint64
	await(t, "the command is listed", func() bool {
		list, err := c.ListCommands(ctx)
		must(t, err)
		for _, r := range list {
			if r.Qube == "work" && r.State == "running" {
				number = r.Number
			}
		}
		return number != 0
	})
	must(t, c.CancelCommand(ctx, number))
	if r := sleeper.end(); r.code != 130 {
		t.Errorf("cancelled in dom0, and in the qube: %+v", r)
	}
	if err := c.CancelCommand(ctx, number); !errors.Is(err, dbus.Err(dbus.NoSuchCommand)) {
		t.Errorf("cancelled twice: %v", err)
	}
	records, _, err := c.QueryAudit(ctx, dbus.Filter{Number: number, States: []string{"cancelled"}}, 0, 10)
	must(t, err)
	if len(records) != 1 || records[0].Way != "dbus" {
		t.Errorf("the record of the cancel: %+v", records)
	}

	must(t, c.StopEverything(ctx))
	if got := i.state(c); got != dbus.Paused {
		t.Errorf("everything stopped, and it is %s", got)
	}
	must(t, c.Resume(ctx))
	must(t, c.Stop(ctx))
	await(t, "the executor is stopped", func() bool { return i.state(c) == dbus.Stopped })
	must(t, c.Start(ctx)) // who reads "stopped" may start the next one at once
	if got := i.state(c); got != dbus.Running {
		t.Errorf("started again, but it is %s", got)
	}
	must(t, c.Stop(ctx))
	await(t, "the executor is stopped again", func() bool { return i.state(c) == dbus.Stopped })
	v, err := c.VerifyAudit(ctx, nil)
	must(t, err)
	if !v.Verified {
		t.Errorf("the audit log: %+v", v)
	}
	if n := gap(); n != 0 {
		t.Errorf("the name had no owner %d times", n)
	}
}
