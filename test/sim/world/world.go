// Package world is the folder that holds a simulated Qubes machine: where
// everything lies, what each qube's properties and knobs are, and which tools
// dom0 has called.
//
// It guarantees that separate processes see the same machine: all of it is
// files, each is replaced in one step, and a reader never sees half a value.
package world

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"qvmremote/test/executable"
)

// Tools that dom0 has, and tools that a qube has. All are links to one binary
// that looks at the name it was called by.
var (
	dom0Tools = []string{"qvm-run", "qvm-check", "qvm-ls", "qvm-prefs", "qvm-start", "qvm-shutdown", "qrexec-client", "hostname", "qubes-sim"}
	qubeTools = []string{"qubesdb-read", "hostname"}
)

// Program is the file name of the simulator's binary in every lib folder.
const Program = "qubes-sim"

// ErrNoQube is wrapped by every error about a qube that does not exist.
var ErrNoQube = errors.New("no such domain")

// World is one simulated machine. Dir is absolute and free of symbolic links.
type World struct{ Dir string }

// Open returns the world that lies in dir.
func Open(dir string) (World, error) {
	w, err := at(dir)
	if err != nil {
		return World{}, err
	}
	if _, err := os.Stat(w.path("qubes")); err != nil {
		return World{}, fmt.Errorf("%s is not a simulated world (make one with: qubes-sim new DIR): %w", dir, err)
	}
	return w, nil
}

// Create makes an empty world in dir (made if missing) whose tools are links
// to a private copy of binary.
func Create(dir, binary string) (World, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return World{}, fmt.Errorf("make the world: %w", err)
	}
	w, err := at(dir)
	if err != nil {
		return World{}, err
	}
	if _, err := os.Stat(w.path("qubes")); err == nil {
		return World{}, fmt.Errorf("%s already holds a world", dir)
	}
	for _, d := range []string{"lib", "knobs", "dom0/bin", "dom0/lib", "dom0/etc/qubes", "dom0/var/log/qubes",
		"dom0/var/lib", "dom0/run", "dom0/root", "dom0/tmp"} {
		if err := os.MkdirAll(w.path(d), 0o755); err != nil {
			return World{}, fmt.Errorf("make the world: %w", err)
		}
	}
	if err := os.Symlink("../run", w.path("dom0", "var", "run")); err != nil {
		return World{}, fmt.Errorf("make the world: %w", err)
	}
	if err := Link(binary, w.path("lib", Program)); err != nil {
		return World{}, err
	}
	if err := w.equip(w.path("dom0"), dom0Tools); err != nil {
		return World{}, err
	}
	return w, os.Mkdir(w.path("qubes"), 0o755)
}

func at(dir string) (World, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return World{}, fmt.Errorf("world: %w", err)
	}
	if abs, err = filepath.EvalSymlinks(abs); err != nil {
		return World{}, fmt.Errorf("world: %w", err)
	}
	return World{abs}, nil
}

// Place says where a program runs, from the path of its own executable: in
// dom0 (qube is empty) or in a qube. ok is false outside of any world.
func Place(exe string) (w World, qube string, ok bool) {
	dir, file := filepath.Split(strings.TrimSuffix(exe, " (deleted)"))
	above := filepath.Dir(filepath.Clean(dir))
	if file != Program || filepath.Base(filepath.Clean(dir)) != "lib" {
		return World{}, "", false
	}
	if filepath.Base(above) == "dom0" {
		return World{filepath.Dir(above)}, "", true
	}
	if up := filepath.Dir(above); filepath.Base(up) == "qubes" {
		return World{filepath.Dir(up)}, filepath.Base(above), true
	}
	return World{}, "", false
}

func (w World) path(elem ...string) string {
	return filepath.Join(append([]string{w.Dir}, elem...)...)
}

// Dom0 is the root folder of the simulated dom0.
func (w World) Dom0() string { return w.path("dom0") }

// Dom0Bin holds dom0's tools, to be put first in PATH.
func (w World) Dom0Bin() string { return w.path("dom0", "bin") }

// Binary is the simulator's own program.
func (w World) Binary() string { return w.path("lib", Program) }

// Socket is where the world's power manager listens.
func (w World) Socket() string { return w.path("qubesd.sock") }

// AdminSocket is where what stands for qubesd listens, in dom0.
func (w World) AdminSocket() string { return w.path("dom0", "run", "qubesd.sock") }

// QubePath is a path in the folder of the named qube.
func (w World) QubePath(name string, elem ...string) string {
	return w.path(append([]string{"qubes", name}, elem...)...)
}

// Qrexec is the socket by which dom0 reaches the agent in a running qube.
func (w World) Qrexec(name string) string { return w.QubePath(name, "qrexec.sock") }

