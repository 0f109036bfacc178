package service

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	godbus "github.com/godbus/dbus/v5"

	"qvmremote/daemon"
	"qvmremote/daemon/paths"
	"qvmremote/dbus"
	"qvmremote/test/bus"
)

// world is a dom0 with a bus, and whatever answers on it in this process.
type world struct {
	t    *testing.T
	bus  *bus.Bus
	root paths.Root
	o    Options
}

func newWorld(t *testing.T, options ...bus.Options) *world {
	t.Helper()
	root := paths.Root(t.TempDir())
	b := bus.Start(t, options...) // it ends before the folder does, and the programs that it started with it
	for _, dir := range []string{root.Run(), root.State(), filepath.Dir(root.Config())} {
		must(t, os.MkdirAll(dir, 0o700))
	}
	return &world{t: t, bus: b, root: root, o: testOptions(root, b.Address)}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// process is a manager or an executor in this process.
type process struct {
	t    *testing.T
	end  context.CancelFunc
	done chan struct{}
	err  error // once done is closed
}

func (p *process) stop() {
	p.t.Helper()
	p.end()
	p.wait()
}

func (p *process) wait() {
	p.t.Helper()
	select {
	case <-p.done:
	case <-time.After(patience):
		_ = pprof.Lookup("goroutine").WriteTo(os.Stderr, 1)
		p.t.Fatal("it does not end")
	}
}

func (w *world) launch(run func(ctx context.Context) error) *process {
	ctx, cancel := context.WithCancel(context.Background())
	p := &process{t: w.t, end: cancel, done: make(chan struct{})}
	go func() {
		defer close(p.done)
		p.err = run(ctx)
	}()
	w.t.Cleanup(p.stop)
	return p
}

// manage starts a manager and waits until it answers.
func (w *world) manage() *process {
	w.t.Helper()
	ready := make(chan struct{})
	p := w.launch(func(ctx context.Context) error { return Manage(ctx, w.o, func() { close(ready) }, func() {}) })
	select {
	case <-ready:
	case <-p.done:
		w.t.Fatalf("no manager: %v", p.err)
	case <-time.After(patience):
		w.t.Fatal("the manager is not ready")
	}
	return p
}

// manageFor is manage for a client that is subscribed before the manager looks
// whether anybody needs it, however short its idle time is.
func (w *world) manageFor(c *desktop) *process {
	w.t.Helper()
	subscribed := make(chan string, 1)
	p := w.launch(func(ctx context.Context) error {
		return Manage(ctx, w.o, func() {
			_, code := c.call("Subscribe")
			subscribed <- code
		}, func() {})
	})
	select {
	case code := <-subscribed:
		if code != "" {
			w.t.Fatal(code)
		}
	case <-p.done:
		w.t.Fatal(p.err)
	}
	return p
}

// execute starts an executor without qubes and waits until it answers.
func (w *world) execute() *process {
	w.t.Helper()
	p := w.launch(func(ctx context.Context) error { return daemon.Run(ctx, daemonOptions(w.o)) })
	c := w.client()
	w.until("the executor runs", func() bool { return c.property("State") == dbus.Running })
	return p
}

// program is this test's program in a role of its own. It ends with the test.
func (w *world) program(role string, more ...string) *exec.Cmd {
	w.t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), w.environ(role, more...)...)
	cmd.Stderr = os.Stderr
	must(w.t, cmd.Start())
	w.t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGKILL)
		_ = cmd.Wait()
	})
	return cmd
}

func (w *world) environ(role string, more ...string) []string {
	return append([]string{roleVar + "=" + role, rootVar + "=" + string(w.root), paths.BusVar + "=" + w.bus.Address}, more...)
}

// activatable makes the bus start managers when they are called for.
func (w *world) activatable(more ...string) {
	w.t.Helper()
	w.bus.Activatable(w.t, dbus.Name, os.Args[0], nil, append(w.environ("manager", more...), "PATH="+os.Getenv("PATH")))
}

func (w *world) until(what string, happened func() bool) {
	w.t.Helper()
	for late := time.Now().Add(patience); !happened(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(late) {
			w.t.Fatalf("it did not come to this: %s", what)
		}
	}
}

// desktop is a client with a connection of its own.
type desktop struct {
	t    *testing.T
	conn *godbus.Conn
}

func (w *world) client() *desktop { w.t.Helper(); return &desktop{w.t, w.bus.Connect(w.t)} }

// at calls method, with its interface, of an object; the answer's body, and the
// error's code, or its whole name where that is none of ours.
func (c *desktop) at(path godbus.ObjectPath, method string, args ...any) ([]any, string) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	call := c.conn.Object(dbus.Name, path).CallWithContext(ctx, method, 0, args...)
	return call.Body, codeIn(call.Err)
}

func (c *desktop) call(method string, args ...any) ([]any, string) {
	return c.at(dbus.ManagerPath, dbus.ManagerInterface+"."+method, args...)
}

func codeIn(err error) string {
	var e godbus.Error
	switch {
	case err == nil:
		return ""
	case !errors.As(err, &e):
		return err.Error()
	}
	return strings.TrimPrefix(e.Name, dbus.Name+".Error.")
}

// property is a value of the manager's, or the code of why it cannot be told.
func (c *desktop) property(name string) any {
	body, code := c.at(dbus.ManagerPath, dbus.Properties+".Get", dbus.ManagerInterface, name)
	if code != "" || len(body) != 1 {
		return code
	}
	v, _ := body[0].(godbus.Variant)
	return v.Value()
}

// openFiles are this process's descriptors.
func openFiles(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	must(t, err)
	return len(list)
}

// noLeak measures descriptors and goroutines once what was asked before has come
// to rest; the function that it returns
// waits until there are no more of them. Tests that use it do not run beside
// others.
func (w *world) noLeak() (check func()) {
	w.t.Helper()
	files, routines, same := 0, 0, 0
	w.until("nothing ends or begins any more", func() bool {
		f, r := openFiles(w.t), runtime.NumGoroutine()
		if same++; f != files || r != routines {
			files, routines, same = f, r, 0
		}
		return same > 20
	})
	return func() {
		w.t.Helper()
		late := time.Now().Add(patience)
		for {
			f, r := openFiles(w.t), runtime.NumGoroutine()
			if f <= files && r <= routines {
				return
			}
			if time.Now().After(late) {
				_ = pprof.Lookup("goroutine").WriteTo(os.Stderr, 1)
				w.t.Fatalf("%d descriptors and %d goroutines became %d and %d", files, routines, f, r)
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
}

// tree lists every file below the root but those that say how the service is.
func (w *world) tree() []string {
	w.t.Helper()
	var names []string
	must(w.t, filepath.WalkDir(string(w.root), func(name string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			names = append(names, name)
		}
		return err
	}))
	slices.Sort(names)
	return names
}

// encode writes a message with a serial of its own, which godbus gives to its
// own alone.
func encode(out io.Writer, m *godbus.Message, serial uint32) error {
	var b bytes.Buffer
	if err := m.EncodeTo(&b, binary.LittleEndian); err != nil {
		return err
	}
	binary.LittleEndian.PutUint32(b.Bytes()[8:], serial)
	_, err := out.Write(b.Bytes())
	return err
}
