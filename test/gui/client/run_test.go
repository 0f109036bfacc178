//go:build gtk

package client

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"qvmremote/daemon/audit"
	"qvmremote/gui/prefs"
	"qvmremote/queue"
	"qvmremote/test/desktop"
	"qvmremote/test/life"
)

func TestACommandRuns(t *testing.T) {
	t.Parallel()
	s := open(t, life.Options{}, "run")
	s.runs(t, "echo to-stdout; echo to-stderr >&2; printf '\\033[31m<b>\\u202e\\0'; exit 3")
	s.app.Find(t, "label", "Failed: exit 3")
	s.app.Find(t, "label", "to-stdout")
	s.app.Find(t, "label", "to-stderr")
	s.app.Find(t, "label", "err")
	s.app.Find(t, "label", `\x1b[31m<b>\u{202e}\x00`)
	s.app.Find(t, "label", "verified")
	if r := s.ended(t, queue.StateExit); r.Exit == nil || *r.Exit != 3 {
		t.Errorf("dom0 wrote down %+v", r)
	}
}

// TestOutputComesWhileItRuns, and is not verified before the end.
func TestOutputComesWhileItRuns(t *testing.T) {
	t.Parallel()
	s := open(t, life.Options{}, "run")
	s.runs(t, "echo first; printf half; until [ -e go-on ]; do sleep 0.05; done; echo -line; echo last")
	s.app.Find(t, "label", "Running")
	s.app.Find(t, "label", "first")
	s.app.Find(t, "label", "half")
	s.app.Find(t, "label", "not verified yet")
	if err := os.WriteFile(filepath.Join(s.Dom0(), "root", "go-on"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s.app.Find(t, "label", "Done: exit 0")
	s.app.Find(t, "label", "half-line")
	s.app.Find(t, "label", "last")
	s.app.Find(t, "label", "verified")
}

// TestCancelEndsItInDom0: the process is gone there.
func TestCancelEndsItInDom0(t *testing.T) {
	t.Parallel()
	s := open(t, life.Options{}, "run")
	s.runs(t, "echo $$ > pid; sleep 86000 & echo $! >> pid; wait")
	s.app.Find(t, "label", "Running")
	var pids []string
	desktop.Await(t, "the command tells its processes", func() bool {
		b, _ := os.ReadFile(filepath.Join(s.Dom0(), "root", "pid"))
		pids = strings.Fields(string(b))
		return len(pids) == 2
	})
	s.app.Find(t, "button", "Cancel*").Press(t)
	s.app.Find(t, "label", "Cancelled")
	s.ended(t, queue.StateCancelled)
	for _, p := range pids {
		pid, err := strconv.Atoi(p)
		if err != nil {
			t.Fatal(err)
		}
		if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
			t.Errorf("the process %d is still there: %v", pid, err)
		}
	}
}

func TestATimeoutIsShown(t *testing.T) {
	t.Parallel()
	s := open(t, life.Options{}, "run")
	s.app.Find(t, "spin button", "Timeout in seconds*").SetValue(t, 1)
	s.runs(t, "echo begun; sleep 1000")
	s.app.Find(t, "label", "Timed out")
	s.app.Find(t, "label", "begun")
	s.ended(t, queue.StateTimeout)
}

func TestADenialSaysWhy(t *testing.T) {
	t.Parallel()
	s := open(t, life.Options{Rules: "deny **\n"}, "run")
	s.runs(t, "hostname")
	s.app.Find(t, "label", "Denied: *")
	s.app.Find(t, "label", "verified")
	s.ended(t, queue.StateDenied)
	if n := len(s.records(t, audit.Run)); n != 0 {
		t.Errorf("%d commands ran", n)
	}
}

func TestItWaitsForApproval(t *testing.T) {
	t.Parallel()
	s := open(t, life.Options{Rules: "ask **\n"}, "run")
	s.runs(t, "echo approved")
	s.app.Find(t, "label", "Waiting for approval")
	if n := len(s.records(t, audit.Run)); n != 0 {
		t.Fatalf("%d commands ran before anybody approved it", n)
	}
	requests, err := s.client.Requests(t.Context())
	if err != nil || len(requests) != 1 {
		t.Fatal(requests, err)
	}
	if err := s.client.Approve(t.Context(), requests[0].Number, requests[0].Sha256, onceOnly); err != nil {
		t.Fatal(err)
	}
	s.app.Find(t, "label", "Done: exit 0")
	s.app.Find(t, "label", "approved")
}

// TestInputFromAFile: the command reads exactly its bytes.
func TestInputFromAFile(t *testing.T) {
	t.Parallel()
	s := open(t, life.Options{}, "run")
	path := filepath.Join(t.TempDir(), "input & <b>.txt")
	if err := os.WriteFile(path, []byte("one\ntwo\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.Desktop.ChooseFile(t, s.app, "Standard input:*", path)
	s.app.Find(t, "button", "No input*")
	s.runs(t, "cat > got; wc -l < got")
	s.app.Find(t, "label", "Done: exit 0")
	if b, err := os.ReadFile(filepath.Join(s.Dom0(), "root", "got")); err != nil || string(b) != "one\ntwo\n" {
		t.Errorf("the command read %q, %v", b, err)
	}
}

// TestCtrlReturnOfAnotherPageRunsNothing.
func TestCtrlReturnOfAnotherPageRunsNothing(t *testing.T) {
	t.Parallel()
	s := open(t, life.Options{}, "run")
	s.write(t, "touch it-ran")
	s.app.Find(t, "button", "Run*").AwaitState(t, desktop.Sensitive, true)
	s.turn(t, "Key")
	s.Desktop.Key(t, "ctrl+Return")
	s.Desktop.Key(t, "ctrl+1")
	s.onPage(t, "Run")
	// The same key does it here, once, and it is the first command of all.
	s.Desktop.Key(t, "ctrl+Return")
	s.app.Find(t, "label", "Done: exit 0")
	if n := len(s.records(t, audit.Claim)); n != 1 {
		t.Errorf("dom0 took %d commands", n)
	}
}

// TestKeysAlone: a command is written, run, looked through and cancelled without
// a pointer.
func TestKeysAlone(t *testing.T) {
	t.Parallel()
	s := open(t, life.Options{}, "run")
	s.app.Find(t, "text box", "Command for dom0")
	s.Desktop.Type(t, "seq 1 3000")
	s.Desktop.Key(t, "ctrl+Return")
	s.app.Find(t, "label", "Done: exit 0")
	s.Desktop.Key(t, "ctrl+f")
	s.Desktop.Type(t, "1234")
	s.app.Find(t, "label", "1 of 1")
	s.app.Find(t, "label", "1234")
	s.Desktop.Key(t, "Escape")
	s.Desktop.Key(t, "ctrl+t")
	s.Desktop.Type(t, "sleep 1000")
	s.Desktop.Key(t, "ctrl+Return")
	s.app.Find(t, "label", "Running")
	s.app.Walk(t, "Tab", "button", "Cancel*")
	s.Desktop.Key(t, "space")
	s.app.Find(t, "label", "Cancelled")
	s.Desktop.Key(t, "F1")
	s.app.Find(t, "", "Run the command")
	s.Desktop.Key(t, "Escape")
	s.app.Gone(t, "", "Run the command")
	s.Desktop.Key(t, "ctrl+q")
	if err := s.run.Wait(t); err != nil {
		t.Errorf("it ended: %v", err)
	}
}

// TestMuchOutput: ten megabytes of lines, of which it says what is not shown.
func TestMuchOutput(t *testing.T) {
	t.Parallel()
	s := open(t, life.Options{}, "run")
	s.runs(t, "seq 1 1300000; echo the-end")
	s.app.Find(t, "label", "Done: exit 0")
	s.app.Find(t, "label", "*more than can be shown here*")
}

// TestDom0IsNotThere: it says so, and what was sent runs when dom0 is back.
func TestDom0IsNotThere(t *testing.T) {
	t.Parallel()
	s := open(t, life.Options{Stopped: true}, "run")
	s.app.Find(t, "label", "*Not connected")
	s.app.Find(t, "label", "dom0 does not look into this qube's queue now.*")
	s.runs(t, "echo at last")
	s.app.Find(t, "label", "Queued")
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.app.Find(t, "label", "*Connected to dom0")
	s.app.Find(t, "label", "Done: exit 0")
	s.app.Find(t, "label", "at last")
	s.Kill()
	s.app.Find(t, "label", "*Not connected")
}

// TestATabClosesWhileDom0IsAway, with what waits in it, at once.
func TestATabClosesWhileDom0IsAway(t *testing.T) {
	t.Parallel()
	s := open(t, life.Options{Stopped: true}, "run")
	s.Desktop.Key(t, "ctrl+t")
	s.runs(t, "hostname")
	s.app.Find(t, "label", "Queued")
	s.Desktop.Key(t, "ctrl+w")
	s.app.Find(t, "button", "Cancel it and close").Press(t)
	s.app.Gone(t, "label", "Queued")
	desktop.Await(t, "it is closed", func() bool { return len(s.app.FindAll(t, "page tab", "hostname")) == 0 })
	if files, err := os.ReadDir(s.Layout(qube).PendingDir()); err != nil || len(files) != 0 {
		t.Errorf("there is %v, %v", files, err)
	}
}

// TestAResultThatIsForgedIsNotBelieved.
func TestAResultThatIsForgedIsNotBelieved(t *testing.T) {
	t.Parallel()
	s := open(t, life.Options{Stopped: true}, "run")
	s.runs(t, "hostname")
	s.app.Find(t, "label", "Queued")
	l := s.Layout(qube)
	names, err := filepath.Glob(filepath.Join(l.PendingDir(), "*"+queue.Auth))
	if err != nil || len(names) != 1 {
		t.Fatal(names, err)
	}
	id := strings.TrimSuffix(filepath.Base(names[0]), queue.Auth)
	for ending, text := range map[string]string{queue.Out: "dom0\n", queue.Auth: "qvm-remote/2 result\nmac 00\n"} {
		if err := queue.Publish(l.Result(id, ending), []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := queue.Publish(l.Result(id, queue.Exit), []byte("0")); err != nil {
		t.Fatal(err)
	}
	s.app.Find(t, "label", "Unverified*")
	s.app.Find(t, "label", "unverified")
	if labels := s.app.FindAll(t, "label", "Done*"); len(labels) != 0 {
		t.Errorf("it says %v", labels)
	}
}

// TestNarrow: at 360 pixels a command is run and cancelled.
func TestNarrow(t *testing.T) {
	t.Parallel()
	s := prepare(t, life.Options{})
	s.left(t, func(p *prefs.Prefs) { p.Width, p.Height = 360, 720 })
	s.launch(t, "--page", "run")
	s.runs(t, "echo a rather long line that does not fit into one line of a narrow window; sleep 1000")
	s.app.Find(t, "label", "Running")
	s.app.Find(t, "button", "Cancel*").Press(t)
	s.app.Find(t, "label", "Cancelled")
	s.app.Find(t, "button", "Run*").AwaitState(t, desktop.Sensitive, true)
	s.app.Find(t, "button", "Back*").Press(t)
	s.app.Find(t, "list item", "Run")
	s.Desktop.Key(t, "ctrl+Return") // of a page that is not seen
	s.app.Find(t, "list item", "Key").Press(t)
	s.app.Find(t, "list item", "Fingerprint*")
	if w, _ := s.Size(t); w != 360 {
		t.Errorf("the window is %d wide", w)
	}
	if n := len(s.records(t, audit.Claim)); n != 1 {
		t.Errorf("dom0 took %d commands", n)
	}
}

// TestReturnInANarrowWindowCancelsNothing: where the buttons of a question stand
// above each other, the focus is not on the one that does it.
func TestReturnInANarrowWindowCancelsNothing(t *testing.T) {
	t.Parallel()
	s := prepare(t, life.Options{})
	s.left(t, func(p *prefs.Prefs) { p.Width, p.Height = 360, 720 })
	s.launch(t, "--page", "run")
	s.write(t, "sleep 1000")
	s.Desktop.Key(t, "ctrl+Return")
	s.app.Find(t, "label", "Running")
	s.Desktop.Key(t, "ctrl+t")
	s.app.Gone(t, "label", "Running")
	s.Desktop.Key(t, "ctrl+Page_Up")
	s.app.Find(t, "label", "Running")
	s.Desktop.Key(t, "ctrl+w")
	dialog := s.app.Find(t, "dialog", "Cancel the command?")
	dialog.Find(t, "button", "Let it run").AwaitState(t, desktop.Focused, true)
	s.Desktop.Key(t, "Return")
	s.app.Gone(t, "dialog", "Cancel the command?")
	s.app.Find(t, "label", "Running")
	if ended := s.records(t, audit.Final); len(ended) != 0 {
		t.Errorf("it was ended: %+v", ended)
	}
}
