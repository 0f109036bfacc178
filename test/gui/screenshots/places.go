package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	godbus "github.com/godbus/dbus/v5"

	"qvmremote/dbus"
	"qvmremote/test/bus"
	"qvmremote/test/life"
)

// place is a dom0 in one state, and what is to be seen of it.
type place struct {
	name   string
	open   func(context.Context, *studio) (address string, err error)
	alone  bool // its scenes change it
	scenes []scene
}

// places come in an order: those of the house with a past change it on.
var places = []place{
	{name: "life", open: openHouse, scenes: lively},
	{name: "change", open: openHouse, alone: true, scenes: changing},
	{name: "asked", open: ask, alone: true, scenes: asked},
	{name: "paused", open: denyAll, scenes: paused},
	{name: "restarting", open: goOn, alone: true, scenes: restarting},
	{name: "stopped", open: stop, scenes: stopped},
	{name: "strange", open: openStrange, scenes: strange},
	{name: "guest", open: openGuest, alone: true, scenes: slices.Concat(guests, kept)},
	{name: "unpaired", open: openUnpaired, scenes: unpaired},
	{name: "denied", open: openDenied, scenes: reason("denied", "You may not administer qvm-remote")},
	{name: "incompatible", open: openOlder, scenes: reason("incompatible", "The service is of another version")},
	{name: "connecting", open: openSilent, scenes: reason("connecting", "Connecting")},
	{name: "absent", open: openEmpty, scenes: reason("absent", "There is no service")},
	{name: "no-bus", open: openNothing, scenes: reason("no-bus", "There is no connection to the message bus")},
}

// home is a simulated dom0, and a client of it.
type home struct {
	*life.House
	client *dbus.Client
}

// openHouse makes the house with a past, once.
func openHouse(ctx context.Context, s *studio) (string, error) {
	if s.house == nil {
		h, err := s.newHome(ctx, life.Options{Records: 900, Day: true, History: true, Running: true})
		if err != nil {
			return "", err
		}
		s.house = h
	}
	return s.house.BusAddress, nil
}

func (s *studio) newHome(ctx context.Context, o life.Options) (*home, error) {
	o.Programs = life.In(s.bin)
	house, err := life.New(ctx, o)
	if err != nil {
		return nil, err
	}
	s.later(func() {
		if err := house.Close(); err != nil {
			fmt.Println("close a simulated dom0:", err)
		}
	})
	client, err := dbus.Dial(ctx, house.BusAddress)
	if err != nil {
		return nil, err
	}
	s.later(func() { _ = client.Close() })
	return &home{house, client}, nil
}

// then does something with the house with a past.
func then(ctx context.Context, s *studio, do func(*home) error) (string, error) {
	address, err := openHouse(ctx, s)
	if err != nil {
		return "", err
	}
	return address, do(s.house)
}

// asksFor are requests that wait, in their order; one that is approved is there
// to be compared with.
var asksFor = []struct {
	qube, script string
	approved     bool
	scope        dbus.Scope
}{
	{"work", "qvm-prefs work memory 4096\necho done", true, dbus.Scope{}},
	{"dev", "qubesctl --show-output state.highstate", true, dbus.Scope{For: 20 * time.Minute, Qube: true}},
	{"work", "qvm-prefs work memory 8192\necho done", false, dbus.Scope{}},
	{"work", "hostname", false, dbus.Scope{}},
	{"personal", "# Update the template, and say how much room is left.\nset -e\n" +
		"qubesctl --skip-dom0 --targets=fedora-41 state.apply update.qubes-vm\ndf -h /var/lib/qubes | tail -1\necho 'invoice\u202efdp.exe'", false, dbus.Scope{}},
}

