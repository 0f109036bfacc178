package admin

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"testing"
	"time"

	"qvmremote/client/agent"
	"qvmremote/daemon/paths"
	"qvmremote/daemon/run"
	"qvmremote/queue"
	"qvmremote/test/executable"
)

// qubesEnv names the folder of all tests' qubes: below it one folder each, with
// state, uuid, class and home.
const qubesEnv = "ADMIN_QUBES"

// The tools of dom0, as far as this package calls them. They are scripts: a
// test binary built with -race takes too long to start for each call.
var tools = map[string]string{
	"qvm-ls": `echo "dom0|Running|AdminVM|black|-"
		cd "$ADMIN_QUBES" 2>/dev/null || exit 0
		for q in *; do [ -f "$q/state" ] && echo "$q|$(cat "$q/state")|$(cat "$q/class")|red|$(cat "$q/uuid")"; done
		exit 0`,
	"qvm-prefs": `cat "$ADMIN_QUBES/$1/uuid" && echo`,
	"qvm-check": `for vm; do :; done; [ -f "$ADMIN_QUBES/$vm/state" ] || exit 2`,
	"qvm-run": `for command; do vm=$last; last=$command; done
		q=$ADMIN_QUBES/$vm
		[ -f "$q/fails" ] && exit 126
		case $command in
		"exec cat "*) cat "$q/noise" 2>/dev/null; exec cat "$q/home/auth.key";;
		"exec qvm-remote key import") exec cat >"$q/home/auth.key";;
		esac
		[ -f "$q/hostile" ] && exec cat "$q/hostile"
		ADMIN_AGENT=$q/home exec "$ADMIN_SELF"`,
}

func TestMain(m *testing.M) {
	run.Supervise()
	if home := os.Getenv("ADMIN_AGENT"); home != "" {
		if err := agent.Run(context.Background(), queue.Layout{Root: home}, os.Stdin, os.Stdout, agent.DefaultWaits()); err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(prepared(m))
}

func prepared(m *testing.M) int {
	dir, err := os.MkdirTemp("", "admin-test-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	self, err := os.Executable()
	if err == nil {
		err = installTools(filepath.Join(dir, "bin"), "qvm-ls", "qvm-prefs", "qvm-check", "qvm-run")
	}
	if err != nil {
		log.Fatal(err)
	}
	os.Setenv("ADMIN_SELF", self)
	os.Setenv(qubesEnv, filepath.Join(dir, "qubes"))
	os.Setenv("PATH", filepath.Join(dir, "bin")+":"+os.Getenv("PATH"))
	return m.Run()
}

func installTools(bin string, names ...string) error {
	err := os.MkdirAll(bin, 0o755)
	for _, name := range names {
		script := "#!/bin/sh\nPATH=/usr/bin:/bin\n" + tools[name] + "\n"
		err = errors.Join(err, executable.Write(filepath.Join(bin, name), []byte(script)))
	}
	return err
}

func property(vm, name string) string {
	b, err := os.ReadFile(filepath.Join(os.Getenv(qubesEnv), vm, name))
	if err != nil {
		return ""
	}
	return string(b)
}

// lab is a dom0 of a test's own, with qubes that no other test has.
type lab struct {
	*Admin
	t *testing.T
}

func newLab(t *testing.T) *lab {
	t.Helper()
	a := New(paths.Root(t.TempDir()), nil, "tester", "test")
	a.Times.Magic, a.Times.Answer = 10*time.Second, 10*time.Second
	return &lab{Admin: a, t: t}
}

// qube makes one whose name is its alone, and returns that name.
func (l *lab) qube(name, state string) string {
	l.t.Helper()
	sum := 0
	for _, c := range l.t.Name() {
		sum = (sum*31 + int(c)) % 1_000_003
	}
	vm := fmt.Sprintf("%s-%d", name, sum)
	dir := filepath.Join(os.Getenv(qubesEnv), vm)
	l.must(os.MkdirAll(filepath.Join(dir, "home"), 0o700))
	l.t.Cleanup(func() { os.RemoveAll(dir) })
	l.set(vm, "uuid", fmt.Sprintf("11111111-2222-3333-4444-%012d", sum))
	l.set(vm, "class", "AppVM")
	l.set(vm, "state", state)
	return vm
}

// set writes a property whole: tools of parallel tests read it any time.
func (l *lab) set(vm, name, value string) {
	l.t.Helper()
	path := filepath.Join(os.Getenv(qubesEnv), vm, name)
	l.must(os.WriteFile(path+".tmp", []byte(value), 0o600))
	l.must(os.Rename(path+".tmp", path))
}

func (l *lab) layout(vm string) queue.Layout {
	layout := queue.Layout{Root: filepath.Join(os.Getenv(qubesEnv), vm, "home")}
	l.must(layout.Make())
	return layout
}

// file puts a file of that age into the qube's queue.
func (l *lab) file(path, content string, age time.Duration) {
	l.t.Helper()
	l.must(os.WriteFile(path, []byte(content), 0o600))
	when := time.Now().Add(-age)
	l.must(os.Chtimes(path, when, when))
}

func (l *lab) must(err error) {
	l.t.Helper()
	if err != nil {
		l.t.Fatal(err)
	}
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// withoutTools leaves only some of dom0's tools, as on a machine that lacks the
// others.
func withoutTools(t *testing.T, keep ...string) {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "bin")
	if err := installTools(bin, keep...); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin)
}
