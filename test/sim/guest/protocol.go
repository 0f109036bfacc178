// Package guest is the inside of a simulated qube: its first process, which
// stands for kernel, qrexec agent and login, and the way dom0 reaches it.
//
// It guarantees that what runs in a qube has its own home, sees neither dom0's
// files nor another qube's (where the machine allows namespaces), lives on when
// the caller in dom0 dies, and ends with the qube.
package guest

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// Request asks a qube to start one process.
type Request struct {
	Service  string   `json:",omitempty"` // qrexec service with its argument
	Command  string   `json:",omitempty"` // shell command, when there is no service
	Terminal []string `json:",omitempty"` // argv for the caller's own descriptors, when neither
	User     string   `json:",omitempty"` // account; empty for the qube's default
	Env      []string `json:",omitempty"`

	Noise     []byte `json:",omitempty"` // world.Noise
	Flood     string `json:",omitempty"` // world.Flood
	Hang      bool   `json:",omitempty"` // world.Hang
	ExecLimit int64  `json:",omitempty"` // world.ExecLimit, -1 for none
}

// Reply answers a Request: first either a refusal or, for all but Terminal,
// the dom0 ends of stdin, stdout and stderr; later the end of the process.
type Reply struct {
	Ended   bool   `json:",omitempty"`
	Code    int    `json:",omitempty"` // of a refusal or an end
	Problem string `json:",omitempty"` // why it was refused
}

const maxMessage = 1 << 20

// Send writes one message, with descriptors to go along.
func Send(c *net.UnixConn, v any, files ...*os.File) error {
	body, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("qrexec: %w", err)
	}
	if len(body) > maxMessage {
		return fmt.Errorf("qrexec: message of %d bytes is too long", len(body))
	}
	var rights []byte
	if len(files) > 0 {
		fds := make([]int, len(files))
		for i, f := range files {
			fds[i] = int(f.Fd())
		}
		rights = unix.UnixRights(fds...)
	}
	head := binary.BigEndian.AppendUint32(nil, uint32(len(body)))
	if _, _, err := c.WriteMsgUnix(head, rights, nil); err != nil {
		return fmt.Errorf("qrexec: %w", err)
	}
	if _, err := c.Write(body); err != nil {
		return fmt.Errorf("qrexec: %w", err)
	}
	return nil
}

// Receive reads one message and the descriptors that came along; the caller
// owns them, also after an error.
func Receive(c *net.UnixConn, v any) ([]*os.File, error) {
	head, oob := make([]byte, 4), make([]byte, unix.CmsgSpace(3*4))
	n, oobn, _, _, err := c.ReadMsgUnix(head, oob)
	if err == nil && n == 0 {
		err = io.EOF
	}
	if err != nil {
		return nil, err
	}
	files := parseRights(oob[:oobn])
	if _, err := io.ReadFull(c, head[n:]); err != nil {
		return files, err
	}
	size := binary.BigEndian.Uint32(head)
	if size > maxMessage {
		return files, errors.New("qrexec: message too long")
	}
	body := make([]byte, size)
	if _, err := io.ReadFull(c, body); err != nil {
		return files, err
	}
	return files, json.Unmarshal(body, v)
}

func parseRights(oob []byte) []*os.File {
	var files []*os.File
	messages, _ := unix.ParseSocketControlMessage(oob)
	for i := range messages {
		fds, _ := unix.ParseUnixRights(&messages[i])
		for _, fd := range fds {
			files = append(files, os.NewFile(uintptr(fd), "qrexec"))
		}
	}
	return files
}
