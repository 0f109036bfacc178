package transport

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"qvmremote/queue"
)

// Stream opens conversations over one long-lived call a qube.
type Stream struct {
	Caller  Caller
	Account string // the account in the qube; a valid one (queue.ValidAccount)
	Times   Times
	Budget  *Budget
	Now     func() time.Time
	Version string // this program's, told in the greeting
}

// command is what the qube's shell reads: constant but for the account. It
// must stay an option, not a word: the first implementation's client would
// queue a word as a command for dom0.
func (s *Stream) command() string {
	return "exec qvm-remote --agent=/home/" + s.Account + "/" + queue.FolderName
}

// Dial calls a running qube, waits for its agent and greets it. The context
// bounds the dialling only. The caller's exit code is never looked at: a killed
// qvm-run reports success.
func (s *Stream) Dial(ctx context.Context, qube string) (Conn, error) {
	if !queue.ValidQube(qube) || !queue.ValidAccount(s.Account) {
		return nil, fmt.Errorf("cannot call qube %q as %q: not a valid name", qube, s.Account)
	}
	p, err := start(s.Caller.Path, s.Times.Shutdown, s.Caller.Args(qube, s.command())...)
	if err != nil {
		return nil, fmt.Errorf("cannot start %s: %w", s.Caller.Name(), err)
	}
	hello := queue.Hello{Version: s.Version, Qube: qube, Time: s.Now().Unix()}
	c, err := newConn(ctx, p.out, p.in, p.end, hello, s.Times, s.Budget)
	if err != nil {
		p.await()
		if said := p.stderr(); said != "" {
			err = fmt.Errorf("%w (%s said: %s)", err, s.Caller.Name(), said)
		}
		return nil, err
	}
	c.await = p.await
	return c, nil
}

// process is a transport's program with pipes to it.
type process struct {
	cmd      *exec.Cmd
	in, out  *os.File
	errs     *Stderr
	patience time.Duration
	once     sync.Once
	gone     chan struct{} // closed when it was waited for
	ended    chan struct{} // closed when end has done all it does
}

// start runs path in a process group of its own, so that killing it takes what
// it started along. stderr is read, kept to its last part, never inherited.
func start(path string, patience time.Duration, args ...string) (*process, error) {
	inR, inW, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	outR, outW, err := os.Pipe()
	if err != nil {
		_, _ = inR.Close(), inW.Close()
		return nil, err
	}
	p := &process{cmd: exec.Command(path, args...), in: inW, out: outR, errs: &Stderr{}, patience: patience, gone: make(chan struct{}), ended: make(chan struct{})}
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = inR, outW, p.errs
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	p.cmd.WaitDelay = patience
	err = p.cmd.Start()
	_, _ = inR.Close(), outW.Close()
	if err != nil {
		_, _ = inW.Close(), outR.Close()
		return nil, err
	}
	go func() {
		_ = p.cmd.Wait()
		close(p.gone)
	}()
	return p, nil
}

// end lets the program go by itself for a moment, since its stdin is closed by
// now, then kills its group. It does not wait for that.
func (p *process) end() {
	p.once.Do(func() {
		go func() {
			timer := time.NewTimer(p.patience)
			defer timer.Stop()
			select {
			case <-p.gone:
			case <-timer.C:
			}
			// Children may be there although their parent is gone. The
			// group's number is not given out again while one is.
			if err := syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
				_ = p.cmd.Process.Kill()
			}
			<-p.gone
			_ = p.out.Close()
			close(p.ended)
		}()
	})
}

// await waits until end, which was called, has ended the program: a daemon that
// stops must not leave one behind. Only one that cannot even be killed is left.
func (p *process) await() {
	timer := time.NewTimer(p.patience + time.Second)
	defer timer.Stop()
	select {
	case <-p.ended:
	case <-timer.C:
	}
}

func (p *process) stderr() string {
	return p.errs.Last()
}

// Stderr keeps the last part of what is written to it, and takes no more than
// 64 KiB a second: a qube that floods stderr waits instead of costing dom0 a
// processor.
type Stderr struct {
	mu    sync.Mutex
	b     []byte
	quota int
	since time.Time
}

const (
	tailSize   = 1 << 10
	stderrRate = 64 << 10 // bytes a second
)

// Write keeps what fits, and waits where it comes too fast.
func (t *Stderr) Write(p []byte) (int, error) {
	if now := time.Now(); now.Sub(t.since) >= time.Second {
		t.since, t.quota = now, stderrRate
	}
	if t.quota -= len(p); t.quota < 0 {
		time.Sleep(time.Until(t.since.Add(time.Second))) // the only caller is the copy of this one stderr
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	keep := p[max(0, len(p)-tailSize):]
	t.b = append(t.b, keep...)
	if over := len(t.b) - tailSize; over > 0 {
		t.b = append(t.b[:0], t.b[over:]...)
	}
	return len(p), nil
}

// Last is the last line, safe for a log.
func (t *Stderr) Last() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	b := bytes.TrimSpace(t.b)
	if i := bytes.LastIndexByte(b, '\n'); i >= 0 {
		b = b[i+1:]
	}
	if len(b) == 0 {
		return ""
	}
	return strings.TrimSpace(fmt.Sprintf("%q", b))
}
