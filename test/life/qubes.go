package life

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"qvmremote/daemon"
	"qvmremote/queue"
	"qvmremote/test/sim"
	"qvmremote/test/sim/qubesd"
	"qvmremote/test/sim/world"
)

// Stranger is a qube that is there, halted, and not authorised.
const Stranger = "vault"

// kinds are the first qubes; more are numbered.
var kinds = []struct{ name, label string }{{"work", "red"}, {"dev", "blue"}, {"personal", "yellow"}}

var labels = []string{"red", "orange", "yellow", "green", "gray", "blue", "purple", "black"}

// people makes the qubes.
func (h *House) people(n int) error {
	if n == 0 {
		n = len(kinds)
	}
	if err := h.Add(Stranger, "black", "AppVM"); err != nil {
		return err
	}
	for i := range n {
		name, label := fmt.Sprintf("app-%02d", i+1), labels[i%len(labels)]
		if i < len(kinds) {
			name, label = kinds[i].name, kinds[i].label
		}
		if err := h.person(name, label); err != nil {
			return fmt.Errorf("qube %s: %w", name, err)
		}
		h.Qubes = append(h.Qubes, name)
	}
	return nil
}

// person makes one qube with our client and a key.
func (h *House) person(name, label string) error {
	if err := h.Add(name, label, "AppVM"); err != nil {
		return err
	}
	if err := h.Install(name, h.programs.Client, "qvm-remote"); err != nil {
		return err
	}
	key, layout := queue.GenerateKey().Reveal(), h.Layout(name)
	if err := layout.Make(); err != nil {
		return err
	}
	if err := queue.Publish(layout.Key(), key); err != nil {
		return err
	}
	return h.SetPower(name, sim.Running)
}

// remember gives the log a past.
func (h *House) remember(ctx context.Context, o Options) error {
	if o.Records <= 0 {
		return nil
	}
	all := map[string]queue.Key{}
	for _, name := range h.Qubes {
		key, err := h.Key(name)
		if err != nil {
			return err
		}
		all[name] = key
	}
	back := span
	if o.Day {
		back = 24 * time.Hour
	}
	return fillAudit(ctx, h.Root(), o.Records, back, all)
}

// introduce gives dom0 the qubes' keys, unless they are to stay strangers.
func (h *House) introduce(ctx context.Context, o Options) error {
	if o.Strange {
		h.Qubes = nil
		return nil
	}
	for _, name := range h.Qubes {
		key, err := h.Key(name)
		if err == nil {
			err = h.dom0(ctx, key.Reveal(), "authorize", name)
		}
		if err == nil && o.Rules != "" {
			err = h.Rules(name, o.Rules)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Key is the key that a qube has.
func (h *House) Key(qube string) (queue.Key, error) {
	b, err := os.ReadFile(h.Layout(qube).Key())
	if err != nil {
		return queue.Key{}, err
	}
	return queue.ParseKey(b)
}

// SetPower does what it takes to bring a qube into a state.
func (h *House) SetPower(qube string, s world.State) error {
	return qubesd.Ask(h.World.World, qubesd.Request{Op: qubesd.OpState, Qube: qube, State: s})
}

// dom0 runs a command of qvm-remote-dom0 on the files, without the service.
func (h *House) dom0(ctx context.Context, stdin []byte, args ...string) error {
	cmd := h.Dom0Command(ctx, h.programs.Dom0, append([]string{"--root", h.Dom0(), "--offline"}, args...)...)
	cmd.Stdin = bytes.NewReader(stdin)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%q in dom0: %w\n%s", args, err, out)
	}
	return nil
}

// Layout is where the qube's files lie, seen from outside.
func (h *House) Layout(qube string) queue.Layout {
	return queue.Layout{Root: filepath.Join(h.QubePath(qube, "home"), queue.FolderName)}
}

// awaitConnected waits until the executor is connected to every qube that runs.
func (h *House) awaitConnected(ctx context.Context) error {
	missing := ""
	err := await(ctx, func() (bool, error) {
		s, err := daemon.ReadStatus(h.Root().Status())
		if err != nil {
			return false, nil // not written yet
		}
		connected := map[string]bool{}
		for _, q := range s.Qubes {
			connected[q.Name] = q.State == "connected"
		}
		for _, name := range h.Qubes {
			power, err := h.State(name)
			if err != nil {
				return false, err
			}
			if power == sim.Running && !connected[name] {
				missing = name
				return false, nil
			}
		}
		return true, nil
	})
	if err != nil {
		return fmt.Errorf("wait for the connection to %s: %w", missing, err)
	}
	return nil
}

// await polls until done, or for [patience].
func await(ctx context.Context, done func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		ok, err := done()
		if ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
}
