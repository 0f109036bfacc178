// Package qubes asks dom0's own tools which qubes there are, in which state,
// and which uuid each has, and has them start one or shut it down. It also runs
// those tools for others. Where it can, it follows the events of qubesd, which
// say when there is reason to ask again.
//
// It guarantees:
//   - Each call ends: a deadline, the process group killed at it, bounded output.
//   - An answer is complete and in the expected form, or it is an error.
//   - A test never calls a real tool (see [Tool]), nor the real qubesd.
//   - An event never says what a qube is, but that it may be called no more.
package qubes

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"time"

	"qvmremote/daemon/paths"
	"qvmremote/queue"
)

// DefaultTimeout is the deadline of one call of a tool. dom0's qubesd can take
// seconds while it starts a qube.
const DefaultTimeout = 15 * time.Second

// State is a qube's power state in the words of Qubes OS.
type State string

// The states that decide something. There are more, and all mean "no".
const (
	Running State = "Running" // the only one in which a qube may be called
	Halted  State = "Halted"
	Paused  State = "Paused"
	Halting State = "Halting"
	Unknown State = "" // not Running, and no more is known
)

// Qube is one line of what dom0 knows.
type Qube struct {
	Name  string
	State State
	Class string // AppVM, DispVM, StandaloneVM, …
	Label string // colour
	UUID  string // "" where qvm-ls cannot tell it: ask [Tools.UUID]
}

// ErrNoQube says that dom0 knows no qube of that name.
var ErrNoQube = errors.New("dom0 knows no qube of this name")

// Tools are dom0's tools, found through PATH at each call.
type Tools struct {
	Root    paths.Root
	Timeout time.Duration // of one call; 0 = DefaultTimeout, or more for what takes longer

	cache cache
}

func (t *Tools) run(ctx context.Context, name string, args ...string) ([]byte, error) {
	return t.within(ctx, DefaultTimeout, name, args...)
}

// within runs the tool for at most limit, unless Timeout says otherwise.
func (t *Tools) within(ctx context.Context, limit time.Duration, name string, args ...string) ([]byte, error) {
	path, err := Tool(t.Root, name)
	if err != nil {
		return nil, err
	}
	if t.Timeout > 0 {
		limit = t.Timeout
	}
	return Output(ctx, limit, path, args...)
}

// List asks qvm-ls for all qubes but dom0, by name. A qube whose name this
// program does not accept is left out.
func (t *Tools) List(ctx context.Context) ([]Qube, error) {
	out, err := t.run(ctx, "qvm-ls", "--raw-data", "--fields", "NAME,STATE,CLASS,LABEL,UUID")
	if err == nil {
		return parseList(out, 5)
	}
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return nil, err
	}
	// An older qvm-ls may not know the last column.
	out, again := t.run(ctx, "qvm-ls", "--raw-data", "--fields", "NAME,STATE,CLASS,LABEL")
	if again != nil {
		return nil, err
	}
	return parseList(out, 4)
}

// parseList reads what qvm-ls wrote: a line a qube, fields between "|".
func parseList(out []byte, fields int) ([]Qube, error) {
	var list []Qube
	seen := map[string]bool{}
	text := strings.TrimSuffix(string(out), "\n")
	if text == "" {
		return nil, errors.New("qvm-ls told of no qube, not even dom0")
	}
	for i, line := range strings.Split(text, "\n") {
		q, err := parseLine(line, fields)
		if err != nil {
			return nil, fmt.Errorf("line %d of qvm-ls: %w", i+1, err)
		}
		if seen[q.Name] {
			return nil, fmt.Errorf("line %d of qvm-ls: %s is there twice", i+1, queue.Quote(q.Name, 40))
		}
		seen[q.Name] = true
		if queue.ValidQube(q.Name) {
			list = append(list, q)
		}
	}
	slices.SortFunc(list, func(a, b Qube) int { return strings.Compare(a.Name, b.Name) })
	return list, nil
}

