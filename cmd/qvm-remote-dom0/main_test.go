package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"qvmremote/client"
	"qvmremote/client/agent"
	"qvmremote/daemon/admin"
	"qvmremote/daemon/run"
	"qvmremote/queue"
	"qvmremote/test/bus"
	"qvmremote/test/bus/systemd"
	"qvmremote/test/executable"
)

func TestMain(m *testing.M) {
	run.Supervise()
	testscript.Main(m, map[string]func(){"qvm-remote-dom0": main, "dom0": inTestRoot, "agent": playAgent,
		"member": playMember, "outsider": playOutsider})
}

// inTestRoot is the program with the test's root.
func inTestRoot() {
	os.Args = append([]string{"qvm-remote-dom0", "--root", os.Getenv("ROOT")}, os.Args[1:]...)
	main()
}

// playAgent is what qvm-run starts in a qube whose home is the argument.
func playAgent() {
	if err := agent.Run(context.Background(), queue.Layout{Root: os.Args[1]}, os.Stdin, os.Stdout, agent.DefaultWaits()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// The tools of dom0, on the qubes below $QUBES: one folder each with state,
// uuid and home.
var tools = map[string]string{
	"qvm-ls": `echo "dom0|Running|AdminVM|black|-"
		cd "$QUBES" || exit 1
		for q in *; do [ -f "$q/state" ] && echo "$q|$(cat "$q/state")|AppVM|red|$(cat "$q/uuid")"; done
		exit 0`,
	"qvm-prefs": `cat "$QUBES/$1/uuid"`,
	"qvm-run": `for command; do vm=$last; last=$command; done
		q=$QUBES/$vm
		case $command in "exec cat "*) exec cat "$q/home/auth.key";; esac
		exec agent "$q/home"`,
}

func setup(e *testscript.Env) error {
	bin, qubes := filepath.Join(e.WorkDir, "tools"), filepath.Join(e.WorkDir, "qubes")
	err := os.MkdirAll(bin, 0o755)
	for name, text := range tools {
		err = errors.Join(err, executable.Write(filepath.Join(bin, name), []byte("#!/bin/sh\n"+text+"\n")))
	}
	for i, vm := range []string{"work", "halted"} {
		state := []string{"Running", "Halted"}[i]
		home := filepath.Join(qubes, vm, "home")
		err = errors.Join(err, os.MkdirAll(home, 0o700), queue.Layout{Root: home}.Make(),
			os.WriteFile(filepath.Join(qubes, vm, "uuid"), fmt.Appendf(nil, "11111111-2222-3333-4444-%012d\n", i), 0o600),
			os.WriteFile(filepath.Join(qubes, vm, "state"), []byte(state), 0o600))
	}
	e.Setenv("PATH", bin+":"+e.Getenv("PATH"))
	e.Setenv("QUBES", qubes)
	e.Setenv("ROOT", filepath.Join(e.WorkDir, "dom0"))
	e.Setenv("KEYS", filepath.Join(e.WorkDir, "dom0/etc/qubes/remote.d"))
	e.Setenv("GORACE", "atexit_sleep_ms=0") // else every program takes a second more
	return err
}

// TestOnFiles runs the scripts where no service answers.
func TestOnFiles(t *testing.T) {
	t.Parallel()
	testscript.Run(t, params("files", "script", func(e *testscript.Env) error {
		b := bus.Start(t)
		e.Defer(b.Stop)
		f := systemd.Start(t, b)
		f.Add(admin.Service, systemd.Hooks{})
		e.Setenv("SYSTEMD", b.Address) // for scripts that have one: QVM_REMOTE_BUS=$SYSTEMD
		e.Values[theSystemd] = f
		return nil
	}))
}

// params are for the scripts in a folder, by one way: files or bus, which is
// also a condition in them.
func params(way, folder string, prepare func(*testscript.Env) error) testscript.Params {
	return testscript.Params{Dir: filepath.Join("testdata", folder),
		Setup: func(e *testscript.Env) error {
			if err := setup(e); err != nil {
				return err
			}
			return prepare(e)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"unit": unit, "polkit": allow, "makekey": makeKey,
			"submit": submit, "ask": ask, "mode": mode, "until": until, "hostile": hostile},
		Condition: func(cond string) (bool, error) {
			switch cond {
			case "root":
				return os.Geteuid() == 0, nil
			case "files", "bus":
				return cond == way, nil
			}
			return false, fmt.Errorf("unknown condition %q", cond)
		}}
}

// theSystemd is the script's, by that name among its values.
const theSystemd = "systemd"

// unit expects the executor's unit to become so: unit enabled active; with refused,
// systemd says no to every change of boot state from then on.
func unit(ts *testscript.TestScript, _ bool, args []string) {
	f := ts.Value(theSystemd).(*systemd.Fake)
	if args[0] == "refused" {
		for _, method := range []string{"EnableUnitFiles", "DisableUnitFiles"} {
			f.Refuse(method, "org.freedesktop.DBus.Error.AccessDenied", "Access \x1b[31mdenied")
		}
		return
	}
	var got []string
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if got = []string{f.Enabled(admin.Service), f.Active(admin.Service)}; slices.Equal(got, args) {
			return
		}
	}
	ts.Fatalf("the unit is %q, want %q", got, args)
}

// makeKey writes a new key to each file named.
func makeKey(ts *testscript.TestScript, _ bool, args []string) {
	for _, path := range args {
		ts.Check(os.WriteFile(ts.MkAbs(path), append(queue.GenerateKey().Reveal(), '\n'), 0o600))
	}
}

// ask submits a script from the qube work and expects the exit code, or with !
// a denial for the reason: ask 0 'echo hello', ! ask no-key true.
func ask(ts *testscript.TestScript, neg bool, args []string) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, ticket := submitted(ctx, ts, args[1])
	out, err := c.Wait(ctx, ticket, client.Events{})
	ts.Check(err)
	if got := fmt.Sprint(out.Exit); !neg && got != args[0] || neg && string(out.Reason) != args[0] {
		ts.Fatalf("%s: exit %s, state %s, reason %s: %s", args[1], got, out.State, out.Reason, out.Sentence)
	}
}

