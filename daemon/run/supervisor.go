package run

import (
	"errors"
	"fmt"
	"math"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	supervisorName = "qvm-remote-dom0"
	superviseArg   = "--supervise"
	inGroup        = "cgroup"
	noGroup        = "no-cgroup"
)

// Descriptors that a supervisor inherits, in the order of spawn's files.
const (
	fdControl = 3 + iota
	fdStdin
	fdStdout
	fdStderr
	fdGroup // only with inGroup
)

// supervisor is the process between daemon and command. It trusts the daemon
// that started it, and nothing that the command could set.
type supervisor struct {
	script  string
	bash    string
	timeout time.Duration
	control int    // a SOCK_SEQPACKET socket to the daemon
	streams [3]int // of the command
	group   int    // the command's cgroup, or -1
}

// Supervise does the supervisor's work if this process was started as one,
// and then ends it: it returns only to everyone else, at the cost of a look at
// the arguments. Call it first in main, before anything is read, opened or
// started.
func Supervise() {
	if len(os.Args) < 2 || os.Args[1] != superviseArg {
		return
	}
	// One thread for all: bash inherits its mask, and dies when it ends.
	runtime.LockOSThread()
	s, err := newSupervisor(fdControl, os.Args[2:])
	if err == nil {
		err = s.prepare()
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: cannot supervise a command: %v\n", supervisorName, err)
		unix.Exit(1)
	}
	s.supervise()
	unix.Exit(0) // past the hooks of os.Exit: nothing here is to be saved
}

func newSupervisor(control int, args []string) (*supervisor, error) {
	if len(args) != 4 {
		return nil, errors.New("this is for the daemon only")
	}
	if t, err := unix.GetsockoptInt(control, unix.SOL_SOCKET, unix.SO_TYPE); err != nil || t != unix.SOCK_SEQPACKET {
		return nil, errors.New("there is no socket to the daemon")
	}
	ns, err := strconv.ParseInt(args[2], 10, 64)
	if err != nil || ns <= 0 {
		return nil, fmt.Errorf("%q is no timeout", args[2])
	}
	s := &supervisor{
		script:  filepath.Join(args[0], scriptName),
		bash:    args[1],
		timeout: time.Duration(ns),
		control: control,
		streams: [3]int{fdStdin, fdStdout, fdStderr},
		group:   -1,
	}
	if args[3] == inGroup {
		s.group = fdGroup
	}
	return s, nil
}

// prepare sets what bash inherits, and makes this process the one that
// inherits bash's orphans.
func (s *supervisor) prepare() error {
	// This thread's mask is the one that bash gets; see Supervise.
	if err := unix.PthreadSigmask(unix.SIG_SETMASK, new(unix.Sigset_t), nil); err != nil {
		return fmt.Errorf("cannot unblock signals: %w", err)
	}
	// Whatever else is open here, bash does not get it.
	if err := unix.CloseRange(fdControl, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC); err != nil {
		return fmt.Errorf("cannot keep descriptors from the command (this needs Linux 5.11): %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("cannot become the parent of orphans: %w", err)
	}
	defaultSignals()
	unix.Umask(0o022)
	return nil
}

// defaultSignals undoes what was ignored before this process began; the
// runtime's own handlers end with execve. x/sys has no sigaction.
func defaultSignals() {
	const size = 8        // of the kernel's signal set, in bytes
	const ignored = 1     // SIG_IGN
	type action [4]uint64 // the kernel's struct sigaction: the handler first
	for sig := uintptr(1); sig <= 64; sig++ {
		var now, dfl action
		_, _, e := unix.RawSyscall6(unix.SYS_RT_SIGACTION, sig, 0, uintptr(unsafe.Pointer(&now)), size, 0, 0)
		if e == 0 && now[0] == ignored {
			_, _, _ = unix.RawSyscall6(unix.SYS_RT_SIGACTION, sig, uintptr(unsafe.Pointer(&dfl)), 0, size, 0, 0)
		}
	}
}

// supervise waits for the daemon's word, starts bash, and ends when nothing of
// it is left.
func (s *supervisor) supervise() {
	if m, err := s.hear(); err != nil || m.kind != sayGo {
		return // the daemon is gone or has changed its mind
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, unix.SIGTERM, unix.SIGINT, unix.SIGHUP)
	pid, err := s.startBash()
	deadline := time.NewTimer(s.timeout)
	for _, fd := range s.streams {
		_ = unix.Close(fd)
	}
	if err != nil {
		s.say(message{kind: sayFailed, text: err.Error()})
		return
	}
	s.say(message{kind: sayBegan})

	ended, gone := make(chan unix.WaitStatus, 1), make(chan struct{})
	go reap(pid, ended, gone)
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		_, _ = s.hear() // there is no further message but the end
	}()
	select {
	case status := <-ended:
		s.say(message{kind: sayEnded, status: status})
	case <-deadline.C:
		s.say(message{kind: sayTimeout})
	case <-closed:
		s.say(message{kind: sayStopped})
	case <-signals:
		s.say(message{kind: sayStopped})
	}
	killAll(gone, s.group)
}

// startBash starts the shell in a session of its own, so that a command that
// kills its process group kills neither this process nor the daemon. Should
// this process die all the same, bash dies with it.
func (s *supervisor) startBash() (pid int, err error) {
	attr := &syscall.ProcAttr{
		Env:   os.Environ(),
		Files: []uintptr{uintptr(s.streams[0]), uintptr(s.streams[1]), uintptr(s.streams[2])},
		Sys:   &syscall.SysProcAttr{Setsid: true, Pdeathsig: unix.SIGKILL},
	}
	if s.group >= 0 {
		attr.Sys.UseCgroupFD, attr.Sys.CgroupFD = true, s.group
	}
	pid, err = syscall.ForkExec(s.bash, shellArgs(s.script), attr)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", s.bash, err)
	}
	return pid, nil
}

// reap collects every child of this process, its own and those it inherits,
// until there is none: then gone is closed.
func reap(bash int, ended chan<- unix.WaitStatus, gone chan<- struct{}) {
	defer close(gone)
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, 0, nil)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil: // ECHILD
			return
		case pid == bash:
			ended <- status
		}
	}
}

func (s *supervisor) hear() (message, error) {
	buf := make([]byte, maxMessage+1)
	for {
		n, err := unix.Read(s.control, buf)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return message{}, err
		}
		return parseMessage(buf[:n])
	}
}

// say tells the daemon; if it is gone, nobody needs to know.
func (s *supervisor) say(m message) {
	_ = unix.Send(s.control, m.encode(), unix.MSG_NOSIGNAL)
}
