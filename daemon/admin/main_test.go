package admin

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"qvmremote/client/agent"
	"qvmremote/daemon/paths"
	"qvmremote/daemon/run"
	"qvmremote/queue"
)

// The test binary plays dom0's tools when it is called by their names, on the
// qubes below $ADMIN_QUBES: one folder each with state, uuid, class and home.
const qubesEnv = "ADMIN_QUBES"

func TestMain(m *testing.M) {
	run.Supervise()
	if play, ok := map[string]func([]string) int{"qvm-ls": qvmLs, "qvm-prefs": qvmPrefs, "qvm-check": qvmCheck,
		"qvm-run": qvmRun, "systemctl": systemctl}[filepath.Base(os.Args[0])]; ok {
		os.Exit(play(os.Args[1:]))
	}
	os.Exit(prepared(m))
}

func prepared(m *testing.M) int {
	dir, err := os.MkdirTemp("", "admin-test-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	bin := filepath.Join(dir, "bin")
	self, err := os.Executable()
	if err == nil {
		err = os.MkdirAll(bin, 0o755)
	}
	for _, name := range []string{"qvm-ls", "qvm-prefs", "qvm-check", "qvm-run", "systemctl"} {
		if err == nil {
			err = os.Symlink(self, filepath.Join(bin, name))
		}
	}
	if err != nil {
		log.Fatal(err)
	}
	os.Setenv(qubesEnv, filepath.Join(dir, "qubes"))
	os.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	return m.Run()
}

func property(vm, name string) string {
	b, err := os.ReadFile(filepath.Join(os.Getenv(qubesEnv), vm, name))
	if err != nil {
		return ""
	}
	return string(b)
}

func qvmLs([]string) int {
	fmt.Println("dom0|Running|AdminVM|black|-")
	all, _ := os.ReadDir(os.Getenv(qubesEnv))
	for _, e := range all {
		fmt.Printf("%s|%s|%s|red|%s\n", e.Name(), property(e.Name(), "state"), property(e.Name(), "class"), property(e.Name(), "uuid"))
	}
	return 0
}

func qvmPrefs(args []string) int {
	fmt.Println(property(args[0], "uuid"))
	return 0
}

func qvmCheck(args []string) int {
	if property(args[len(args)-1], "state") == "" {
		return 2
	}
	return 0
}

// qvmRun is an agent in the qube, or what `cat` prints of its key.
func qvmRun(args []string) int {
	vm, command := args[len(args)-2], args[len(args)-1]
	home := filepath.Join(os.Getenv(qubesEnv), vm, "home")
	if strings.HasPrefix(command, "exec cat ") {
		fmt.Print(property(vm, "noise"))
		b, err := os.ReadFile(filepath.Join(home, "auth.key"))
		if err != nil {
			return 1
		}
		os.Stdout.Write(b)
		return 0
	}
	if said := property(vm, "hostile"); said != "" {
		io.WriteString(os.Stdout, said)
		return 0
	}
	if err := agent.Run(context.Background(), queue.Layout{Root: home}, os.Stdin, os.Stdout, agent.DefaultWaits()); err != nil {
		return 1
	}
	return 0
}

// systemctl writes down what it is asked, and fails if told to.
func systemctl(args []string) int {
	dir := filepath.Dir(os.Getenv(qubesEnv))
	f, err := os.OpenFile(filepath.Join(dir, "systemctl.log"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return 1
	}
	fmt.Fprintln(f, strings.Join(args, " "))
	f.Close()
	if args[0] == "show" {
		fmt.Println("enabled")
		return 0
	}
	if _, err := os.Stat(filepath.Join(dir, "systemctl.fails")); err == nil {
		fmt.Fprintln(os.Stderr, "Failed to do it: \x1b[31mAccess denied")
		return 4
	}
	return 0
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

// withoutTools hides some of dom0's tools, as on a machine that lacks them.
func withoutTools(t *testing.T, keep ...string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	for _, name := range keep {
		if err := os.Symlink(self, filepath.Join(bin, name)); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", bin)
	if _, err := exec.LookPath("qvm-ls"); err == nil && len(keep) == 0 {
		t.Fatal("qvm-ls is still there")
	}
}