// submit submits a script from the qube work and waits for nothing.
func submit(ts *testscript.TestScript, _ bool, args []string) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	submitted(ctx, ts, args[0])
}

func submitted(ctx context.Context, ts *testscript.TestScript, script string) (*client.Client, *client.Ticket) {
	c := client.New(filepath.Join(ts.Getenv("QUBES"), "work/home"))
	c.Database = func(context.Context, string) (string, error) { return "work", nil }
	ticket, err := c.Submit(ctx, client.Request{Script: []byte(script), Within: 30 * time.Second, Timeout: 30 * time.Second})
	ts.Check(err)
	return c, ticket
}

// mode checks a file's permissions: mode 0600 FILE.
func mode(ts *testscript.TestScript, _ bool, args []string) {
	info, err := os.Stat(ts.MkAbs(args[1]))
	ts.Check(err)
	if got := "0" + strconv.FormatUint(uint64(info.Mode().Perm()), 8); got != args[0] {
		ts.Fatalf("%s has mode %s, want %s", args[1], got, args[0])
	}
}

// until runs a command again and again until its output matches: until
// REGEXP COMMAND…, for 30 s at most.
func until(ts *testscript.TestScript, _ bool, args []string) {
	want := regexp.MustCompile(args[0])
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		_ = ts.Exec(args[1], args[2:]...)
		if want.MatchString(ts.ReadFile("stdout")) {
			return
		}
	}
	ts.Fatalf("%s never said %s", strings.Join(args[1:], " "), args[0])
}

// hostile fills the queue of the qube work with what a hostile one would.
func hostile(ts *testscript.TestScript, _ bool, _ []string) {
	l := queue.Layout{Root: filepath.Join(ts.Getenv("QUBES"), "work/home")}
	for path, content := range map[string]string{
		l.Running("r1"): "\x1b[2Jrunning", l.PendingDir() + "/\x1b[31m": "", l.PendingDir() + "/$(touch x)": "",
		l.ResultsDir() + "/a\nb": "", l.Body("r2"): "\x1b]0;title\a",
	} {
		ts.Check(os.WriteFile(path, []byte(content), 0o600))
	}
}
