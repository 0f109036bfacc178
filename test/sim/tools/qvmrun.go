package tools

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"qvmremote/test/sim/guest"
	"qvmremote/test/sim/qubesd"
	"qvmremote/test/sim/world"
)

// Names under which qvm-run starts its children.
const (
	byQvmRun = "qvm-run/qrexec-client"
	copyName = "qvm-run-copy-stdin"
)

// qvmRun is qvm-run: it checks, starts the qube if it may, and leaves the rest
// to one qrexec-client per qube, whose exit code it passes on.
func qvmRun(p place, argv []string) int {
	time.Sleep(p.Duration(lastQube(p, argv), world.Delay))
	o, parser, err := parseRun(p.World, argv[1:])
	if err != nil {
		return parser.fail(err)
	}
	if o.disp {
		return complain("qvm-run", errors.New("disposables are not simulated; name a qube"))
	}
	worst := 0
	var clients []*exec.Cmd
	for _, qube := range o.qubes {
		client, code := o.begin(p, qube)
		worst = max(worst, code)
		if code == 255 {
			return code
		}
		if client != nil {
			clients = append(clients, client)
		}
	}
	return max(worst, o.await(clients))
}

// lastQube guesses the qube for the delay, which comes before anything is
// parsed, as the start of Python does.
func lastQube(p place, argv []string) string {
	for _, a := range argv[1:] {
		if p.Exists(a) {
			return a
		}
	}
	return ""
}

// begin makes the checks of qvm-run and starts a client for one qube. Without
// a client the code says why.
func (o *runOptions) begin(p place, qube string) (*exec.Cmd, int) {
	if qube == "dom0" {
		return nil, complain("qvm-run", errors.New("dom0 as a target is not simulated"))
	}
	state, err := p.State(qube)
	if err != nil {
		return nil, complain("qvm-run", err)
	}
	if !o.autostart && !state.IsRunning() {
		o.say("%s: not started", qube)
		return nil, 1
	}
	if state == world.Paused {
		if !o.autostart {
			o.say("%s: paused", qube)
			return nil, 1
		}
		if err := qubesd.Ask(p.World, qubesd.Request{Op: qubesd.OpUnpause, Qube: qube}); err != nil {
			return nil, complain("qvm-run", err)
		}
	}
	if state == world.Halting && p.On(qube, world.Race, false) {
		if err := qubesd.Ask(p.World, qubesd.Request{Op: qubesd.OpState, Qube: qube, State: world.Halted}); err != nil {
			return nil, complain("qvm-run", err)
		}
	}
	// running a service starts the qube whatever was checked before
	if err := qubesd.Ask(p.World, qubesd.Request{Op: qubesd.OpStart, Qube: qube}); err != nil && !errors.Is(err, qubesd.ErrNotHalted) {
		return nil, complain("qvm-run", err)
	}
	client, err := o.client(p, qube)
	if err != nil {
		return nil, complain("qvm-run", err)
	}
	return client, 0
}

func (o *runOptions) say(format string, args ...any) {
	if o.verbose > 0 {
		fmt.Fprintf(os.Stderr, "qvm-run: "+format+"\n", args...)
	}
}

// service names the qrexec service and what is typed into it first.
func (o *runOptions) call(p place, qube string) (service, prefix string) {
	root := ""
	if o.user == "root" {
		root = "Root"
	}
	switch {
	case o.service:
		if service = o.command; !strings.Contains(service, "+") {
			service += "+"
		}
		return service, ""
	case len(o.args) == 0 && !o.noShell:
		return "qubes.VM" + root + "Shell+", strings.TrimRight(o.command, "\n") + "; exit\n"
	case p.On(qube, world.VMExec, true):
		return "qubes.VM" + root + "Exec+" + guest.EncodeExec(append([]string{o.command}, o.args...)), ""
	}
	words := []string{quote(o.command)}
	for _, a := range o.args {
		words = append(words, quote(a))
	}
	return "qubes.VM" + root + "Shell+", strings.Join(words, " ") + "; exit\n"
}

