package run

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"qvmremote/daemon/disk"
)

// maxMessages is how many messages are read from a supervisor: a healthy one
// sends two.
const maxMessages = 4

// job is one command while it runs, seen from the daemon.
type job struct {
	r       *Runner
	c       Command
	folder  string
	group   *group
	outR    *os.File // where the command's stdout comes from
	errR    *os.File
	out     *output
	errs    *output
	control *os.File // the daemon's end of the socket to the supervisor
	cmd     *exec.Cmd
	exited  chan struct{} // closed when the supervisor has ended
	reports chan message  // closed when it will say nothing more
	outcome Outcome
}

// newJob makes all that the command needs but its script and starts its
// supervisor, which then waits. On error nothing is left.
func (r *Runner) newJob(c Command) (_ *job, err error) {
	if c.Timeout <= 0 {
		return nil, fmt.Errorf("cannot run a command with a timeout of %s", c.Timeout)
	}
	bash, err := findBash(r.Path)
	if err != nil {
		return nil, err
	}
	j := &job{r: r, c: c, exited: make(chan struct{}), reports: make(chan message, maxMessages)}
	defer func() {
		if err != nil {
			err = errors.Join(err, j.removeAll())
		}
	}()
	if j.folder, err = makeFolder(r.Dir); err != nil {
		return nil, err
	}
	disk.Point("run.folder-made")
	if j.group, err = r.newGroup(j.folder); err != nil {
		return nil, err
	}
	if err := j.startSupervisor(bash); err != nil {
		return nil, fmt.Errorf("cannot start the supervisor: %w", err)
	}
	disk.Point("run.supervised")
	return j, nil
}

func (j *job) startSupervisor(bash string) (err error) {
	var theirs []*os.File // descriptors that only the supervisor needs
	defer func() {
		for _, f := range theirs {
			_ = f.Close()
		}
	}()
	open := func(f *os.File, oerr error) {
		if oerr == nil {
			theirs = append(theirs, f)
		} else if err == nil {
			err = oerr
		}
	}
	open(j.openControl())
	open(os.Open(orString(j.c.Stdin, os.DevNull)))
	outR, outW, perr := os.Pipe()
	open(outW, perr)
	errR, errW, perr := os.Pipe()
	open(errW, perr)
	if j.group != nil {
		theirs = append(theirs, j.group.dir)
	}
	if err == nil {
		err = j.spawn(bash, theirs)
	}
	if err != nil {
		_, _, _ = outR.Close(), errR.Close(), j.control.Close() // nil is allowed
		return err
	}
	j.outR, j.errR = outR, errR
	go j.listen()
	go func() {
		defer close(j.exited)
		_ = j.cmd.Wait() // how it ended says nothing that is believed
	}()
	return nil
}

// take begins to pass on the output of c, which the supervisor waits for.
func (j *job) take(c Command) {
	j.c = c
	j.out = newOutput("stdout", j.outR, c.Out, c.MaxOut)
	j.errs = newOutput("stderr", j.errR, c.Err, c.MaxErr)
	go j.out.pump()
	go j.errs.pump()
}

// spawn starts the supervisor. It and the command share environment, folder
// and descriptors, so it needs no further message about them. The order of
// files is that of the fd… constants.
func (j *job) spawn(bash string, files []*os.File) error {
	where := noGroup
	if j.group != nil {
		where = inGroup
	}
	r := j.r
	j.cmd = &exec.Cmd{
		Path: orString(r.Self, "/proc/self/exe"),
		Args: []string{supervisorName, superviseArg, j.folder, bash, strconv.FormatInt(int64(j.c.Timeout), 10), where},
		Dir:  r.Home,
		Env: []string{
			"PATH=" + r.Path,
			"HOME=" + r.Home,
			"LANG=" + orString(r.Lang, "C.UTF-8"),
			"QVM_REMOTE_QUBE=" + j.c.Qube,
			"QVM_REMOTE_ID=" + j.c.ID,
		},
		Stderr:      os.Stderr,
		ExtraFiles:  files,
		SysProcAttr: &syscall.SysProcAttr{Setsid: true},
	}
	return j.cmd.Start()
}

func (j *job) openControl() (theirs *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	// Only the daemon's end: the supervisor waits on its own in read(2).
	if err := unix.SetNonblock(fds[0], true); err != nil {
		return nil, errors.Join(err, unix.Close(fds[0]), unix.Close(fds[1]))
	}
	j.control = os.NewFile(uintptr(fds[0]), "supervisor")
	return os.NewFile(uintptr(fds[1]), "daemon"), nil
}

// listen hands on what the supervisor says, until it has ended or says what
// makes no sense.
func (j *job) listen() {
	defer close(j.reports)
	buf := make([]byte, maxMessage+1)
	for range maxMessages {
		n, err := j.control.Read(buf)
		if err != nil {
			return
		}
		m, err := parseMessage(buf[:n])
		if err != nil {
			return
		}
		j.reports <- m
	}
}

