package guest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// How the processes of a qube are kept apart.
const (
	User  = "user"  // mount, pid, uts and user namespaces; uid 1000 inside
	Mount = "mount" // the same without a user namespace, which takes root
	Plain = "plain" // a home of their own and nothing else
)

// uidInside is the account of a qube's user in every Qubes template.
const uidInside = 1000

// Attributes starts a qube's first process apart from the rest.
func Attributes(how string) *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{Setsid: true}
	if how == Plain {
		return a
	}
	a.Cloneflags = unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWUTS
	if how == User {
		a.Cloneflags |= unix.CLONE_NEWUSER
		a.UidMappings = []syscall.SysProcIDMap{{ContainerID: uidInside, HostID: os.Getuid(), Size: 1}}
		a.GidMappings = []syscall.SysProcIDMap{{ContainerID: uidInside, HostID: os.Getgid(), Size: 1}}
		// kept over exec, needed to mount, given up before anything of the qube runs
		a.AmbientCaps = []uintptr{unix.CAP_SYS_ADMIN}
	}
	return a
}

// hidden are the folders of the machine that a qube sees empty: they hold
// other people's homes, worlds and sockets.
var hidden = []struct{ dir, mode string }{
	{"/home", "0755"}, {"/root", "0700"}, {"/run", "0755"},
	{"/tmp", "1777"}, {"/var/tmp", "1777"}, {"/dev/shm", "1777"},
}

// A part is a folder the qube keeps: opened before everything is hidden, put
// back afterwards.
type part struct {
	at       string
	fd       int
	readOnly bool
}

// isolate runs as the first process of new namespaces and takes from it what
// does not belong to the qube.
func isolate(c Config) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	parts, err := openParts(c)
	if err != nil {
		return err
	}
	if err := hide(c.World); err != nil {
		return err
	}
	for _, p := range parts {
		if err := p.restore(); err != nil {
			return err
		}
	}
	if c.HomeSize > 0 {
		size := fmt.Sprintf("mode=0700,size=%d", c.HomeSize)
		if err := unix.Mount("tmpfs", c.Home, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, size); err != nil {
			return fmt.Errorf("mount the home: %w", err)
		}
	}
	// as root on the machine a hostile qube would own its files; best effort
	_ = unix.Mount("", "/", "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, "")
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil && c.How == Mount {
		return fmt.Errorf("mount /proc: %w", err)
	}
	if err := unix.Sethostname([]byte(c.Qube)); err != nil {
		return fmt.Errorf("set the host name: %w", err)
	}
	return os.Chdir("/")
}

func openParts(c Config) ([]part, error) {
	q := filepath.Join(c.World, "qubes", c.Qube)
	parts := []part{
		{at: c.Home, fd: -1}, {at: "/root", fd: -1},
		{at: filepath.Join(q, "bin"), readOnly: true}, {at: filepath.Join(q, "lib"), readOnly: true},
		{at: filepath.Join(q, "rpc"), readOnly: true},
	}
	from := []string{filepath.Join(q, "home"), filepath.Join(q, "root"), parts[2].at, parts[3].at, parts[4].at}
	for _, s := range c.Share {
		parts, from = append(parts, part{at: s}), append(from, s)
	}
	for i := range parts {
		fd, err := unix.Open(from[i], unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			return nil, fmt.Errorf("open %s: %w", from[i], err)
		}
		parts[i].fd = fd
	}
	return parts, nil
}

func hide(world string) error {
	covered := false
	for _, h := range hidden {
		if info, err := os.Stat(h.dir); err != nil || !info.IsDir() {
			continue
		}
		if err := unix.Mount("tmpfs", h.dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode="+h.mode); err != nil {
			return fmt.Errorf("hide %s: %w", h.dir, err)
		}
		covered = covered || strings.HasPrefix(world, h.dir+"/")
	}
	if covered {
		return nil
	}
	if err := unix.Mount("tmpfs", world, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=0755"); err != nil {
		return fmt.Errorf("hide %s: %w", world, err)
	}
	return nil
}

func (p part) restore() error {
	defer unix.Close(p.fd)
	if err := os.MkdirAll(p.at, 0o755); err != nil {
		return fmt.Errorf("restore %s: %w", p.at, err)
	}
	if err := unix.Mount(fmt.Sprintf("/proc/self/fd/%d", p.fd), p.at, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("restore %s: %w", p.at, err)
	}
	if !p.readOnly {
		return nil
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(p.at, &fs); err != nil {
		return fmt.Errorf("restore %s: %w", p.at, err)
	}
	// a mount taken over from outside may not lose these
	keep := uintptr(fs.Flags) & (unix.ST_NOSUID | unix.ST_NODEV | unix.ST_NOEXEC)
	if err := unix.Mount("", p.at, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY|keep, ""); err != nil {
		return fmt.Errorf("make %s read-only: %w", p.at, err)
	}
	return nil
}

// shed starts this program anew without the right to mount.
func shed(argv []string) error {
	runtime.LockOSThread()
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil {
		return fmt.Errorf("give up rights: %w", err)
	}
	for _, fd := range []int{listenFd, readyFd, leashFd} {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFD, 0); err != nil {
			return fmt.Errorf("keep descriptor %d: %w", fd, err)
		}
	}
	return fmt.Errorf("start anew: %w", syscall.Exec("/proc/self/exe", argv, []string{}))
}

// homeInside is where the home of the account is seen in the qube.
func homeInside(world, qube, user, how string) string {
	if how != Plain {
		if info, err := os.Stat("/home"); err == nil && info.IsDir() {
			return filepath.Join("/home", user)
		}
	}
	return filepath.Join(world, "qubes", qube, "home")
}

var errNoUser = errors.New("no such user in the qube")
