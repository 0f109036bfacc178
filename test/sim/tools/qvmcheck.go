package tools

import (
	"errors"
	"fmt"
	"os"

	"qvmremote/test/sim/world"
)

// checkOptions say what qvm-check looks at; without any, existence.
type checkOptions struct {
	running, paused, template, networked, all bool
	verbose                                   int
}

// qvmCheck is qvm-check: 0 when all qubes match, 3 when some do, 1 when none
// does or a name is unknown. It prints nothing unless told to.
func qvmCheck(p place, argv []string) int {
	var o checkOptions
	parser := parser{prog: "qvm-check", usage: "[--running | --paused | --template | --networked] [-v] VMNAME [VMNAME ...]",
		anywhere: true, options: []option{
			flag(&o.running, true, "--running"), flag(&o.paused, true, "--paused"),
			flag(&o.template, true, "--template"), flag(&o.networked, true, "--networked"),
			flag(&o.all, true, "--all"), ignored(true, "--exclude"),
			count(&o.verbose, 1, "-v", "--verbose"), count(&o.verbose, -1, "-q", "--quiet"),
		}}
	names, err := parser.parse(argv[1:])
	if err == nil && len(names) == 0 && !o.all {
		err = errors.New("one of the arguments VMNAME --all is required")
	}
	if err != nil {
		return parser.fail(err)
	}
	if o.all {
		if names, err = p.Qubes(); err != nil {
			return complain("qvm-check", err)
		}
	}
	matching := 0
	for _, name := range names {
		state, err := p.State(name)
		if name == "dom0" {
			state, err = world.Running, nil
		}
		if err != nil {
			o.say("qvm-check: error: no such domain: %q", name)
			return 1
		}
		ok, err := o.matches(p.World, name, state)
		if err != nil {
			return complain("qvm-check", err)
		}
		if ok {
			matching++
			o.say("%s: %s", name, state)
		}
	}
	switch matching {
	case 0:
		o.say("None of given domains match")
		return 1
	case len(names):
		return 0
	}
	return 3
}

func (o checkOptions) say(format string, args ...any) {
	if o.verbose > 0 {
		fmt.Fprintf(os.Stderr, format+"\n", args...)
	}
}

func (o checkOptions) matches(w world.World, name string, state world.State) (bool, error) {
	switch {
	case o.running:
		return state.IsRunning(), nil
	case o.paused:
		return state == world.Paused, nil
	case o.template:
		class, err := w.Property(name, "class")
		return class == "TemplateVM", err
	case o.networked:
		netvm, err := w.Property(name, "netvm")
		return netvm != "", err
	}
	return true, nil
}