// run starts the shell and waits for its end.
func (j *job) run(ctx context.Context) {
	if err := j.start(ctx); err != nil {
		j.end(stateOf(ctx), err)
		return
	}
	overdue := time.NewTimer(j.c.Timeout + j.r.grace())
	defer overdue.Stop()
	stopped, late := ctx.Done(), false
	for {
		select {
		case m, ok := <-j.reports:
			if !ok {
				j.lost(ctx, late)
				return
			}
			if j.report(ctx, m) {
				return
			}
		case <-stopped:
			stopped = nil
			j.stop()
			overdue.Reset(j.r.grace())
		case <-overdue.C:
			if late { // it does not even die
				j.lost(ctx, late)
				return
			}
			late = true
			j.kill()
			overdue.Reset(j.r.grace())
		}
	}
}

func (j *job) start(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("not started: %w", context.Cause(ctx))
	}
	if j.c.BeforeStart != nil {
		if err := j.c.BeforeStart(); err != nil {
			return fmt.Errorf("not started: %w", err)
		}
	}
	disk.Point("run.before-start")
	if _, err := j.control.Write(message{kind: sayGo}.encode()); err != nil {
		return fmt.Errorf("the supervisor does not answer: %w", err)
	}
	// From here on only its own word says that no shell was started.
	j.outcome.Began = true
	return nil
}

// report acts on what the supervisor says, and reports whether it was the end.
func (j *job) report(ctx context.Context, m message) (over bool) {
	switch m.kind {
	case sayBegan:
		j.outcome.StartedAt = time.Now()
		disk.Point("run.after-start")
		if j.c.Started != nil {
			j.c.Started()
		}
		return false
	case sayFailed:
		j.outcome.Began = false
		j.end(Interrupted, fmt.Errorf("cannot start bash: %s", m.text))
	case sayEnded:
		j.end(Exit, nil)
		j.outcome.Exit = exitCode(m.status)
	case sayTimeout:
		j.end(Timeout, nil)
	case sayStopped:
		var err error
		if ctx.Err() == nil {
			err = errors.New("the supervisor was told to stop by a signal")
		}
		j.end(stateOf(ctx), err)
	default:
		j.end(stateOf(ctx), fmt.Errorf("the supervisor said %q", m.kind))
	}
	return true
}

// lost ends a job whose supervisor has gone without a report.
func (j *job) lost(ctx context.Context, late bool) {
	switch {
	case ctx.Err() != nil:
		j.end(stateOf(ctx), errors.New("the supervisor did not stop in time and was killed"))
	case late:
		j.end(Timeout, errors.New("the supervisor did not keep the deadline and was killed"))
	default:
		j.end(Interrupted, errors.New("the supervisor ended without a report; was it killed by the command?"))
	}
}

// stateOf is the state of a command that did not end by itself or in time.
func stateOf(ctx context.Context) State {
	if errors.Is(context.Cause(ctx), ErrCancelled) {
		return Cancelled
	}
	return Interrupted
}

// end records the end of the shell.
func (j *job) end(s State, err error) {
	disk.Point("run.ended")
	o := &j.outcome
	o.State, o.Err = s, err
	o.Exit = map[State]int{Timeout: CodeTimeout, Cancelled: CodeCancelled, Interrupted: CodeInterrupted}[s]
	if !o.StartedAt.IsZero() {
		o.Duration = time.Since(o.StartedAt)
	}
	if s == Timeout { // which the supervisor measured, from a little earlier
		o.Duration = max(o.Duration, j.c.Timeout)
	}
}

// stop tells the supervisor to kill the command. It can still report.
func (j *job) stop() {
	raw, err := j.control.SyscallConn()
	if err == nil {
		_ = raw.Control(func(fd uintptr) { _ = unix.Shutdown(int(fd), unix.SHUT_WR) })
	}
}

// kill ends a supervisor that does not do its work, after what it should have
// killed: as long as it is there, all that is the command's is below it.
func (j *job) kill() {
	select {
	case <-j.exited:
	default:
		killBelowSubreaper(j.cmd.Process.Pid, j.r.grace())
		_ = j.cmd.Process.Kill()
	}
}

// finish takes the rest of the output, waits until the supervisor has killed
// what is left, and removes what was made for the command.
func (j *job) finish() {
	deadline := time.Now().Add(j.r.drain())
	j.stop()
	out, errs := j.out.drain(deadline), j.errs.drain(deadline)
	o := &j.outcome
	o.OutBytes, o.OutTruncated = out.taken, out.truncated
	o.ErrBytes, o.ErrTruncated = errs.taken, errs.truncated

	var left error
	t := time.NewTimer(j.r.grace())
	defer t.Stop()
	select {
	case <-j.exited:
	case <-t.C:
		left = errors.New("some processes of the command do not die; the supervisor goes on trying")
	}
	_ = j.control.Close()
	o.Err = errors.Join(o.Err, out.err, errs.err, left, j.removeAll())
	disk.Point("run.removed")
}

// removeAll removes cgroup and folder.
func (j *job) removeAll() error {
	var errs []error
	if j.group != nil {
		errs = append(errs, j.group.remove(j.r.grace()))
	}
	if j.folder != "" {
		errs = append(errs, os.RemoveAll(j.folder))
	}
	return errors.Join(errs...)
}

func orString(s, def string) string {
	if s != "" {
		return s
	}
	return def
}
