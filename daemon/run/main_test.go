package run

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) {
	Supervise()
	if len(os.Args) > 1 && os.Args[1] == daemonArg {
		unix.Exit(standInDaemon(os.Args[2:]))
	}
	if err := makeUnit(); err != nil {
		noUnit = err.Error()
	}
	code := m.Run()
	removeUnit()
	os.Exit(code)
}

// unit is a cgroup v2 made for these tests, as a unit's would be; noUnit is
// why there is none.
var unit, noUnit string

// makeUnit makes the cgroup below this process's own: the tests move into it
// when they set a Runner up.
func makeUnit() error {
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return err
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	dir, ok := unitFolder(own, mounts)
	if !ok {
		return errors.New("no cgroup v2 is mounted")
	}
	unit = filepath.Join(dir, "qvm-remote-test-"+strconv.Itoa(os.Getpid())+".service")
	if err := os.Mkdir(unit, 0o755); err != nil {
		unit = ""
		return err
	}
	return nil
}

func removeUnit() {
	if unit != "" {
		_ = writeFile(filepath.Join(filepath.Dir(unit), "cgroup.procs"), "0")
		_ = (&group{path: unit}).remove(5 * time.Second)
	}
}

// newRunner makes a Runner for one test; with a cgroup if grouped.
func newRunner(t testing.TB, grouped bool) *Runner {
	t.Helper()
	root := t.TempDir()
	r := &Runner{
		Dir:   filepath.Join(root, "it's a dir"),
		Home:  filepath.Join(root, "root"),
		Path:  os.Getenv("PATH"),
		Grace: 20 * time.Second, // never reached unless a test shortens it
	}
	for _, dir := range []string{r.Dir, r.Home} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if grouped {
		if unit == "" {
			t.Skip("no writable cgroup v2 here: " + noUnit)
		}
		r.Cgroup = unit
		setUpOnce.Do(func() { _, setUpErr = (&Runner{Cgroup: unit}).Setup(t.Context()) })
		if setUpErr != nil {
			t.Fatal(setUpErr)
		}
		if _, err := r.Setup(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

var (
	setUpOnce sync.Once
	setUpErr  error
)

// bothWays runs a test with a cgroup and without.
func bothWays(t *testing.T, test func(t *testing.T, r *Runner)) {
	t.Helper()
	t.Parallel()
	for _, grouped := range []bool{false, true} {
		t.Run(fmt.Sprintf("cgroup=%v", grouped), func(t *testing.T) {
			t.Parallel()
			r := newRunner(t, grouped)
			test(t, r)
			if t.Failed() {
				return
			}
			if left := leftovers(t, r); len(left) > 0 {
				t.Errorf("left behind: %q", left)
			}
		})
	}
}

// leftovers names the run folders of r that are still there.
func leftovers(t *testing.T, r *Runner) []string {
	t.Helper()
	entries, err := os.ReadDir(r.Dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// result is an Outcome with what the sinks took.
type result struct {
	Outcome
	out, err string
}

func (r result) String() string {
	return fmt.Sprintf("%s %d began=%v out=%.300q err=%.300q: %v", r.State, r.Exit, r.Began, r.out, r.err, r.Err)
}

func command(t testing.TB, script string) Command {
	t.Helper()
	return Command{
		Script:  spool(t, script),
		Qube:    "work",
		ID:      fmt.Sprintf("20261123-%d-%d", os.Getpid(), commands.Add(1)),
		Timeout: time.Minute,
	}
}

var commands atomic.Int64 // so that every command has an id of its own

func spool(t testing.TB, text string) string {
	t.Helper()
	f, err := os.CreateTemp(t.TempDir(), "spool")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
	return f.Name()
}

// runCommand runs c and fails the test if a process of it is alive afterwards.
func runCommand(t testing.TB, ctx context.Context, r *Runner, c Command) result {
	t.Helper()
	var out, errs bytes.Buffer
	if c.Out == nil {
		c.Out = &out
	}
	if c.Err == nil {
		c.Err = &errs
	}
	o := r.Run(ctx, c)
	if left := processesOf(c.ID); len(left) > 0 {
		t.Errorf("still alive after %v: %q", o, left)
	}
	return result{Outcome: o, out: out.String(), err: errs.String()}
}

func runScript(t testing.TB, r *Runner, script string) result {
	t.Helper()
	return runCommand(t, t.Context(), r, command(t, script))
}

// mustExit fails the test unless the command ended by itself with code.
func mustExit(t testing.TB, got result, code int) {
	t.Helper()
	if got.State != Exit || got.Exit != code || got.Err != nil {
		t.Fatalf("want exit %d, got %v", code, got)
	}
	if !got.Began || got.StartedAt.IsZero() || got.Duration <= 0 {
		t.Fatalf("no start was recorded: %+v", got.Outcome)
	}
}

// eventually waits until the condition holds.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !holds(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within 20 s", what)
		}
	}
}

// processesOf lists the living processes of a command, and its supervisor, by
// what stands in their environment.
func processesOf(id string) []string {
	var found []string
	for _, pid := range processes() {
		env, _ := os.ReadFile(procPath(pid, "environ")) // empty for a zombie
		if bytes.Contains(env, []byte("QVM_REMOTE_ID="+id+"\x00")) {
			args, _ := os.ReadFile(procPath(pid, "cmdline"))
			found = append(found, fmt.Sprintf("%d: %q", pid, args))
		}
	}
	return found
}

// notify is a sink that says when something has arrived.
type notify struct {
	mu   sync.Mutex
	buf  bytes.Buffer
	once sync.Once
	some chan struct{}
}

func newNotify() *notify { return &notify{some: make(chan struct{})} }

func (n *notify) Write(b []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	defer n.once.Do(func() { close(n.some) })
	return n.buf.Write(b)
}

func (n *notify) String() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.buf.String()
}

func pipe(t testing.TB) (from, to *os.File) {
	t.Helper()
	from, to, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = from.Close(), to.Close() })
	return from, to
}
