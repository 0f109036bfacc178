package guest

import (
	"io"
	"net"
	"os"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// Exit codes that stand for qrexec itself.
const (
	ExitProblem   = 125
	ExitRefused   = 126
	ExitNoService = 127
)

// agent starts what dom0 asks for.
type agent struct {
	Config
	*reaper
	active atomic.Int64
}

func newAgent(c Config) *agent { return &agent{Config: c, reaper: newReaper()} }

func (a *agent) handle(c *net.UnixConn) {
	defer c.Close()
	var req Request
	files, err := Receive(c, &req)
	defer closeAll(files)
	if err != nil {
		return
	}
	if n := a.active.Add(1); req.ExecLimit > 0 && n > req.ExecLimit {
		a.active.Add(-1)
		Send(c, Reply{Code: ExitProblem, Problem: "too many calls at once"})
		return
	}
	var code int
	if len(req.Terminal) > 0 && len(files) == 3 {
		code = a.terminal(c, req, files)
	} else {
		code = a.call(c, req)
	}
	a.active.Add(-1)
	if code >= 0 && Send(c, Reply{Ended: true, Code: code}) == nil {
		// the caller closes when it has all output: losing the connection
		// earlier is how it sees the qube go down
		io.Copy(io.Discard, c)
	}
}

// call runs a service or command on sockets of its own, as a qrexec agent
// does: the caller may die without the process noticing more than closed
// streams. It returns -1 when the call was refused.
func (a *agent) call(c *net.UnixConn, req Request) int {
	argv, env, err := a.resolve(req)
	if err != nil {
		r := Reply{Code: ExitProblem, Problem: err.Error()}
		if p, ok := err.(problem); ok {
			r.Code = p.code
		}
		Send(c, r)
		return -1
	}
	ours, theirs, err := streams()
	if err != nil {
		Send(c, Reply{Code: ExitProblem, Problem: err.Error()})
		return -1
	}
	err = Send(c, Reply{}, theirs...)
	closeAll(theirs)
	defer closeAll(ours)
	if err != nil {
		return -1
	}
	if len(req.Noise) > 0 {
		ours[1].Write(req.Noise)
	}
	if req.Flood == "stdout" || req.Flood == "both" {
		argv = []string{FloodName, req.Flood}
	} else if req.Flood != "" {
		a.aside([]string{FloodName, req.Flood}, ours)
	}
	if req.Hang {
		a.aside([]string{"sleep", "infinity"}, ours)
	}
	_, end, err := a.start(a.program(argv[0]), argv, a.attributes(env, ours))
	if err != nil {
		io.WriteString(ours[2], err.Error()+"\n")
		return 1
	}
	closeAll(ours)
	return exitCode(<-end)
}

// aside starts a process that outlives the call and shares its streams.
func (a *agent) aside(argv []string, streams []*os.File) {
	a.start(a.program(argv[0]), argv, a.attributes(a.environment(a.User), streams))
}

// terminal runs a program on the caller's own descriptors, as if typed into a
// terminal of the qube: it gets the caller's signals and dies with it.
func (a *agent) terminal(c *net.UnixConn, req Request, files []*os.File) int {
	env := append(a.environment(a.User), req.Env...)
	pid, end, err := a.start(a.program(req.Terminal[0]), req.Terminal, a.attributes(env, files))
	if err != nil {
		Send(c, Reply{Code: ExitNoService, Problem: err.Error()})
		return -1
	}
	// the program alone must hold them, else a reader never sees their end
	closeAll(files)
	if Send(c, Reply{}) != nil {
		unix.Kill(-pid, unix.SIGKILL)
	}
	hangup := make(chan struct{})
	go func() {
		defer close(hangup)
		signals := make([]byte, 1)
		for {
			if _, err := io.ReadFull(c, signals); err != nil {
				return
			}
			deliver(pid, syscall.Signal(signals[0]))
		}
	}()
	select {
	case status := <-end:
		return exitCode(status)
	case <-hangup:
		unix.Kill(-pid, unix.SIGKILL)
		<-end
		return -1
	}
}

// deliver sends what a terminal would send to the whole job, the rest to the
// program only.
func deliver(pid int, s syscall.Signal) {
	if s == unix.SIGINT || s == unix.SIGQUIT || s == unix.SIGHUP {
		pid = -pid
	}
	unix.Kill(pid, s)
}

func (a *agent) attributes(env []string, files []*os.File) *syscall.ProcAttr {
	fds := make([]uintptr, len(files))
	for i, f := range files {
		fds[i] = f.Fd()
	}
	return &syscall.ProcAttr{Dir: a.homeOf(env), Env: env, Files: fds, Sys: &syscall.SysProcAttr{Setsid: true}}
}

// streams makes stdin, stdout and stderr: sockets, as in a real qube, so that
// /dev/stdin cannot be opened there.
func streams() (ours, theirs []*os.File, err error) {
	for range 3 {
		pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			closeAll(ours)
			closeAll(theirs)
			return nil, nil, err
		}
		ours = append(ours, os.NewFile(uintptr(pair[0]), "stream"))
		theirs = append(theirs, os.NewFile(uintptr(pair[1]), "stream"))
	}
	return ours, theirs, nil
}

func closeAll(files []*os.File) {
	for _, f := range files {
		f.Close()
	}
}

// Flood is the main function of a process that writes without end to the
// streams named by its argument: stdout, stderr or both.
func Flood(argv []string) int {
	block := make([]byte, 64<<10)
	for i := range block {
		block[i] = byte(i)
	}
	which := argv[len(argv)-1]
	for {
		if which != "stderr" {
			if _, err := os.Stdout.Write(block); err != nil {
				return 1
			}
		}
		if which != "stdout" {
			if _, err := os.Stderr.Write(block); err != nil {
				return 1
			}
		}
	}
}