func parseLine(line string, fields int) (Qube, error) {
	f := strings.Split(line, "|")
	if len(f) != fields {
		return Qube{}, fmt.Errorf("%d fields, expected %d: %s", len(f), fields, queue.Quote(line, 80))
	}
	q := Qube{Name: f[0], State: State(f[1]), Class: f[2], Label: f[3]}
	if q.Name == "" {
		return Qube{}, errors.New("no name")
	}
	for _, word := range f[1:4] {
		if !plainWord(word) {
			return Qube{}, fmt.Errorf("%s has the field %s", queue.Quote(q.Name, 40), queue.Quote(word, 40))
		}
	}
	if fields == 5 && f[4] != "" && f[4] != "-" {
		if !ValidUUID(f[4]) {
			return Qube{}, fmt.Errorf("%s has the uuid %s", queue.Quote(q.Name, 40), queue.Quote(f[4], 40))
		}
		q.UUID = f[4]
	}
	return q, nil
}

// plainWord: states, classes and labels are short words; labels are named by
// people.
func plainWord(s string) bool {
	return len(s) <= 64 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.- ") == ""
}

// ValidUUID reports whether s is a uuid as Qubes OS writes one: 8-4-4-4-12
// lower-case hex digits.
func ValidUUID(s string) bool {
	parts := strings.Split(s, "-")
	if len(parts) != 5 {
		return false
	}
	for i, n := range []int{8, 4, 4, 4, 12} {
		if len(parts[i]) != n || strings.Trim(parts[i], "0123456789abcdef") != "" {
			return false
		}
	}
	return true
}

// UUID asks qvm-prefs for a qube's uuid: it is given once, when the qube is
// made, so another one means another qube of the same name.
func (t *Tools) UUID(ctx context.Context, vm string) (string, error) {
	if !queue.ValidQube(vm) {
		return "", fmt.Errorf("%s: %w", queue.Quote(vm, 40), ErrNoQube)
	}
	out, err := t.run(ctx, "qvm-prefs", vm, "uuid")
	if err != nil {
		return "", err
	}
	uuid := strings.TrimSuffix(string(out), "\n")
	if !ValidUUID(uuid) {
		return "", fmt.Errorf("qvm-prefs %s uuid answered %s", vm, queue.Quote(uuid, 40))
	}
	return uuid, nil
}

// State tells a qube's state, not older than maxAge (see [Tools.Snapshot]).
// Where there is no qvm-ls, qvm-check tells only [Running] from [Unknown].
// The error is [ErrNoQube] for a name that qvm-ls does not have.
func (t *Tools) State(ctx context.Context, vm string, maxAge time.Duration) (State, error) {
	q, err := t.Look(ctx, vm, maxAge)
	return q.State, err
}

// Look is State with what else qvm-ls tells; where there is none only the name
// and the state are known.
func (t *Tools) Look(ctx context.Context, vm string, maxAge time.Duration) (Qube, error) {
	if !queue.ValidQube(vm) {
		return Qube{}, fmt.Errorf("%s: %w", queue.Quote(vm, 40), ErrNoQube)
	}
	list, err := t.look(ctx, vm, maxAge)
	if errors.Is(err, ErrNoTool) {
		state, err := t.check(ctx, vm)
		return Qube{Name: vm, State: state}, err
	}
	if err != nil {
		return Qube{}, err
	}
	for _, q := range list {
		if q.Name == vm {
			return q, nil
		}
	}
	return Qube{}, fmt.Errorf("%s: %w", vm, ErrNoQube)
}

// check asks qvm-check, which counts a paused qube as running; that is the
// best there is without qvm-ls.
func (t *Tools) check(ctx context.Context, vm string) (State, error) {
	_, err := t.run(ctx, "qvm-check", "--running", vm)
	var exit *exec.ExitError
	switch {
	case err == nil:
		return Running, nil
	case errors.As(err, &exit) && exit.ExitCode() == 1:
		return Unknown, nil
	}
	return Unknown, err
}
