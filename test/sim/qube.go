package sim

import (
	"context"
	"os/exec"
	"path/filepath"

	"qvmremote/test/executable"
	"qvmremote/test/sim/qubesd"
	"qvmremote/test/sim/world"
)

// Qube is one qube of a world.
type Qube struct {
	World *World
	Name  string
}

func (q *Qube) ask(r qubesd.Request) {
	r.Qube = q.Name
	q.World.check(qubesd.Ask(q.World.World, r))
}

// SetState does what it takes to be in state. Running to Paused and Halting
// keep the processes; Halted, Crashed and Transient end them all; from those,
// the others start the qube.
func (q *Qube) SetState(s world.State) { q.ask(qubesd.Request{Op: qubesd.OpState, State: s}) }

// State is what qvm-ls prints; "" if there is no such qube.
func (q *Qube) State() world.State {
	s, _ := q.World.State(q.Name)
	return s
}

// Recreate removes the qube and makes one of the same name: halted, another
// uuid, empty home. Installed programs stay, as those of a template would.
func (q *Qube) Recreate() { q.ask(qubesd.Request{Op: qubesd.OpRenew}) }

// Remove ends the qube and removes all of it.
func (q *Qube) Remove() { q.ask(qubesd.Request{Op: qubesd.OpRemove}) }

// Set turns a knob for this qube; "" turns it back.
func (q *Qube) Set(k world.Knob, value string) { q.World.check(q.World.Set(q.Name, k, value)) }

// SetUser changes the default account, and with it the home inside, from the
// next start of the qube on.
func (q *Qube) SetUser(name string) {
	q.World.check(qubesd.Set(q.World.World, q.Name, "default_user", name))
}

// SetLabel changes the colour.
func (q *Qube) SetLabel(label string) {
	q.World.check(qubesd.Set(q.World.World, q.Name, "label", label))
}

// Event tells whoever follows the events of one about this qube, with pairs of
// key and value, without anything having happened.
func (q *Qube) Event(name string, pairs ...string) {
	q.ask(qubesd.Request{Op: qubesd.OpEvent, Event: name, Of: pairs})
}

// UUID is the property by which two qubes of one name differ.
func (q *Qube) UUID() string {
	v, err := q.World.Property(q.Name, "uuid")
	q.World.check(err)
	return v
}

// Boots counts how often the qube was started.
func (q *Qube) Boots() int {
	n, err := q.World.Boots(q.Name)
	q.World.check(err)
	return n
}

// Home is the folder, seen from outside, that is the user's home inside.
func (q *Qube) Home() string { return q.World.QubePath(q.Name, "home") }

// Bin is the folder, seen from outside and the same inside, that comes first
// in the PATH of the qube.
func (q *Qube) Bin() string { return q.World.QubePath(q.Name, "bin") }

// Isolation tells how the running qube is kept apart: user, mount or plain.
func (q *Qube) Isolation() string {
	v, err := q.World.Property(q.Name, "isolation")
	q.World.check(err)
	return v
}

// Install puts a program into the PATH of the qube, replacing one of that
// name. Anything may be installed as qvm-remote: that is how a test plays a
// hostile agent.
func (q *Qube) Install(program, name string) {
	q.World.check(q.World.Install(q.Name, program, name))
}

// InstallScript is Install for a script that is given as text, with its #!.
func (q *Qube) InstallScript(text, name string) {
	path := filepath.Join(q.Bin(), name)
	q.World.check(executable.Write(path, []byte(text)))
}

// Service makes the text of a script a qrexec service of this qube.
func (q *Qube) Service(name, script string) {
	q.World.check(executable.Write(q.World.QubePath(q.Name, "rpc", name), []byte(script)))
}

// Command runs a program in the qube as its user would from a terminal: on the
// given stdin, stdout and stderr, with the qube's environment and of the
// caller's only TERM, GOCOVERDIR and QVM_REMOTE_*. Signals sent to it reach the
// program; killing it kills the program. The exit code is the program's, 128+N
// for signal N.
func (q *Qube) Command(ctx context.Context, argv ...string) *exec.Cmd {
	return q.World.Dom0Command(ctx, "qubes-sim", append([]string{"in", q.Name}, argv...)...)
}
