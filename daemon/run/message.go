package run

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"
)

// What supervisor and daemon say to each other, one datagram each. The daemon
// says go, once, and then closes its side when the command is to be stopped.
type kind byte

const (
	sayGo      kind = 'g' // start the shell
	sayBegan   kind = 'b' // the shell has begun
	sayFailed  kind = 'f' // it could not be started: the reason as text
	sayEnded   kind = 'x' // bash ended by itself: its wait status
	sayTimeout kind = 't' // the deadline passed first
	sayStopped kind = 's' // the daemon's side was closed, or a signal came
)

// maxMessage bounds a message, and so the text of sayFailed.
const maxMessage = 512

type message struct {
	kind   kind
	status unix.WaitStatus
	text   string
}

func (m message) encode() []byte {
	b := []byte{byte(m.kind)}
	switch m.kind {
	case sayEnded:
		b = binary.BigEndian.AppendUint32(b, uint32(m.status))
	case sayFailed:
		b = append(b, m.text...)
	}
	return b[:min(len(b), maxMessage)]
}

func parseMessage(b []byte) (message, error) {
	if len(b) == 0 || len(b) > maxMessage {
		return message{}, fmt.Errorf("message of %d bytes", len(b))
	}
	m, rest := message{kind: kind(b[0])}, b[1:]
	switch m.kind {
	case sayBegan, sayTimeout, sayStopped, sayGo:
		if len(rest) != 0 {
			return message{}, fmt.Errorf("message %q has %d bytes too many", m.kind, len(rest))
		}
	case sayFailed:
		m.text = string(rest)
	case sayEnded:
		if len(rest) != 4 {
			return message{}, fmt.Errorf("wait status of %d bytes", len(rest))
		}
		m.status = unix.WaitStatus(binary.BigEndian.Uint32(rest))
		if !m.status.Exited() && !m.status.Signaled() {
			return message{}, fmt.Errorf("wait status %#x is no end", uint32(m.status))
		}
	default:
		return message{}, fmt.Errorf("unknown message %q", m.kind)
	}
	return m, nil
}

// exitCode is the code a shell reports for the wait status of its child.
func exitCode(s unix.WaitStatus) int {
	if s.Signaled() {
		return 128 + int(s.Signal())
	}
	return s.ExitStatus()
}
