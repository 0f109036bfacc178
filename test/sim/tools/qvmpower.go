package tools

import (
	"errors"
	"fmt"
	"os"

	"qvmremote/test/sim/qubesd"
	"qvmremote/test/sim/world"
)

// qvmStart is qvm-start: 0 when all qubes are up, 1 when one could not be
// started or, without --skip-if-running, runs already.
func qvmStart(p place, argv []string) int {
	skip := false
	parser := parser{prog: "qvm-start", usage: "[--skip-if-running] VMNAME [VMNAME ...]", anywhere: true, options: []option{
		flag(&skip, true, "--skip-if-running"), ignored(false, "-v", "--verbose"), ignored(false, "-q", "--quiet"),
	}}
	names, err := p.named(parser, argv)
	if err != nil {
		return parser.fail(err)
	}
	code := 0
	for _, name := range names {
		state, err := p.State(name)
		switch {
		case err != nil:
			return complain("qvm-start", err)
		case state.IsRunning() && skip:
			continue
		case state.IsRunning():
			fmt.Fprintf(os.Stderr, "domain %s is already running\n", name)
			return 1
		}
		if err := qubesd.Ask(p.World, qubesd.Request{Op: qubesd.OpStart, Qube: name}); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	return code
}

// qvmShutdown is qvm-shutdown: a qube that is down already is fine. Every qube
// here obeys at once, so there is nothing to wait for, and nothing is killed.
func qvmShutdown(p place, argv []string) int {
	parser := parser{prog: "qvm-shutdown", usage: "[--wait] [--timeout SECONDS] [--force] VMNAME [VMNAME ...]", anywhere: true, options: []option{
		ignored(false, "--wait"), ignored(true, "--timeout"), ignored(false, "--force"),
		ignored(false, "-v", "--verbose"), ignored(false, "-q", "--quiet"),
	}}
	names, err := p.named(parser, argv)
	if err != nil {
		return parser.fail(err)
	}
	for _, name := range names {
		if err := qubesd.Ask(p.World, qubesd.Request{Op: qubesd.OpState, Qube: name, State: world.Halted}); err != nil {
			return complain("qvm-shutdown", err)
		}
	}
	return 0
}

// named reads the arguments of a tool that takes names of qubes.
func (p place) named(parser parser, argv []string) ([]string, error) {
	names, err := parser.parse(argv[1:])
	if err == nil && len(names) == 0 {
		err = errors.New("the following arguments are required: VMNAME")
	}
	for _, name := range names {
		if err == nil && !p.Exists(name) {
			err = fmt.Errorf("no such domain: %q", name)
		}
	}
	return names, err
}
