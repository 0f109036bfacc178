package queue

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Magic is the line with which an agent begins. dom0 drops what comes before
// it (a login shell's noise) and sends nothing until it has seen it.
const Magic = "qvm-remote-agent/2\n"

// A frame is `u32 n | u8 type | u32 tag | payload`, big endian, n = 5 +
// len(payload).
const (
	frameHead  = 5
	MaxPayload = 256 << 10
	// Chunk is how many bytes of a file one fetch or write carries at most;
	// the rest of a payload is room for the fields beside it.
	Chunk = MaxPayload - 1<<10
)

// FrameType says what a frame asks. The answer has [AnswerBit] set; 0xFF is
// an error in place of an answer.
type FrameType uint8

// The questions of dom0. The set is closed: any other type ends the connection.
const (
	FrameHello FrameType = iota + 1
	FrameWait
	FrameFetch
	FrameState
	FrameWrite
	FrameFinish
	FrameDeny
	FrameList
	FrameClean

	AnswerBit  FrameType = 0x80
	FrameError FrameType = 0xFF
)

// Question reports whether t is one of the questions above.
func (t FrameType) Question() bool { return t >= FrameHello && t <= FrameClean }

// ErrFrame says that the peer broke the frame rules; the connection must end.
var ErrFrame = errors.New("broken frame")

// Frame is one message. Tag joins an answer to its question.
type Frame struct {
	Type    FrameType
	Tag     uint32
	Payload []byte
}

// FrameHeadLen is how many bytes [FrameHead] needs.
const FrameHeadLen = 4 + frameHead

// FrameHead reads a frame's first [FrameHeadLen] bytes: the length of its
// payload as the peer claims it (may be negative or huge), its type and tag.
func FrameHead(b []byte) (payload int64, t FrameType, tag uint32) {
	return int64(binary.BigEndian.Uint32(b)) - frameHead, FrameType(b[4]), binary.BigEndian.Uint32(b[5:])
}

// ReadFrame reads one frame. It allocates nothing before the length was found
// to be within the limit. The error is [ErrFrame] for a bad length or type,
// io.EOF at a clean end, io.ErrUnexpectedEOF in the middle of a frame.
func ReadFrame(r *bufio.Reader) (Frame, error) {
	var head [4 + frameHead]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return Frame{}, err
	}
	n := binary.BigEndian.Uint32(head[:4])
	if n < frameHead || n > frameHead+MaxPayload {
		return Frame{}, fmt.Errorf("%w: length %d", ErrFrame, n)
	}
	f := Frame{Type: FrameType(head[4]), Tag: binary.BigEndian.Uint32(head[5:])}
	if f.Type != FrameError && !(f.Type &^ AnswerBit).Question() {
		return Frame{}, fmt.Errorf("%w: type %#x", ErrFrame, byte(f.Type))
	}
	if n == frameHead {
		return f, nil
	}
	f.Payload = make([]byte, n-frameHead)
	if _, err := io.ReadFull(r, f.Payload); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return Frame{}, err
	}
	return f, nil
}

// WriteFrame writes one frame in a single Write.
func WriteFrame(w io.Writer, f Frame) error {
	if len(f.Payload) > MaxPayload {
		return fmt.Errorf("%w: payload of %d bytes", ErrFrame, len(f.Payload))
	}
	b := make([]byte, 0, 4+frameHead+len(f.Payload))
	b = binary.BigEndian.AppendUint32(b, uint32(frameHead+len(f.Payload)))
	b = append(b, byte(f.Type))
	b = binary.BigEndian.AppendUint32(b, f.Tag)
	b = append(b, f.Payload...)
	_, err := w.Write(b)
	return err
}

// writer builds a payload: strings are `u32 | bytes`, numbers u64.
type writer struct{ b []byte }

func (w *writer) number(n int64) { w.b = binary.BigEndian.AppendUint64(w.b, uint64(n)) }

func (w *writer) bytes(p []byte) {
	w.b = binary.BigEndian.AppendUint32(w.b, uint32(len(p)))
	w.b = append(w.b, p...)
}

func (w *writer) text(s string) { w.bytes([]byte(s)) }

func (w *writer) texts(list []string) {
	w.number(int64(len(list)))
	for _, s := range list {
		w.text(s)
	}
}

// reader takes a payload apart. The first fault sticks.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) number() int64 {
	if len(r.b) < 8 {
		r.bad = true
		return 0
	}
	n := int64(binary.BigEndian.Uint64(r.b))
	r.b = r.b[8:]
	if n < 0 {
		r.bad = true
	}
	return n
}

// bytes returns a part of the payload, not a copy.
func (r *reader) bytes() []byte {
	if len(r.b) < 4 {
		r.bad = true
		return nil
	}
	n := binary.BigEndian.Uint32(r.b)
	r.b = r.b[4:]
	if uint64(n) > uint64(len(r.b)) {
		r.bad = true
		return nil
	}
	p := r.b[:n]
	r.b = r.b[n:]
	return p
}

func (r *reader) text(max int) string {
	p := r.bytes()
	if len(p) > max {
		r.bad = true
		return ""
	}
	return string(p)
}

// texts reads a list of at most MaxNames strings.
func (r *reader) texts(max int) []string {
	n := r.number()
	if r.bad || n > MaxNames {
		r.bad = true
		return nil
	}
	list := make([]string, 0, min(n, int64(len(r.b)/4)))
	for range n {
		if list = append(list, r.text(max)); r.bad {
			return nil
		}
	}
	return list
}

// end reports a fault, or bytes left over.
func (r *reader) end() error {
	if r.bad || len(r.b) != 0 {
		return fmt.Errorf("%w: payload", ErrFrame)
	}
	return nil
}
