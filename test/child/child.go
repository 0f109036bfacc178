// Package child starts programs for tests, as processes that end with the test.
//
// It guarantees that a child does not outlive this process, however this one
// ends, and that [Child.End] leaves nobody of its process group.
package child

import (
	"bytes"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// Child is a process that was started.
type Child struct {
	cmd   *exec.Cmd
	ended chan struct{} // closed once it is gone and collected
	err   error         // how; after ended
}

// Start starts cmd in a process group of its own. If this process ends first
// the child is killed, or gets the signal that cmd says.
func Start(cmd *exec.Cmd) (*Child, error) {
	c := &Child{cmd: cmd, ended: make(chan struct{})}
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	if cmd.SysProcAttr.Pdeathsig == 0 {
		cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	}
	cmd.SysProcAttr.Setpgid = true
	started := make(chan error)
	go c.live(started)
	if err := <-started; err != nil {
		return nil, err
	}
	return c, nil
}

// live starts the process and collects it when it ends, both in one thread that
// lives as long: the kernel counts the end of the starting thread as the
// parent's death.
func (c *Child) live(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(c.ended)
	err := c.cmd.Start()
	started <- err
	if err == nil {
		c.err = c.cmd.Wait()
	}
}

// Pid is the number of the process, which may have ended.
func (c *Child) Pid() int { return c.cmd.Process.Pid }

// Ended is closed once the process is gone and collected.
func (c *Child) Ended() <-chan struct{} { return c.ended }

// Err is how the process ended; it waits for that.
func (c *Child) Err() error {
	<-c.ended
	return c.err
}

// Over reports whether the process is gone.
func (c *Child) Over() bool {
	select {
	case <-c.ended:
		return true
	default:
		return false
	}
}

// Signal sends the process a signal; it is an error that it has ended.
func (c *Child) Signal(s os.Signal) error { return c.cmd.Process.Signal(s) }

// End asks the process to end and, where it does not within that time, makes
// it; what it started and left in its group is killed. It may be called again.
func (c *Child) End(within time.Duration) {
	if !c.Over() {
		_ = c.Signal(syscall.SIGTERM) // it may have ended meanwhile
		select {
		case <-c.ended:
		case <-time.After(within):
		}
	}
	// It led the group: members keep the number from being given to others, and
	// without members this reaches nobody.
	_ = syscall.Kill(-c.Pid(), syscall.SIGKILL)
	<-c.ended
}

// Output collects what a program prints, for reading while it runs.
type Output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write takes all that is printed.
func (o *Output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

// String is what was printed so far.
func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}
