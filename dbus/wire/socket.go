package wire

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"time"

	godbus "github.com/godbus/dbus/v5"
	"golang.org/x/sys/unix"
)

// socket is the bus's socket as godbus sees it: a stream without descriptors.
// godbus reads from one goroutine, which also calls intercept for a message
// right after it has read it, so that what is noted of the newest message
// belongs to the one that is intercepted.
type socket struct {
	conn     *net.UnixConn
	incoming func(*godbus.Message) bool
	patience time.Duration // WriteWait, but in tests
	begun    bool          // the authentication is over; set before godbus reads messages

	ready  []byte // of a message, not read by godbus yet
	fds    []int  // that came with the newest message and are nobody's yet
	cut    bool   // descriptors of it were lost, because we have too many open
	reason string // the newest message is what is left of one, because of this
	oob    [4096]byte
}

var begin = []byte("BEGIN\r\n")

// Write sends; godbus writes each message in one piece. What was sent in part
// could only be followed by nonsense, so that any failure ends the connection.
func (s *socket) Write(b []byte) (int, error) {
	if !s.begun && bytes.Equal(b, begin) {
		if err := s.negotiate(); err != nil {
			return 0, err
		}
		s.begun = true
	}
	if err := s.conn.SetWriteDeadline(time.Now().Add(s.patience)); err != nil {
		return 0, err
	}
	n, err := s.conn.Write(b)
	if err != nil {
		_ = s.conn.Close()
	}
	return n, err
}

// negotiate asks the bus for descriptors, which godbus does for sockets of its
// own alone.
func (s *socket) negotiate() error {
	if s.incoming == nil {
		return nil
	}
	if _, err := s.conn.Write([]byte("NEGOTIATE_UNIX_FD\r\n")); err != nil {
		return err
	}
	var line []byte
	for !bytes.HasSuffix(line, []byte("\r\n")) {
		var b [1]byte // the next line is not ours
		if _, err := io.ReadFull(s.conn, b[:]); err != nil {
			return err
		}
		if line = append(line, b[0]); len(line) > 256 {
			return errors.New("the bus does not say whether it passes file descriptors")
		}
	}
	return nil // without them, methods that take one say so
}

// Read gives godbus one message after the other, whole.
func (s *socket) Read(b []byte) (int, error) {
	if !s.begun {
		return s.conn.Read(b)
	}
	for len(s.ready) == 0 {
		s.drop()
		if err := s.next(); err != nil {
			s.drop()
			return 0, err
		}
	}
	n := copy(b, s.ready)
	s.ready = s.ready[n:]
	return n, nil
}

// Close ends the connection.
func (s *socket) Close() error { return s.conn.Close() }

// drop closes the descriptors that nobody took.
func (s *socket) drop() {
	for _, fd := range s.fds {
		if fd >= 0 {
			_ = unix.Close(fd)
		}
	}
	s.fds, s.cut, s.reason = s.fds[:0], false, ""
}

// next reads one message, and leaves in ready what of it godbus may see.
func (s *socket) next() error {
	var start [fixed]byte
	if _, err := io.ReadFull(half{s}, start[:]); err != nil {
		return err
	}
	f, err := frameOf(start)
	if err != nil {
		return err // the bus itself makes this part
	}
	if f.size() > MaxMessage {
		return s.tooLarge(f)
	}
	whole := make([]byte, f.size())
	copy(whole, start[:])
	if _, err := io.ReadFull(half{s}, whole[fixed:]); err != nil {
		return err
	}
	if s.cut {
		s.reason = "dom0 has too many files open to take the file descriptors"
	} else if err := decodes(whole); err != nil {
		s.reason = "the message cannot be read: " + err.Error()
	} else {
		s.ready = whole
		return nil
	}
	s.ready = f.rest(bytes.NewReader(whole[fixed:]))
	return nil
}

// tooLarge passes over a message, but for what an answer needs.
func (s *socket) tooLarge(f frame) error {
	all := &io.LimitedReader{R: half{s}, N: int64(f.size()) - fixed}
	ready := f.rest(io.LimitReader(all, int64(f.header)))
	if _, err := io.Copy(io.Discard, all); err != nil {
		return err
	}
	if all.N > 0 {
		return io.ErrUnexpectedEOF
	}
	s.ready, s.reason = ready, fmt.Sprintf("a message of %d bytes; %d are the most", f.size(), MaxMessage)
	return nil
}

// decodes reports what godbus would fail with.
func decodes(message []byte) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%v", r)
		}
	}()
	_, err = godbus.DecodeMessage(bytes.NewReader(message))
	return err
}

// half is the reading half of the socket, with descriptors. No more is read
// than the newest message has, so that they are known to belong to it.
type half struct{ s *socket }

func (h half) Read(b []byte) (int, error) {
	s := h.s
	n, oobn, flags, _, err := s.conn.ReadMsgUnix(b, s.oob[:])
	if flags&syscall.MSG_CTRUNC != 0 {
		s.cut = true
	}
	if oobn > 0 {
		messages, bad := syscall.ParseSocketControlMessage(s.oob[:oobn])
		for i := range messages {
			if fds, other := syscall.ParseUnixRights(&messages[i]); other == nil {
				s.fds = append(s.fds, fds...)
			}
		}
		err = errors.Join(err, bad)
	}
	if n == 0 && err == nil && len(b) > 0 {
		err = io.EOF
	}
	return n, err
}

// intercept is called by godbus with each message that it has read.
func (s *socket) intercept(msg *godbus.Message) {
	if s.reason != "" {
		msg.Headers[refusedField] = godbus.MakeVariant(s.reason)
	}
	wanted := s.incoming != nil && s.incoming(msg) && msg.Type == godbus.TypeMethodCall
	for i, v := range msg.Body {
		index, ok := v.(godbus.UnixFDIndex)
		if !ok || !wanted {
			continue
		}
		fd := -1
		if int64(index) < int64(len(s.fds)) {
			fd, s.fds[index] = s.fds[index], -1
		}
		msg.Body[i] = godbus.UnixFD(fd)
	}
	s.drop()
}
