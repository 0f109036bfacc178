package tools

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"qvmremote/test/sim/world"
)

// runOptions are qvm-run's arguments, after the rules of its own parser.
type runOptions struct {
	user, localcmd              string
	autostart, passIO           bool
	all, service, noShell, disp bool
	filter                      bool
	colourOut, colourErr        int // 0 for none
	exclude                     []string
	verbose                     int
	qubes                       []string
	command                     string
	args                        []string
	copiers                     []*os.Process
}

const runUsage = `[options] VMNAME COMMAND [ARG ...]`

func colour(p *int, names ...string) option {
	return option{names: names, value: true, set: func(v string) (err error) {
		if *p, err = strconv.Atoi(v); err != nil {
			return fmt.Errorf("argument %s: invalid int value: %q", names[0], v)
		}
		return nil
	}}
}

// parseRun reads qvm-run's arguments; the parser comes along for its errors.
func parseRun(w world.World, args []string) (runOptions, parser, error) {
	o := runOptions{autostart: true, verbose: 1, filter: isTerminal(os.Stdout), colourOut: -1, colourErr: -1}
	p := parser{prog: "qvm-run", usage: runUsage, options: []option{
		text(&o.user, "-u", "--user"),
		flag(&o.autostart, true, "-a", "--autostart"), flag(&o.autostart, false, "-n", "--no-autostart"),
		flag(&o.passIO, true, "-p", "--pass-io"),
		text(&o.localcmd, "--localcmd"),
		ignored(false, "--gui"), ignored(false, "--no-gui", "--nogui"),
		colour(&o.colourOut, "--colour-output", "--color-output"), colour(&o.colourErr, "--colour-stderr", "--color-stderr"),
		{names: []string{"--no-colour-output", "--no-color-output"}, set: func(string) error { o.colourOut = 0; return nil }},
		{names: []string{"--no-colour-stderr", "--no-color-stderr"}, set: func(string) error { o.colourErr = 0; return nil }},
		flag(&o.filter, true, "--filter-escape-chars"), flag(&o.filter, false, "--no-filter-escape-chars"),
		flag(&o.service, true, "--service"), flag(&o.noShell, true, "--no-shell"),
		{names: []string{"--dispvm"}, maybe: true, set: func(string) error { o.disp = true; return nil }},
		flag(&o.all, true, "--all"),
		{names: []string{"--exclude"}, value: true, set: func(v string) error { o.exclude = append(o.exclude, v); return nil }},
		count(&o.verbose, 1, "-v", "--verbose"), count(&o.verbose, -1, "-q", "--quiet"),
	}}
	rest, err := p.parse(args)
	if err == nil {
		err = o.positional(w, rest)
	}
	if o.passIO {
		o.verbose--
	}
	if o.colourOut < 0 {
		o.colourOut = automatic(o.filter && isTerminal(os.Stdout))
	}
	if o.colourErr < 0 {
		o.colourErr = automatic(isTerminal(os.Stderr))
	}
	return o, p, err
}

// automatic is red where colour is not asked for but apt.
func automatic(on bool) int {
	if on {
		return 31
	}
	return 0
}

// positional takes VMNAME (unless --all or --dispvm), COMMAND and all the
// rest, among which nothing is an option any more.
func (o *runOptions) positional(w world.World, rest []string) error {
	if o.all && o.passIO && o.localcmd == "" {
		return errors.New("--all and --pass-io cannot be used together, except with --localcmd")
	}
	if o.localcmd != "" && !o.passIO {
		return errors.New("--localcmd have no effect without --pass-io")
	}
	if len(o.exclude) > 0 && !o.all {
		return errors.New("--exclude can only be used with --all")
	}
	if !o.all && !o.disp {
		if len(rest) == 0 {
			return errors.New("the following arguments are required: VMNAME, COMMAND")
		}
		if rest[0] != "dom0" && !w.Exists(rest[0]) {
			return fmt.Errorf("no such domain: %q", rest[0])
		}
		o.qubes, rest = rest[:1], rest[1:]
	}
	if len(rest) > 0 && rest[0] == "--" {
		rest = rest[1:]
	} else if len(rest) > 0 && strings.HasPrefix(rest[0], "-") {
		return fmt.Errorf("unrecognized arguments: %s (options must precede VMNAME)", rest[0])
	}
	if len(rest) == 0 {
		return errors.New("the following arguments are required: COMMAND")
	}
	o.command, o.args = rest[0], rest[1:]
	if o.all {
		return o.allRunning(w)
	}
	return nil
}

func (o *runOptions) allRunning(w world.World) error {
	names, err := w.Qubes()
	if err != nil {
		return err
	}
	for _, x := range o.exclude {
		if !slices.Contains(names, x) {
			return fmt.Errorf("no such domain: %q", x)
		}
	}
	for _, name := range names {
		if s, err := w.State(name); err == nil && s.IsRunning() && !slices.Contains(o.exclude, name) {
			o.qubes = append(o.qubes, name)
		}
	}
	return nil
}

func isTerminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}
