package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"qvmremote/client/dom0test"
	"qvmremote/queue"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"qvm-remote": main, "qubesdb-read": readQubesDB})
}

// readQubesDB stands in for the qube's database: QDB_NAME and so on.
func readQubesDB() {
	v, ok := os.LookupEnv("QDB_" + strings.ToUpper(strings.ReplaceAll(strings.TrimPrefix(os.Args[1], "/"), "-", "_")))
	if !ok {
		os.Exit(2)
	}
	fmt.Print(v)
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			home := filepath.Join(e.WorkDir, "home")
			e.Setenv("HOME", home)
			e.Setenv("ROOT", filepath.Join(home, queue.FolderName))
			e.Setenv("QDB_NAME", "work")
			e.Setenv("GORACE", "atexit_sleep_ms=0") // else every program takes a second more
			return os.MkdirAll(home, 0o700)
		},
		Condition: func(cond string) (bool, error) {
			if cond == "root" {
				return os.Geteuid() == 0, nil
			}
			return false, fmt.Errorf("unknown condition %q", cond)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"dom0": cmdDom0, "approve": cmdApprove, "mode": cmdMode, "await": cmdAwait,
		},
	})
}

// cmdDom0 begins to serve the qube with the key it has now, by the agent as
// dom0 starts it: dom0 [nokey] [otherkey] [ignore] [hang] [approval] [forge] [alter].
func cmdDom0(ts *testscript.TestScript, _ bool, args []string) {
	d := &dom0test.Dom0{Qube: "work"}
	if b, err := os.ReadFile(filepath.Join(ts.Getenv("ROOT"), "auth.key")); err == nil {
		d.Key, err = queue.ParseKey(b)
		ts.Check(err)
	}
	for _, a := range args {
		switch a {
		case "nokey":
			d.Key = queue.Key{}
		case "otherkey":
			d.Key = queue.GenerateKey()
		case "ignore":
			d.Ignore = true
		case "hang":
			d.Hang = true
		case "approval":
			d.Approve = make(chan struct{})
			approvals.Store(ts.Getenv("WORK"), d.Approve)
		case "forge":
			d.Deliver = func(f *queue.Finish) { f.Auth[len(f.Auth)-2] ^= 1 }
		case "alter":
			d.Output = func(b []byte) []byte { b[0] ^= 1; return b }
		default:
			ts.Fatalf("dom0: what is %q?", a)
		}
	}
	cmd := exec.Command("qvm-remote", "--agent="+ts.Getenv("ROOT"))
	cmd.Env = append(os.Environ(), "HOME="+ts.Getenv("HOME"), "GORACE=atexit_sleep_ms=0")
	stdin, err := cmd.StdinPipe()
	ts.Check(err)
	stdout, err := cmd.StdoutPipe()
	ts.Check(err)
	ts.Check(cmd.Start())
	conn, err := dom0test.Dial(stdout, stdin)
	ts.Check(err)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- d.Serve(ctx, conn) }()
	ts.Defer(func() {
		stop()
		<-done
		_ = stdin.Close()
		if err := cmd.Wait(); err != nil {
			ts.Logf("agent: %v", err)
		}
	})
}

// approvals are the gates of the scripts that run now, by work folder.
var approvals sync.Map

// cmdApprove lets commands begin that wait for approval.
func cmdApprove(ts *testscript.TestScript, _ bool, _ []string) {
	gate, ok := approvals.Load(ts.Getenv("WORK"))
	if !ok {
		ts.Fatalf("no dom0 that asks for approval")
	}
	close(gate.(chan struct{}))
}

// cmdMode checks a file's permissions: mode 600 FILE.
func cmdMode(ts *testscript.TestScript, _ bool, args []string) {
	info, err := os.Lstat(ts.MkAbs(args[1]))
	ts.Check(err)
	if got := fmt.Sprintf("%o", info.Mode().Perm()); got != args[0] {
		ts.Fatalf("%s has mode %s, want %s", args[1], got, args[0])
	}
}

// cmdAwait waits until a file is there that matches a pattern.
func cmdAwait(ts *testscript.TestScript, neg bool, args []string) {
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		found, err := filepath.Glob(ts.MkAbs(args[0]))
		ts.Check(err)
		if (len(found) > 0) != neg {
			return
		}
	}
	ts.Fatalf("%s: still waiting", args[0])
}
