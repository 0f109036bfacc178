package tools

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"qvmremote/test/sim/qubesd"
	"qvmremote/test/sim/world"
)

const steerUsage = `qubes-sim makes and steers a simulated Qubes OS machine.

  qubes-sim new DIR [--qube NAME[:LABEL]]...  make a world in DIR and start its qubes
  qubes-sim up | down                   start it again after down | end all qubes and processes
  qubes-sim env                         print PATH and the rest of dom0 for eval
  qubes-sim dom0 CMD [ARG]...           run a program in dom0
  qubes-sim in QUBE CMD [ARG]...        run a program in a qube, as its user in a terminal
  qubes-sim install QUBE FILE [NAME]    put a program into the qube's PATH
  qubes-sim create NAME[:LABEL]         make a halted qube
  qubes-sim start | halt | pause | unpause | remove | recreate QUBE
  qubes-sim state QUBE STATE            Running Halted Paused Transient Halting Crashed
  qubes-sim set KNOB VALUE              for the world, or with QUBE/KNOB for one qube; '' turns it back

The world is DIR of the option -w DIR (first), else $SIM_WORLD, else the one
whose dom0/bin the program was called from.
`

// steer is qubes-sim, the tool for people and scripts.
func steer(w world.World, argv []string) int {
	args := argv[1:]
	dir := os.Getenv("SIM_WORLD")
	if w.Dir != "" {
		dir = w.Dir
	}
	if len(args) >= 2 && args[0] == "-w" {
		dir, args = args[1], args[2:]
	}
	if len(args) == 0 || args[0] == "help" || args[0] == "-h" || args[0] == "--help" {
		fmt.Print(steerUsage)
		return 0
	}
	var err error
	if args[0] == "new" {
		err = makeWorld(args[1:])
	} else {
		if w, err = world.Open(dir); err == nil {
			var code int
			if code, err = steerWorld(w, args[0], args[1:]); err == nil {
				return code
			}
		}
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "qubes-sim: %v\n", err)
		return 1
	}
	return 0
}

func makeWorld(args []string) error {
	var dir string
	var qubes []string
	p := parser{anywhere: true, options: []option{
		{names: []string{"--qube"}, value: true, set: func(v string) error { qubes = append(qubes, v); return nil }},
	}}
	rest, err := p.parse(args)
	if err != nil {
		return err
	}
	if len(rest) != 1 {
		return errors.New("new needs one folder")
	}
	dir = rest[0]
	self, err := os.Executable()
	if err != nil {
		return err
	}
	w, err := world.Create(dir, self)
	if err != nil {
		return err
	}
	if _, err := qubesd.Launch(w, nil); err != nil {
		return err
	}
	for _, q := range qubes {
		name, err := createQube(w, q)
		if err != nil {
			return err
		}
		if err := qubesd.Ask(w, qubesd.Request{Op: qubesd.OpStart, Qube: name}); err != nil {
			return err
		}
	}
	return nil
}

func createQube(w world.World, nameAndLabel string) (string, error) {
	name, label, ok := strings.Cut(nameAndLabel, ":")
	if !ok {
		label = "red"
	}
	return name, qubesd.Add(w, name, label, "AppVM")
}

var powerVerbs = map[string]qubesd.Request{
	"start": {Op: qubesd.OpState, State: world.Running}, "halt": {Op: qubesd.OpState, State: world.Halted},
	"pause": {Op: qubesd.OpState, State: world.Paused}, "unpause": {Op: qubesd.OpUnpause},
	"remove": {Op: qubesd.OpRemove}, "recreate": {Op: qubesd.OpRenew},
}

func steerWorld(w world.World, verb string, args []string) (int, error) {
	least := map[string]int{"dom0": 1, "in": 2, "install": 2, "create": 1, "state": 2, "set": 2}[verb]
	request, power := powerVerbs[verb]
	if power {
		least = 1
	}
	if len(args) < least {
		return 0, fmt.Errorf("%s needs more arguments; see qubes-sim help", verb)
	}
	if power {
		request.Qube = args[0]
		return 0, qubesd.Ask(w, request)
	}
	switch verb {
	case "up":
		_, err := qubesd.Launch(w, nil)
		return 0, err
	case "down":
		return 0, qubesd.Ask(w, qubesd.Request{Op: qubesd.OpClose})
	case "env":
		for _, v := range w.Dom0Env() {
			name, value, _ := strings.Cut(v, "=")
			fmt.Printf("export %s=%s\n", name, quote(value))
		}
		return 0, nil
	case "dom0":
		return 0, runDom0(w, args)
	case "in":
		return inside(w, args[0], args[1:])
	case "install":
		name := filepath.Base(args[1])
		if len(args) > 2 {
			name = args[2]
		}
		return 0, w.Install(args[0], args[1], name)
	case "create":
		_, err := createQube(w, args[0])
		return 0, err
	case "state":
		state, err := world.ParseState(args[1])
		if err != nil {
			return 0, err
		}
		return 0, qubesd.Ask(w, qubesd.Request{Op: qubesd.OpState, Qube: args[0], State: state})
	case "set":
		qube, knob, ok := strings.Cut(args[0], "/")
		if !ok {
			qube, knob = "", args[0]
		}
		return 0, qubesd.Turn(w, qube, world.Knob(knob), args[1])
	}
	return 0, fmt.Errorf("unknown word %q; see qubes-sim help", verb)
}

// runDom0 becomes the program, in the environment of dom0.
func runDom0(w world.World, argv []string) error {
	for _, v := range w.Dom0Env() {
		name, value, _ := strings.Cut(v, "=")
		os.Setenv(name, value)
	}
	path, err := exec.LookPath(argv[0])
	if err != nil {
		return err
	}
	return syscall.Exec(path, argv, os.Environ())
}
