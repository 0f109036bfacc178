// Package legacy has stand-ins for the first implementation of qvm-remote, which
// was written in Python: its client (folder client, qvm-remote 1.1.0) and its
// daemon (folder dom0, qvm-remote-dom0 1.1.0). They behave on disk and towards
// qvm-run as those did, faults included, so that tests can show that our
// programs work with either.
//
// They were written from a record of what the originals do; no code of the
// originals is in them. Each quirk that they repeat carries its id in that
// record: P-1 to P-15 the files, 2-1 to 2-21 the client, 3-0 to 3-19 the daemon,
// D1 to D20 the defects. Left out, because a test needs none of it: the daemon's
// enable and disable (3-17), prompts, colours, and writing outside its root
// (3-6, 3-14, 3-15: names are checked here).
//
// They guarantee nothing. Never use them for anything but tests.
package legacy

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// The knobs, environment variables of both programs. Their names begin so that
// the simulator hands them on into a qube.
const (
	// KnobID is the id that the client uses for its next command (P-3: ids were
	// free-form).
	KnobID = "QVM_REMOTE_OLD_ID"
	// KnobPoll is the pause between two looks, of the client (0.5 s) or the
	// daemon (1 s), such as "10ms".
	KnobPoll = "QVM_REMOTE_OLD_POLL"
	// KnobPause is a pause at every point, such as "50ms".
	KnobPause = "QVM_REMOTE_OLD_PAUSE"
	// KnobStop names the points, with commas between, at which the program stops
	// itself: it makes the file POINT.reached in the folder of KnobGate and goes
	// on when POINT.go is there.
	KnobStop = "QVM_REMOTE_OLD_STOP"
	// KnobGate is the folder for KnobStop.
	KnobGate = "QVM_REMOTE_OLD_GATE"
	// KnobHome is the home in the qubes by which the daemon addresses the queue,
	// in place of /home/USER.
	KnobHome = "QVM_REMOTE_OLD_HOME"
	// KnobRoot is the folder that is / to the daemon.
	KnobRoot = "QVM_REMOTE_OLD_ROOT"
)

// Points of the client: the last word is what was done just before. Of a file
// written in place "open" is that it is there and empty, "half" that half of it
// is there (2-9, D14).
var ClientPoints = []string{"body-open", "body-half", "body", "auth-open", "auth-half", "auth", "cmd-open", "cmd-half", "cmd"}

// Points of the daemon: "listed" after it listed a command, "ran" after it ran
// one, "exit-open" with an empty .exit in the qube, "exit" before .meta.
var DaemonPoints = []string{"listed", "ran", "exit-open", "exit"}

// stopLimit bounds the wait at a point: a test that forgot it fails and does
// not hang.
const stopLimit = 2 * time.Minute

// At is called by the programs at each point.
func At(point string) {
	if d, err := time.ParseDuration(os.Getenv(KnobPause)); err == nil {
		time.Sleep(d)
	}
	for _, stop := range strings.Split(os.Getenv(KnobStop), ",") {
		if stop == point {
			if err := wait(os.Getenv(KnobGate), point); err != nil {
				fmt.Fprintln(os.Stderr, "stand-in:", err)
				os.Exit(3)
			}
		}
	}
}

func wait(gate, point string) error {
	if err := os.WriteFile(filepath.Join(gate, point+".reached"), nil, 0o644); err != nil {
		return err
	}
	for deadline := time.Now().Add(stopLimit); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
		if _, err := os.Lstat(filepath.Join(gate, point+".go")); err == nil {
			return nil
		}
	}
	return errors.New("nobody opened " + point)
}

// Poll is [KnobPoll], or otherwise.
func Poll(otherwise time.Duration) time.Duration {
	if d, err := time.ParseDuration(os.Getenv(KnobPoll)); err == nil && d > 0 {
		return d
	}
	return otherwise
}

// Programs are the paths of the stand-ins.
type Programs struct{ Client, Dom0 string }

// Build makes the programs in dir. They need no library, so that they run in a
// simulated qube.
func Build(dir string) (Programs, error) {
	p := Programs{filepath.Join(dir, "old-qvm-remote"), filepath.Join(dir, "old-qvm-remote-dom0")}
	for path, folder := range map[string]string{p.Client: "client", p.Dom0: "dom0"} {
		cmd := exec.Command("go", "build", "-o", path, "qvmremote/test/legacy/"+folder)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
		if out, err := cmd.CombinedOutput(); err != nil {
			return Programs{}, fmt.Errorf("cannot build the stand-ins: %w\n%s", err, out)
		}
	}
	return p, nil
}