// quote is Python's shlex.quote.
func quote(s string) string {
	safe := func(r rune) bool {
		return r > 127 || !strings.ContainsRune("@%+=:,./-_", r) &&
			!(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9')
	}
	if s != "" && strings.IndexFunc(s, safe) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'"'"'`) + "'"
}

// client starts the qrexec-client of one qube.
func (o *runOptions) client(p place, qube string) (*exec.Cmd, error) {
	service, prefix := o.call(p, qube)
	user := o.user
	if user == "" {
		user = "DEFAULT"
	}
	cmd := exec.Command(filepath.Join(p.Dom0(), "lib", world.Program))
	cmd.Args = []string{byQvmRun, "-d", qube}
	if o.filter {
		cmd.Args = append(cmd.Args, "-t")
	}
	if o.filter && isTerminal(os.Stderr) {
		cmd.Args = append(cmd.Args, "-T")
	}
	if o.localcmd != "" {
		cmd.Args = append(cmd.Args, "-l", o.localcmd)
	}
	if o.passIO {
		cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	}
	if p.Knob(qube, world.Implement) != "copy" {
		if prefix != "" {
			cmd.Args = append(cmd.Args, "-p", prefix)
		}
		cmd.Args = append(cmd.Args, user+":QUBESRPC "+service+" dom0")
		return cmd, o.start(cmd)
	}
	cmd.Args = append(cmd.Args, user+":QUBESRPC "+service+" dom0")
	return cmd, o.startCopying(cmd, prefix)
}

func (o *runOptions) start(cmd *exec.Cmd) error {
	if o.passIO && o.colourOut > 0 {
		fmt.Printf("\x1b[0;%dm", o.colourOut)
	}
	if o.passIO && o.colourErr > 0 {
		fmt.Fprintf(os.Stderr, "\x1b[0;%dm", o.colourErr)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start qrexec-client: %w", err)
	}
	return nil
}

// startCopying is the older way: the client's stdin is a pipe, filled with the
// prefix and then by a process that copies the caller's stdin.
func (o *runOptions) startCopying(cmd *exec.Cmd, prefix string) error {
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer r.Close()
	defer w.Close()
	cmd.Stdin = r
	if err := o.start(cmd); err != nil {
		return err
	}
	if _, err := io.WriteString(w, prefix); err != nil || !o.passIO {
		return nil // without --pass-io stdin ends here; a client that is gone tells by its exit code
	}
	copier := &exec.Cmd{Path: cmd.Path, Args: []string{copyName}, Stdin: os.Stdin, Stdout: w}
	if err := copier.Start(); err != nil {
		return fmt.Errorf("start copy of stdin: %w", err)
	}
	o.copiers = append(o.copiers, copier.Process)
	return nil
}

// copyStdin is the main function of the copying process.
func copyStdin() int {
	if _, err := io.CopyBuffer(struct{ io.Writer }{os.Stdout}, struct{ io.Reader }{os.Stdin}, make([]byte, 64<<10)); err != nil {
		return 1
	}
	return 0
}

// await passes on the highest exit code. A client killed by a signal counts
// as below zero, so it does not: that is qvm-run's own arithmetic.
func (o *runOptions) await(clients []*exec.Cmd) int {
	interrupt := make(chan os.Signal, 1)
	signal.Notify(interrupt, syscall.SIGINT)
	go func() {
		for range interrupt {
			for _, c := range clients {
				c.Process.Signal(syscall.SIGINT)
			}
		}
	}()
	worst := 0
	for i, c := range clients {
		c.Wait()
		code := c.ProcessState.ExitCode() // -1 for a signal
		if code > 0 {
			o.say("%s: command failed with code: %d", o.qubes[i], code)
		}
		worst = max(worst, code)
	}
	for _, c := range o.copiers {
		c.Kill()
		c.Wait()
	}
	if len(o.copiers) > 0 {
		swallow(os.Stdin) // what the copying process had no time for
	}
	if o.passIO && o.colourOut > 0 {
		fmt.Print("\x1b[0m")
	}
	if o.passIO && o.colourErr > 0 {
		fmt.Fprint(os.Stderr, "\x1b[0m")
	}
	return worst
}