// ask has qubes ask for something that their rules want approved.
func ask(ctx context.Context, s *studio) (string, error) {
	return then(ctx, s, func(h *home) error {
		for _, a := range asksFor {
			if err := h.Rules(a.qube, "ask **\n"); err != nil {
				return err
			}
		}
		for _, a := range asksFor {
			if err := h.asks(ctx, a.qube, a.script); err != nil {
				return err
			}
			if !a.approved {
				continue
			}
			r, err := h.asked(ctx, a.qube)
			if err == nil {
				err = h.client.Approve(ctx, r.Number, r.Sha256, a.scope)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// asks has a qube ask until something of it waits: its rules count within a second.
func (h *home) asks(ctx context.Context, qube, script string) error {
	for end := time.Now().Add(soon); ; {
		if err := h.Ask(ctx, qube, script); err != nil {
			return err
		}
		for until := time.Now().Add(2 * time.Second); time.Now().Before(until); time.Sleep(50 * time.Millisecond) {
			if _, err := h.asked(ctx, qube); err == nil {
				return nil
			}
		}
		if time.Now().After(end) {
			return fmt.Errorf("nothing of %s waits", qube)
		}
	}
}

// asked is the request of a qube that waits.
func (h *home) asked(ctx context.Context, qube string) (dbus.Request, error) {
	requests, err := h.client.Requests(ctx)
	for _, r := range requests {
		if r.Qube == qube {
			return r, err
		}
	}
	return dbus.Request{}, errors.Join(err, fmt.Errorf("nothing of %s waits", qube))
}

// denyAll puts the house back to where nothing waits, and pauses.
func denyAll(ctx context.Context, s *studio) (string, error) {
	return then(ctx, s, func(h *home) error {
		for {
			requests, err := h.client.Requests(ctx)
			if err != nil {
				return err
			}
			if len(requests) == 0 {
				return h.client.Pause(ctx)
			}
			for _, r := range requests {
				if err := h.client.Deny(ctx, r.Number, false); err != nil {
					return err
				}
			}
		}
	})
}

func goOn(ctx context.Context, s *studio) (string, error) {
	return then(ctx, s, func(h *home) error { return h.client.Resume(ctx) })
}

// stop ends the executor, which would wait for what runs.
func stop(ctx context.Context, s *studio) (string, error) {
	return then(ctx, s, func(h *home) error {
		if err := h.client.StopEverything(ctx); err != nil {
			return err
		}
		return h.client.Stop(ctx)
	})
}

// openStrange is a dom0 in which no qube was ever authorised.
func openStrange(ctx context.Context, s *studio) (string, error) {
	h, err := s.newHome(ctx, life.Options{Strange: true, Stopped: true})
	if err != nil {
		return "", err
	}
	return h.BusAddress, nil
}

// openGuest is a qube that asks for things.
func openGuest(ctx context.Context, s *studio) (string, error) {
	address, err := s.openGuest(ctx, life.Options{Qubes: 1, History: true})
	if err == nil {
		err = s.guest.remember()
	}
	if err == nil { // dom0's side of a file's way is a program there
		err = os.Symlink(filepath.Join(s.bin, "qvm-remote-dom0"), filepath.Join(s.guest.Dom0Bin(), "qvm-remote-dom0"))
	}
	return address, err
}

// openUnpaired is a qube that has no key yet.
func openUnpaired(ctx context.Context, s *studio) (string, error) {
	address, err := s.openGuest(ctx, life.Options{Qubes: 1, Strange: true, Stopped: true})
	if err == nil {
		err = os.Remove(s.guest.Layout("work").Key())
	}
	return address, err
}

func (s *studio) openGuest(ctx context.Context, o life.Options) (string, error) {
	h, err := s.newHome(ctx, o)
	if err != nil {
		return "", err
	}
	s.guest = h
	return h.BusAddress, nil
}

func openNothing(context.Context, *studio) (string, error) { return "unix:path=/nonexistent", nil }

func openEmpty(_ context.Context, s *studio) (string, error) {
	b, err := s.newBus("")
	if err != nil {
		return "", err
	}
	return b.Address, nil
}

// newBus is a bus of its own, with more of a policy.
func (s *studio) newBus(policy string) (*bus.Bus, error) {
	b, err := bus.New(bus.Options{Policy: policy})
	if err == nil {
		s.later(b.Close)
	}
	return b, err
}

// standIn owns the service's name on a bus of its own and answers there.
func (s *studio) standIn(policy string, answer func(*godbus.Conn) error) (string, error) {
	b, err := s.newBus(policy)
	if err != nil {
		return "", err
	}
	conn, err := b.Dial()
	if err != nil {
		return "", err
	}
	s.later(func() { conn.Close() })
	if err := answer(conn); err != nil {
		return "", err
	}
	_, err = conn.RequestName(dbus.Name, godbus.NameFlagDoNotQueue)
	return b.Address, err
}

// openDenied is a bus that lets nobody speak to the service.
func openDenied(_ context.Context, s *studio) (string, error) {
	return s.standIn(`<policy context="mandatory"><deny send_destination="`+dbus.Name+`"/></policy>`,
		func(*godbus.Conn) error { return nil })
}

// older is a service that knows nothing of what is asked.
type older struct{}

// Old is what it knows.
func (older) Old() *godbus.Error { return nil }

func openOlder(_ context.Context, s *studio) (string, error) {
	return s.standIn("", func(c *godbus.Conn) error { return c.Export(older{}, dbus.ManagerPath, dbus.Name+".Old") })
}

// silent is a service that never answers.
type silent struct{ ended <-chan struct{} }

// Subscribe is what a program calls first.
func (s silent) Subscribe() *godbus.Error {
	<-s.ended
	return nil
}

func openSilent(ctx context.Context, s *studio) (string, error) {
	return s.standIn("", func(c *godbus.Conn) error {
		return c.Export(silent{ctx.Done()}, dbus.ManagerPath, dbus.ManagerInterface)
	})
}
