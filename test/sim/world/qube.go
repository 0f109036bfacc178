package world

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
)

// State is a power state in the words of qvm-ls.
type State string

// The power states. Transient is a qube whose agent does not answer yet.
const (
	Running   State = "Running"
	Halted    State = "Halted"
	Paused    State = "Paused"
	Transient State = "Transient"
	Halting   State = "Halting"
	Crashed   State = "Crashed"
)

// ParseState reads a state as qvm-ls prints it.
func ParseState(s string) (State, error) {
	switch st := State(s); st {
	case Running, Halted, Paused, Transient, Halting, Crashed:
		return st, nil
	}
	return "", fmt.Errorf("unknown power state %q", s)
}

// IsRunning is the answer of qvm-check --running and of qvm-run's own check:
// everything but Halted and NA, so also a paused, a dying or a crashed qube.
func (s State) IsRunning() bool { return s != Halted && s != "" }

// Properties of a qube that can be read with Property.
const (
	propState = "state"
	propUUID  = "uuid"
	propLabel = "label"
	propClass = "class"
	propUser  = "default_user"
	propBoots = "boots"
	propJail  = "isolation"
	propNetvm = "netvm"
)

// Add makes a halted qube with an empty home and a uuid of its own.
func (w World) Add(name, label, class string) error {
	if err := CheckName(name); err != nil {
		return err
	}
	if w.Exists(name) {
		return fmt.Errorf("a qube named %s is already there", name)
	}
	for _, d := range []string{"home", "root", "knobs", "rpc"} {
		if err := os.MkdirAll(w.QubePath(name, d), 0o700); err != nil {
			return fmt.Errorf("make qube %s: %w", name, err)
		}
	}
	if err := w.equip(w.QubePath(name), qubeTools); err != nil {
		return err
	}
	for _, p := range [][2]string{{propState, string(Halted)}, {propLabel, label}, {propClass, class},
		{propUser, "user"}, {propNetvm, ""}, {propBoots, "0"}, {propUUID, newUUID()}} {
		if err := w.SetProperty(name, p[0], p[1]); err != nil {
			return err
		}
	}
	return nil
}

// Renew makes of a halted qube another one of the same name: a new uuid and
// empty homes. Its programs, which come from a template, stay.
func (w World) Renew(name string) error {
	if err := w.SetProperty(name, propUUID, newUUID()); err != nil {
		return err
	}
	for _, home := range []string{"home", "root"} {
		gone := w.QubePath(name, "."+home+"-"+newUUID())
		if err := os.Rename(w.QubePath(name, home), gone); err != nil {
			return fmt.Errorf("recreate qube %s: %w", name, err)
		}
		if err := os.Mkdir(w.QubePath(name, home), 0o700); err != nil {
			return fmt.Errorf("recreate qube %s: %w", name, err)
		}
		if err := os.RemoveAll(gone); err != nil {
			return fmt.Errorf("recreate qube %s: %w", name, err)
		}
	}
	return nil
}

// Drop forgets a qube with all its files. It must not be running.
func (w World) Drop(name string) error {
	if !w.Exists(name) {
		return fmt.Errorf("%w: %q", ErrNoQube, name)
	}
	gone := w.path("qubes", fmt.Sprintf(".gone-%s-%s", name, newUUID()))
	if err := os.Rename(w.QubePath(name), gone); err != nil {
		return fmt.Errorf("remove qube %s: %w", name, err)
	}
	return os.RemoveAll(gone)
}

// Property reads one property of a qube; an unset one is empty.
func (w World) Property(name, property string) (string, error) {
	if !w.Exists(name) {
		return "", fmt.Errorf("%w: %q", ErrNoQube, name)
	}
	b, err := os.ReadFile(w.QubePath(name, property))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("property %s of %s: %w", property, name, err)
	}
	return strings.TrimSpace(string(b)), nil
}

// SetProperty replaces one property of a qube.
func (w World) SetProperty(name, property, value string) error {
	return Write(w.QubePath(name, property), value+"\n")
}

// State is the power state of a qube; "" and an error if there is none.
func (w World) State(name string) (State, error) {
	s, err := w.Property(name, propState)
	return State(s), err
}

// SetState records a power state. Only the power manager calls it: it makes
// the processes match.
func (w World) SetState(name string, s State) error {
	return w.SetProperty(name, propState, string(s))
}

// User is the account in the qube that commands run as.
func (w World) User(name string) (string, error) { return w.Property(name, propUser) }

// SetIsolation records how the processes of the running qube are kept apart.
func (w World) SetIsolation(name, how string) error { return w.SetProperty(name, propJail, how) }

// Boots counts how often the qube was started.
func (w World) Boots(name string) (int, error) {
	s, err := w.Property(name, propBoots)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(s)
}

// CountBoot adds one to Boots.
func (w World) CountBoot(name string) error {
	n, err := w.Boots(name)
	if err != nil {
		return err
	}
	return w.SetProperty(name, propBoots, strconv.Itoa(n+1))
}

func newUUID() string {
	var b [16]byte
	rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[0:4], b[4:6], b[6:8], b[8:10], b[10:])
}
