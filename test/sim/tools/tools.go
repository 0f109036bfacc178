// Package tools are the command-line programs of a simulated Qubes machine,
// all in one binary that goes by the name it was called with.
//
// It guarantees of qvm-run, qvm-check, qvm-ls, qvm-prefs, qvm-start,
// qvm-shutdown and qrexec-client what scripts rely on: arguments, exit codes, what goes to which stream, and what
// is left behind when one of them is killed. README.md lists what is missing.
package tools

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"qvmremote/test/sim/guest"
	"qvmremote/test/sim/qubesd"
	"qvmremote/test/sim/world"
)

// place is where a tool runs.
type place struct {
	world.World
	qube string // "" in dom0
}

var inDom0 = map[string]func(place, []string) int{
	"qvm-run": qvmRun, "qvm-check": qvmCheck, "qvm-ls": qvmLs, "qvm-prefs": qvmPrefs,
	"qvm-start": qvmStart, "qvm-shutdown": qvmShutdown,
	"qrexec-client": qrexecClient, "hostname": hostname,
}

var inQube = map[string]func(place, []string) int{"hostname": hostname, "qubesdb-read": qubesdbRead}

// Main runs the program that argv[0] names and returns its exit code.
func Main(argv []string) int {
	if len(argv) == 0 {
		return 2
	}
	name := filepath.Base(argv[0])
	switch name {
	case guest.InitName:
		return guest.Init(argv)
	case guest.FloodName:
		return guest.Flood(argv)
	case qubesd.Name:
		return qubesd.Main(argv)
	case copyName:
		return copyStdin()
	}
	exe, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return complain(name, err)
	}
	w, qube, ok := world.Place(exe)
	if qube != "" {
		if tool, known := inQube[name]; known {
			return tool(place{w, qube}, argv)
		}
	} else if tool, known := inDom0[name]; known && ok {
		return runInDom0(place{w, ""}, name, tool, argv)
	}
	return steer(w, argv)
}

func runInDom0(p place, name string, tool func(place, []string) int, argv []string) int {
	label := name
	if argv[0] == byQvmRun {
		label = byQvmRun
	}
	if err := errors.Join(p.LogCall(label, argv), world.CheckEnvironment()); err != nil {
		return complain(name, err)
	}
	return tool(p, argv)
}

// complain reports what no Qubes tool would ever have to: exit code 255.
func complain(name string, err error) int {
	fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
	return 255
}

func hostname(p place, _ []string) int {
	if p.qube == "" {
		fmt.Println("dom0")
	} else {
		fmt.Println(p.qube)
	}
	return 0
}

// qubesdbRead answers what a qube may ask about itself.
func qubesdbRead(p place, argv []string) int {
	values := map[string]string{"/name": p.qube, "/qubes-vm-type": "AppVM", "/type": "AppVM", "/default-user": os.Getenv("USER")}
	code := 0
	for _, path := range argv[1:] {
		v, ok := values[path]
		if !ok {
			fmt.Fprintf(os.Stderr, "Error reading value: %s\n", path)
			code = 1
			continue
		}
		fmt.Println(v)
	}
	if len(argv) < 2 {
		fmt.Fprintln(os.Stderr, "usage: qubesdb-read PATH...")
		return 1
	}
	return code
}
