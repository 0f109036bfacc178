// Package desktop gives a test a desktop of its own: a screen that nobody sees,
// buses, a window manager and assistive technology, by which it finds and
// presses what a program shows, as its user would.
//
// It guarantees that a test meets neither the machine's display nor its buses,
// that no wait is longer than a minute, and that everything ends with the test,
// however the test ends.
package desktop

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"qvmremote/test/bus"
	"qvmremote/test/desktop/x11"
)

// Options differ from a screen of 1280 by 1024.
type Options struct {
	Width, Height int
	// Root is a folder with another system, whose programs and libraries the
	// programs on the desktop find in place of this one's; "" for this one's. It
	// needs root, and that neither system has a /lib of its own beside /usr.
	Root string
	// Env are more variables for the programs, after those of [Desktop.Env].
	Env []string
	// User is whose the programs are, and what they may read and write here; 0
	// is who runs the test. Only root can give it.
	User int
}

// T is what fails where the desktop is not as expected: a test, or what stands
// for one in a program that is none.
type T interface {
	Helper()
	// Fatalf does not return.
	Fatalf(format string, args ...any)
}

// Desktop is one running desktop. Its methods are for one goroutine at a time.
type Desktop struct {
	// Session is the session bus.
	Session *bus.Bus

	dir     string
	options Options
	screen  *screen
	x       *x11.Conn
	windows *windows
	access  *bus.Bus       // of assistive technology
	conn    *dbus.Conn     // to access
	roles   map[ref]string // of what was seen so far
	undo    []func()       // the last one first
}

// Start makes a desktop for the time of the test. At most one Options is used.
func Start(t testing.TB, options ...Options) *Desktop {
	t.Helper()
	var o Options
	if len(options) > 0 {
		o = options[0]
	}
	d, err := New(o)
	if err != nil {
		t.Fatalf("start a desktop: %v", err)
	}
	t.Cleanup(d.Close)
	return d
}

// New makes a desktop for a program that is no test; it ends with Close, or
// with the program.
func New(o Options) (*Desktop, error) {
	if o.Width == 0 {
		o.Width = 1280
	}
	if o.Height == 0 {
		o.Height = 1024
	}
	d := &Desktop{options: o, roles: map[ref]string{}}
	for _, step := range []func() error{d.folders, d.openScreen, d.giveAway, d.openBuses, d.openRegistry} {
		if err := step(); err != nil {
			d.Close()
			return nil, err
		}
	}
	return d, nil
}

// Close ends everything on the desktop. Closing again does nothing.
func (d *Desktop) Close() {
	for i := len(d.undo) - 1; i >= 0; i-- {
		d.undo[i]()
	}
	d.undo = nil
}

func (d *Desktop) later(what func()) { d.undo = append(d.undo, what) }

// settings keep GTK from moving what a test looks at.
const settings = "[Settings]\ngtk-enable-animations=0\ngtk-cursor-blink=0\n"

func (d *Desktop) folders() error {
	var err error
	// Not a test's own folder: its path is long for a socket.
	if d.dir, err = os.MkdirTemp("", "desktop"); err != nil {
		return err
	}
	d.later(func() { _ = os.RemoveAll(d.dir) })
	for _, name := range []string{"home", "run", "config/gtk-4.0", "data", "cache", "state"} {
		if err := os.MkdirAll(d.file(name), 0o700); err != nil {
			return err
		}
	}
	return os.WriteFile(d.file("config/gtk-4.0/settings.ini"), []byte(settings), 0o600)
}

// giveAway makes everything in the folder so far the user's.
func (d *Desktop) giveAway() error {
	if d.options.User == 0 {
		return nil
	}
	return filepath.WalkDir(d.dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, d.options.User, d.options.User)
	})
}

func (d *Desktop) file(name string) string { return filepath.Join(d.dir, name) }

func (d *Desktop) openScreen() error {
	var err error
	if d.screen, err = openScreen(d.dir, d.options.Width, d.options.Height); err != nil {
		return err
	}
	d.later(d.screen.close)
	if d.x, err = x11.Dial(d.screen.number, d.screen.cookie); err != nil {
		return err
	}
	d.later(func() { d.x.Close() })
	d.windows, err = manageWindows(d.x)
	return err
}

func (d *Desktop) openBuses() error {
	var err error
	if d.Session, err = bus.New(bus.Options{}); err != nil {
		return err
	}
	d.later(d.Session.Close)
	if d.access, err = bus.New(bus.Options{}); err != nil {
		return err
	}
	d.later(d.access.Close)
	d.conn, err = d.access.Dial()
	if err == nil {
		d.later(func() { d.conn.Close() })
	}
	return err
}

// registries are where distributions have the program that knows which
// applications there are.
var registries = []string{"/usr/libexec/at-spi2-registryd", "/usr/lib/at-spi2-registryd", "/usr/lib/at-spi2-core/at-spi2-registryd"}

// openRegistry starts it by calling it. GTK learns of its bus by a variable, so
// that nobody has to stand for it on the session bus.
func (d *Desktop) openRegistry() error {
	for _, program := range registries {
		if _, err := exec.LookPath(program); err != nil {
			continue
		}
		if err := d.access.Activate(registryName, program, nil, d.Env()); err != nil {
			return err
		}
		ctx, cancel := callTime()
		defer cancel()
		if _, err := d.childrenOf(ctx, registry); err != nil {
			return fmt.Errorf("ask which applications there are: %w", err)
		}
		return nil
	}
	return errors.New("there is no at-spi2-registryd; `make setup-test` installs it")
}

// Config is the folder in which programs on this desktop keep their settings.
func (d *Desktop) Config() string { return d.file("config") }

// Display is the name of the screen.
func (d *Desktop) Display() string { return ":" + strconv.Itoa(d.screen.number) }

// Env are all variables that a program on this desktop has: none are taken from
// the test's own but the ones by which programs and libraries are found.
func (d *Desktop) Env() []string {
	env := []string{
		"DISPLAY=" + d.Display(), "XAUTHORITY=" + d.screen.authority,
		"DBUS_SESSION_BUS_ADDRESS=" + d.Session.Address, "AT_SPI_BUS_ADDRESS=" + d.access.Address,
		"HOME=" + d.file("home"), "XDG_RUNTIME_DIR=" + d.file("run"), "XDG_CONFIG_HOME=" + d.Config(),
		"XDG_DATA_HOME=" + d.file("data"), "XDG_CACHE_HOME=" + d.file("cache"), "XDG_STATE_HOME=" + d.file("state"),
		"GDK_BACKEND=x11", "GSK_RENDERER=cairo", "GTK_A11Y=atspi", "GSETTINGS_BACKEND=memory",
		// A desktop's portals would be asked, and waited for.
		"GTK_USE_PORTAL=0", "ADW_DISABLE_PORTAL=1", "GIO_USE_VFS=local",
		"LANG=C.UTF-8", "TZ=UTC",
	}
	for _, name := range []string{"PATH", "TMPDIR", "LD_LIBRARY_PATH", "XDG_DATA_DIRS", "GOCOVERDIR", "GOTRACEBACK"} {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	return append(env, d.options.Env...)
}

const (
	// patience is how long a test waits for what should be there soon.
	patience = time.Minute
	// pause is how long it waits before it looks again.
	pause = 20 * time.Millisecond
)

// Await waits until what it names is so, and fails where it does not become so.
func Await(t T, what string, so func() bool) {
	t.Helper()
	for late := time.Now().Add(patience); !so(); time.Sleep(pause) {
		if time.Now().After(late) {
			t.Fatalf("after %v it is still not so: %s", patience, what)
		}
	}
}
