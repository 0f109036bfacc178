// Package access shows what the program on the bus lets whom do, and what it
// tells whom: each method tried by each kind of caller, what a listener without
// any rights hears meanwhile, the description that every object gives of
// itself, and the recipes of docs/dbus.md as they stand there.
//
// It is the program as it is installed, in a simulated dom0, on a bus with the
// rules that are installed. Its tables are held to the interface's description,
// so that a new method fails these tests until they say who may call it.
package access

import (
	"context"
	"fmt"
	"os"
	"testing"

	"qvmremote/test/life"
)

// programs are the programs under test.
var programs life.Programs

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "qvm-remote-access-")
	if err == nil {
		programs, err = life.Build(context.Background(), dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "access tests:", err)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}
