// Package qubesd is the power manager of a simulated world: it starts, stops,
// freezes and ends qubes, and is the parent of everything that runs in them.
//
// It guarantees that the state in the files is what the processes are, that a
// qube that is down has no process left, and that when it ends itself, asked
// to or not, every qube ends with it.
package qubesd

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"syscall"
	"time"

	"qvmremote/test/sim/world"
)

// Operations on a qube. Close is for the world as a whole.
const (
	OpStart   = "start"   // as admin.vm.Start: only a qube that is down
	OpState   = "state"   // whatever it takes to be in State
	OpUnpause = "unpause" // Paused to Running, else nothing
	OpRemove  = "remove"
	OpRenew   = "recreate" // same name and label, new uuid, empty home, halted
	OpEvent   = "event"    // tells of one that something else has caused
	OpObey    = "obey"     // the knob of the events was turned; for the world as a whole
	OpClose   = "close"
)

// Request is one line of JSON, answered by one Answer.
type Request struct {
	Op    string
	Qube  string      `json:",omitempty"`
	State world.State `json:",omitempty"`
	Event string      `json:",omitempty"`
	Of    []string    `json:",omitempty"` // pairs of key and value
}

// Answer tells how it went.
type Answer struct {
	Error     string `json:",omitempty"`
	NotHalted bool   `json:",omitempty"` // OpStart of a qube that is not down
}

// ErrNotHalted is the answer to OpStart for a qube that is not down.
var ErrNotHalted = errors.New("qube is not halted")

// limit is how long any operation may take.
const limit = 60 * time.Second

// Ask sends one request to the world's power manager and awaits the answer.
func Ask(w world.World, r Request) error {
	c, err := world.Dial(w.Socket(), 5*time.Second)
	if err != nil {
		return fmt.Errorf("power manager does not answer (start it with: qubes-sim up): %w", err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(limit))
	if err := json.NewEncoder(c).Encode(r); err != nil {
		return fmt.Errorf("power manager: %w", err)
	}
	var a Answer
	if err := json.NewDecoder(io.LimitReader(c, 1<<16)).Decode(&a); err != nil {
		return fmt.Errorf("power manager: %w", err)
	}
	if a.NotHalted {
		return ErrNotHalted
	}
	if a.Error != "" {
		return errors.New(a.Error)
	}
	return nil
}

// Add makes a qube, as world.Add does, and whoever follows the events learns of
// it.
func Add(w world.World, name, label, class string) error {
	if err := w.Add(name, label, class); err != nil {
		return err
	}
	return tell(w, Request{Op: OpEvent, Event: eventAdd, Of: []string{"vm", name}})
}

// Set sets a property, as world.SetProperty does, and whoever follows the events
// learns of it.
func Set(w world.World, name, property, value string) error {
	before, err := w.Property(name, property)
	if err != nil {
		return err
	}
	if err := w.SetProperty(name, property, value); err != nil {
		return err
	}
	return tell(w, Request{Op: OpEvent, Qube: name, Event: "property-set:" + property, Of: []string{"name", property, "newvalue", value, "oldvalue", before}})
}

// Turn turns a knob, as world.Set does, and has it obeyed at once.
func Turn(w world.World, qube string, k world.Knob, value string) error {
	err := w.Set(qube, k, value)
	if err == nil && k == world.Events {
		err = tell(w, Request{Op: OpObey})
	}
	return err
}

// tell asks a power manager that runs; without one nobody listens.
func tell(w world.World, r Request) error {
	if _, err := os.Stat(w.Socket()); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return Ask(w, r)
}

// Name is this program's first argument when it is the power manager.
const Name = "qubesd"

// Launch starts the power manager of a world and returns when it answers. With
// a leash the world ends when the caller closes it or dies; without, it runs
// until OpClose. The caller must Wait for the process, which ends with it.
func Launch(w world.World, leash *os.File) (*exec.Cmd, error) {
	cmd := &exec.Cmd{Path: w.Binary(), Args: []string{Name, w.Dir}, Dir: "/"}
	cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if leash != nil {
		cmd.ExtraFiles = []*os.File{leash}
		cmd.Args = append(cmd.Args, "leash")
	}
	ready, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("power manager: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("power manager: %w", err)
	}
	line, err := bufio.NewReader(ready).ReadString('\n')
	if line != "ready\n" {
		cmd.Wait()
		return nil, fmt.Errorf("power manager did not start: %s %w", line, err)
	}
	return cmd, nil
}
