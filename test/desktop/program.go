package desktop

import (
	"os/exec"
	"syscall"
	"time"

	"qvmremote/test/child"
)

// endLimit is how long a program may take to end once it is asked to.
const endLimit = 10 * time.Second

// Program is a program that runs on the desktop.
type Program struct {
	child *child.Child
	name  string
	said  child.Output
}

// Launch starts a program on the desktop, with these variables besides those of
// [Desktop.Env]. It ends with the desktop.
func (d *Desktop) Launch(t T, env []string, name string, args ...string) *Program {
	t.Helper()
	p := &Program{name: name}
	cmd := d.command(name, args)
	cmd.Env, cmd.Dir = append(d.Env(), env...), d.file("home")
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = &p.said, &p.said, endLimit
	if id := uint32(d.options.User); id != 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: id, Gid: id}}
	}
	var err error
	if p.child, err = child.Start(cmd); err != nil {
		t.Fatalf("launch %s: %v", name, err)
	}
	d.later(p.End)
	return p
}

// inside has a program see the usr and etc of another system over this one's:
// all other paths, of sockets and of the program itself, are the same in both.
const inside = `mount --bind "$1/etc" /etc && mount --bind "$1/usr" /usr && shift && exec "$@"`

func (d *Desktop) command(name string, args []string) *exec.Cmd {
	if d.options.Root == "" {
		return exec.Command(name, args...)
	}
	words := []string{"--mount", "--propagation", "private", "sh", "-c", inside, "sh", d.options.Root, name}
	return exec.Command("unshare", append(words, args...)...)
}

// Said is what the program has printed so far.
func (p *Program) Said() string { return p.said.String() }

// Pid is the number of its process, which may have ended.
func (p *Program) Pid() int { return p.child.Pid() }

// Running reports whether it has not ended.
func (p *Program) Running() bool { return !p.child.Over() }

// End ends the program.
func (p *Program) End() { p.child.End(endLimit) }

// Wait waits until the program has ended by itself, and returns how.
func (p *Program) Wait(t T) error {
	t.Helper()
	select {
	case <-p.child.Ended():
		return p.child.Err()
	case <-time.After(patience):
		t.Fatalf("%s still runs after %v; it said:\n%s", p.name, patience, p.Said())
		return nil
	}
}
