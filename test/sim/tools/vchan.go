package tools

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"qvmremote/test/sim/guest"
)

// chunk is the most that passes at once, as in protocol version 3.
const chunk = 64 << 10

// vchan is the data connection of one call, with what the knobs do to it.
type vchan struct {
	copies sync.WaitGroup // stdout and stderr

	mu      sync.Mutex
	passed  int64 // bytes from the qube
	stallAt int64
	loseAt  int64
	stalls  bool
	loses   bool

	once    sync.Once
	stalled chan struct{} // closed: nothing passes any more
	lost    chan struct{} // closed: the connection is gone
}

// toQube types the prefix and passes stdin on until it ends; that end reaches
// the process in the qube.
func (v *vchan) toQube(to *net.UnixConn, from *os.File, prefix string) {
	_, err := io.WriteString(to, prefix)
	buf := make([]byte, chunk)
	for err == nil {
		var n int
		n, err = from.Read(buf)
		if v.isStalled() {
			return
		}
		if n > 0 {
			if _, e := to.Write(buf[:n]); e != nil {
				return
			}
		}
	}
	if errors.Is(err, io.EOF) {
		to.CloseWrite()
	}
}

// fromQube passes stdout or stderr of the process on. If dom0 does not want
// them any more, the process is told so in the way of a broken pipe; if the
// process closes its stdout, so is ours.
func (v *vchan) fromQube(to *os.File, from *net.UnixConn, filter bool) {
	defer v.copies.Done()
	if to != os.Stderr {
		defer to.Close()
	}
	defer from.Close()
	buf := make([]byte, chunk)
	for {
		n, err := from.Read(buf)
		pass := v.admit(n)
		if filter {
			clean(buf[:pass])
		}
		if pass > 0 {
			if _, e := to.Write(buf[:pass]); e != nil {
				return
			}
		}
		if pass < n && v.loses {
			v.once.Do(func() { close(v.lost) })
			return
		}
		if pass < n {
			v.once.Do(func() { close(v.stalled) })
			select {}
		}
		if err != nil {
			return
		}
	}
}

// admit says how many of n more bytes from the qube may pass.
func (v *vchan) admit(n int) int {
	v.mu.Lock()
	defer v.mu.Unlock()
	left := int64(n)
	if v.stalls {
		left = min(left, v.stallAt-v.passed)
	}
	if v.loses {
		left = min(left, v.loseAt-v.passed)
	}
	v.passed += left
	return int(left)
}

func (v *vchan) isStalled() bool {
	select {
	case <-v.stalled:
		return true
	default:
		return false
	}
}

// clean replaces what could steer a terminal, as qrexec-client -t does.
func clean(b []byte) {
	for i, c := range b {
		switch {
		case c >= ' ' && c <= '~', c == '\t', c == '\n', c == '\r', c == '\b', c == '\a':
		default:
			b[i] = '_'
		}
	}
}

// finish waits for the end of the call and returns its exit code: that of the
// process, or 255 when the qube or the connection went away before.
func (v *vchan) finish(conn *net.UnixConn) int {
	copied := make(chan struct{})
	go func() {
		v.copies.Wait()
		close(copied)
	}()
	ended := make(chan int, 1)
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		var r guest.Reply
		if _, err := guest.Receive(conn, &r); err == nil && r.Ended {
			ended <- r.Code & 0xff
			io.Copy(io.Discard, conn)
		}
	}()
	for {
		select {
		case <-v.lost:
			return 255
		case <-gone:
			select {
			case <-copied: // what had been sent has arrived
			case <-v.stalled:
			case <-v.lost:
			}
			return 255
		case <-copied:
			select {
			case code := <-ended:
				return code
			case <-gone:
				return 255
			case <-v.lost:
				return 255
			}
		}
	}
}

// swallow takes what is left of the caller's stdin at the end of a call, as
// far as it is already there: a qvm-run in a shell loop eats the loop's input.
func swallow(in *os.File) {
	buf := make([]byte, chunk)
	for range 16 {
		ready := []unix.PollFd{{Fd: int32(in.Fd()), Events: unix.POLLIN}}
		if n, err := unix.Poll(ready, 0); err != nil || n == 0 || ready[0].Revents&unix.POLLIN == 0 {
			return
		}
		if n, err := unix.Read(int(in.Fd()), buf); err != nil || n <= 0 {
			return
		}
	}
}