// equip gives root (dom0's or a qube's) its own link to the binary, so that a
// tool knows from its executable where it runs, and the tools' names.
func (w World) equip(root string, tools []string) error {
	for _, d := range []string{"bin", "lib"} {
		if err := os.MkdirAll(filepath.Join(root, d), 0o755); err != nil {
			return fmt.Errorf("equip: %w", err)
		}
	}
	if err := Link(w.Binary(), filepath.Join(root, "lib", Program)); err != nil {
		return err
	}
	for _, tool := range tools {
		if err := os.Symlink(filepath.Join("..", "lib", Program), filepath.Join(root, "bin", tool)); err != nil {
			return fmt.Errorf("equip: %w", err)
		}
	}
	return nil
}

var nameGrammar = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9_.-]{0,30}$`)

// CheckName tells whether Qubes would accept name for a qube.
func CheckName(name string) error {
	reserved := []string{"none", "default", "Domain-0", "dom0"}
	if !nameGrammar.MatchString(name) || strings.HasSuffix(name, "-dm") || slices.Contains(reserved, name) {
		return fmt.Errorf("invalid qube name %q", name)
	}
	return nil
}

// Exists tells whether the named qube is there.
func (w World) Exists(name string) bool {
	if CheckName(name) != nil {
		return false
	}
	_, err := os.Stat(w.QubePath(name, "uuid"))
	return err == nil
}

// Qubes lists the names of all qubes, sorted, without dom0.
func (w World) Qubes() ([]string, error) {
	entries, err := os.ReadDir(w.path("qubes"))
	if err != nil {
		return nil, fmt.Errorf("list qubes: %w", err)
	}
	var names []string
	for _, e := range entries {
		if w.Exists(e.Name()) {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// Write replaces a file in one step.
func Write(path, content string) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return fmt.Errorf("write %s: %w", filepath.Base(path), err)
	}
	_, err = f.WriteString(content)
	err = errors.Join(err, f.Chmod(0o644), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
		return fmt.Errorf("write %s: %w", filepath.Base(path), err)
	}
	return nil
}

// Link puts the program from at to, by hard link where the file system
// allows, else by copying; a program already at to is replaced in one step.
func Link(from, to string) error {
	fresh := fmt.Sprintf("%s.new-%d", to, os.Getpid())
	os.Remove(fresh)
	real, err := filepath.EvalSymlinks(from)
	if err != nil {
		return fmt.Errorf("link %s: %w", filepath.Base(to), err)
	}
	if os.Link(real, fresh) == nil {
		err = os.Rename(fresh, to)
	} else {
		var content []byte
		if content, err = os.ReadFile(real); err == nil {
			err = executable.Write(to, content)
		}
	}
	if err != nil {
		return fmt.Errorf("link %s: %w", filepath.Base(to), err)
	}
	return nil
}

// Listen opens a stream socket at path, replacing a stale one. Socket paths
// may be longer than the kernel's 107 bytes.
func Listen(path string) (*net.UnixListener, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("listen: %w", err)
	}
	short, done, err := shorten(path)
	if err != nil {
		return nil, err
	}
	defer done()
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: short, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("listen at %s: %w", path, err)
	}
	ln.SetUnlinkOnClose(false)
	return ln, nil
}

// Dial connects to a socket made by Listen.
func Dial(path string, timeout time.Duration) (*net.UnixConn, error) {
	short, done, err := shorten(path)
	if err != nil {
		return nil, err
	}
	defer done()
	c, err := net.DialTimeout("unix", short, timeout)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", path, errors.Unwrap(err))
	}
	return c.(*net.UnixConn), nil
}

// shorten names path through an open descriptor of its folder.
func shorten(path string) (string, func(), error) {
	fd, err := unix.Open(filepath.Dir(path), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", nil, fmt.Errorf("connect to %s: %w", path, err)
	}
	return fmt.Sprintf("/proc/self/fd/%d/%s", fd, filepath.Base(path)), func() { unix.Close(fd) }, nil
}

// Install puts a program into the PATH of a qube.
func (w World) Install(qube, program, name string) error {
	if !w.Exists(qube) {
		return fmt.Errorf("%w: %q", ErrNoQube, qube)
	}
	return Link(program, w.QubePath(qube, "bin", name))
}

// Dom0Env are the variables that make a program run in this world's dom0: its
// tools come first in PATH.
func (w World) Dom0Env() []string {
	return []string{"PATH=" + w.Dom0Bin() + ":" + os.Getenv("PATH"), "HOME=" + filepath.Join(w.Dom0(), "root"), "SIM_WORLD=" + w.Dir}
}
