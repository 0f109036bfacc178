package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"time"

	godbus "github.com/godbus/dbus/v5"
	"golang.org/x/sys/unix"
)

// socket is the bus's socket as godbus sees it: a stream without descriptors.
// godbus reads from one goroutine, which also calls intercept for a message
// right after it has read it, so that what is noted of the newest message
// belongs to the one that is intercepted.
type socket struct {
	Options
	conn     *net.UnixConn
	patience time.Duration // WriteWait, but in tests
	begun    bool          // the authentication is over; set before godbus reads messages
	rights   sync.Map      // of messages' serials: what goes with them

	ready  []byte // of a message, not read by godbus yet
	fds    []int  // that came with the newest message and are nobody's yet
	cut    bool   // descriptors of it were lost, because we have too many open
	reason string // the newest message is what is left of one, because of this
	oob    [4096]byte
}

const (
	begin = "BEGIN\r\n"
	agree = "AGREE_UNIX_FD\r\n"
)

// Write sends; godbus writes each message in one piece. What was sent in part
// could only be followed by nonsense, so that any failure ends the connection.
func (s *socket) Write(b []byte) (n int, err error) {
	if !s.begun && string(b) == begin {
		if err := s.negotiate(); err != nil {
			return 0, err
		}
		s.begun = true
	}
	err = s.conn.SetWriteDeadline(time.Now().Add(s.patience))
	if err == nil && s.begun && len(b) >= fixed {
		if rights, ok := s.rights.LoadAndDelete(binary.NativeEndian.Uint32(b[8:])); ok {
			n, _, err = s.conn.WriteMsgUnix(b, rights.([]byte), nil)
		}
	}
	if err == nil && n < len(b) {
		more := 0
		more, err = s.conn.Write(b[n:])
		n += more
	}
	if err != nil {
		_ = s.conn.Close()
	}
	return n, err
}

// negotiate asks the bus for descriptors, which godbus does for sockets of its
// own alone.
func (s *socket) negotiate() error {
	if s.Incoming == nil && !s.SendsFiles {
		return nil
	}
	answer := make([]byte, len(agree)) // the next byte is not ours
	_, err := s.conn.Write([]byte("NEGOTIATE_UNIX_FD\r\n"))
	if err == nil {
		_, err = io.ReadFull(s.conn, answer)
	}
	if err == nil && string(answer) != agree {
		err = errors.New("the bus passes no file descriptors")
	}
	return err
}

// attach is called by godbus with each message that is to be sent, from
// whichever goroutine that is. godbus sends no descriptors by this socket: it
// gets their places in the list that Write finds by the message's serial.
func (s *socket) attach(msg *godbus.Message) {
	var files []int
	body := slices.Clone(msg.Body) // the caller's own
	for i, v := range body {
		if fd, ok := v.(godbus.UnixFD); ok {
			body[i] = godbus.UnixFDIndex(len(files))
			files = append(files, int(fd))
		}
	}
	if len(files) == 0 || !s.SendsFiles {
		return
	}
	msg.Body = body
	msg.Headers[godbus.FieldUnixFDs] = godbus.MakeVariant(uint32(len(files)))
	// Nothing may stay noted of a message that godbus refuses and never writes:
	// its numbers can be other files by then.
	if n, err := msg.CountFds(); n == 0 && err == nil && msg.IsValid() == nil {
		s.rights.Store(msg.Serial(), unix.UnixRights(files...))
	}
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
	most := MaxMessage
	if godbus.Type(f.kind) == godbus.TypeMethodReply {
		most = max(most, s.MaxAnswer)
	}
	keep := f.size()
	if keep > most {
		keep = min(f.head(), most)
	}
	b := make([]byte, keep)
	copy(b, start[:])
	if _, err = io.ReadFull(half{s}, b[fixed:]); err == nil {
		_, err = io.CopyN(io.Discard, half{s}, int64(f.size()-keep))
	}
	if err != nil {
		return err
	}
	if keep < f.size() {
		s.reason = fmt.Sprintf("a message of %d bytes; %d are the most", f.size(), most)
	} else if s.cut {
		s.reason = "this program has too many files open to take the file descriptors"
	} else if _, err := decode(b); err != nil {
		s.reason = "the message cannot be read: " + err.Error()
	}
	if s.ready = b; s.reason != "" {
		s.ready = f.rest(b)
	}
	return nil
}

// half is the reading half of the socket, with descriptors. No more is read
// than the newest message has, so that they are known to belong to it.
type half struct{ s *socket }

func (h half) Read(b []byte) (int, error) {
	s := h.s
	n, oobn, flags, _, err := s.conn.ReadMsgUnix(b, s.oob[:])
	s.cut = s.cut || flags&unix.MSG_CTRUNC != 0
	messages, bad := unix.ParseSocketControlMessage(s.oob[:oobn])
	for i := range messages {
		if fds, other := unix.ParseUnixRights(&messages[i]); other == nil {
			s.fds = append(s.fds, fds...)
		}
	}
	if err = errors.Join(err, bad); err == nil && n == 0 && len(b) > 0 {
		err = io.EOF
	}
	return n, err
}

// intercept is called by godbus with each message that it has read.
func (s *socket) intercept(msg *godbus.Message) {
	if s.reason != "" {
		msg.Headers[refusedField] = godbus.MakeVariant(s.reason)
	}
	wanted := s.Incoming != nil && s.Incoming(msg) && msg.Type == godbus.TypeMethodCall
	for i, v := range msg.Body {
		if index, ok := v.(godbus.UnixFDIndex); ok && wanted {
			fd := -1
			if int64(index) < int64(len(s.fds)) {
				fd, s.fds[index] = s.fds[index], -1
			}
			msg.Body[i] = godbus.UnixFD(fd)
		}
	}
	s.drop()
}
