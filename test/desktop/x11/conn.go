// Package x11 speaks the X protocol as far as tests of a desktop program need
// it: windows and who has the focus, keys and pointer, and what is to be seen.
//
// It guarantees that no call waits longer than ten seconds, that what the
// server sends is bounded, and that events are kept until they are read, in
// order. Requests that have no answer are not waited for, and what is wrong
// with them is not told: a window may have gone meanwhile. [Conn.Sync] waits.
package x11

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

const (
	callLimit  = 10 * time.Second
	maxReply   = 256 << 20 // an image of the largest screen that makes sense
	cookieName = "MIT-MAGIC-COOKIE-1"
)

var order = binary.LittleEndian

// ErrClosed is what a call on a connection says that is over.
var ErrClosed = errors.New("the connection to the X server is closed")

// Window is a window's number; 0 is none.
type Window uint32

// Atom is the number of a name.
type Atom uint32

// Conn is a connection to an X server. Its methods may be called from several
// goroutines.
type Conn struct {
	// Root is the window that is the screen.
	Root          Window
	Width, Height int // of the screen

	conn    net.Conn
	base    uint32 // of this client's window numbers
	minCode byte
	maxCode byte

	mu      sync.Mutex // also of writing
	sent    uint16     // sequence number of the last request
	pending map[uint16]chan answer
	atoms   map[string]Atom
	windows uint32
	xtest   byte // opcode, 0 where it is not known yet
	closed  bool

	events  []Event
	arrived *sync.Cond // of events, with mu

	keys keyboard
}

type answer struct {
	reply []byte
	err   error
}

// Error is what the server says of a wrong request.
type Error struct {
	Code, Request byte
	Value         uint32
}

func (e Error) Error() string {
	return fmt.Sprintf("the X server refused request %d: error %d, value %#x", e.Request, e.Code, e.Value)
}

// Dial connects to the display of that number, with its cookie.
func Dial(display int, cookie []byte) (*Conn, error) {
	conn, err := net.Dial("unix", fmt.Sprintf("/tmp/.X11-unix/X%d", display))
	if err != nil {
		return nil, err
	}
	c := &Conn{conn: conn, pending: map[uint16]chan answer{}, atoms: map[string]Atom{}}
	c.arrived = sync.NewCond(&c.mu)
	if err := c.greet(cookie); err != nil {
		conn.Close()
		return nil, fmt.Errorf("connect to display :%d: %w", display, err)
	}
	go c.read()
	return c, nil
}

func (c *Conn) greet(cookie []byte) error {
	if err := c.conn.SetDeadline(time.Now().Add(callLimit)); err != nil {
		return err
	}
	hello := []byte{'l', 0, 11, 0, 0, 0}
	hello = order.AppendUint16(hello, uint16(len(cookieName)))
	hello = order.AppendUint16(hello, uint16(len(cookie)))
	hello = append(hello, 0, 0)
	hello = padded(append(padded(append(hello, cookieName...)), cookie...))
	if _, err := c.conn.Write(hello); err != nil {
		return err
	}
	var head [8]byte
	if _, err := io.ReadFull(c.conn, head[:]); err != nil {
		return err
	}
	body := make([]byte, 4*int(order.Uint16(head[6:])))
	if _, err := io.ReadFull(c.conn, body); err != nil {
		return err
	}
	if head[0] != 1 {
		return fmt.Errorf("the X server refused: %q", body[:min(int(head[1]), len(body))])
	}
	if err := c.describe(body); err != nil {
		return err
	}
	return c.conn.SetDeadline(time.Time{})
}

// describe reads what the server says of itself and its first screen.
func (c *Conn) describe(b []byte) error {
	short := errors.New("the X server's greeting is too short")
	if len(b) < 32 {
		return short
	}
	screen := 32 + len(padded(make([]byte, order.Uint16(b[16:])))) + 8*int(b[21])
	if len(b) < screen+40 {
		return short
	}
	c.base = order.Uint32(b[4:])
	c.minCode, c.maxCode = b[26], b[27]
	c.Root = Window(order.Uint32(b[screen:]))
	c.Width, c.Height = int(order.Uint16(b[screen+20:])), int(order.Uint16(b[screen+22:]))
	return nil
}

// Close ends the connection; whoever waits for an event is told.
func (c *Conn) Close() error { return c.conn.Close() }

// read hands out what the server sends, until there is no more.
func (c *Conn) read() {
	for {
		b, err := c.packet()
		c.mu.Lock()
		if err != nil {
			c.closed = true
			for seq, ch := range c.pending {
				ch <- answer{err: ErrClosed}
				delete(c.pending, seq)
			}
			c.arrived.Broadcast()
			c.mu.Unlock()
			return
		}
		switch b[0] {
		case 0, 1:
			c.deliver(b)
		default:
			c.events = append(c.events, event(b))
			c.arrived.Signal()
		}
		c.mu.Unlock()
	}
}

func (c *Conn) packet() ([]byte, error) {
	b := make([]byte, 32)
	if _, err := io.ReadFull(c.conn, b); err != nil {
		return nil, err
	}
	const generic = 35
	if b[0] != 1 && b[0]&0x7f != generic {
		return b, nil
	}
	more := 4 * uint64(order.Uint32(b[4:]))
	if more > maxReply {
		return nil, fmt.Errorf("the X server sends %d bytes at once", more)
	}
	b = append(b, make([]byte, more)...)
	_, err := io.ReadFull(c.conn, b[32:])
	return b, err
}

// deliver gives a reply or an error to who waits for it, under mu.
func (c *Conn) deliver(b []byte) {
	seq := order.Uint16(b[2:])
	ch, ok := c.pending[seq]
	if !ok {
		return
	}
	delete(c.pending, seq)
	if b[0] == 0 {
		ch <- answer{err: Error{Code: b[1], Request: b[10], Value: order.Uint32(b[4:])}}
		return
	}
	ch <- answer{reply: b}
}

// request is a request's bytes: data is its second byte, the rest follows in
// words, and then in bytes that are filled up to the next word.
func request(opcode, data byte, words []uint32, tail []byte) []byte {
	b := []byte{opcode, data, 0, 0}
	for _, w := range words {
		b = order.AppendUint32(b, w)
	}
	b = padded(append(b, tail...))
	order.PutUint16(b[2:], uint16(len(b)/4))
	return b
}

func padded(b []byte) []byte {
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

// pair is a word of two halves.
func pair(low, high uint16) uint32 { return uint32(low) | uint32(high)<<16 }

// send sends a request that has no answer.
func (c *Conn) send(opcode, data byte, words ...uint32) error {
	return c.write(request(opcode, data, words, nil), nil)
}

// call sends a request and waits for its answer, which has 32 bytes at least.
func (c *Conn) call(opcode, data byte, words ...uint32) ([]byte, error) {
	return c.ask(request(opcode, data, words, nil))
}

func (c *Conn) ask(b []byte) ([]byte, error) {
	ch := make(chan answer, 1)
	if err := c.write(b, ch); err != nil {
		return nil, err
	}
	return await(ch)
}

// check sends a request that has no answer, and waits for the server's word
// that nothing was wrong with it.
func (c *Conn) check(opcode, data byte, words ...uint32) error {
	ch := make(chan answer, 1)
	if err := c.write(request(opcode, data, words, nil), ch); err != nil {
		return err
	}
	if err := c.Sync(); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case a := <-ch:
		return a.err
	default:
		for seq, other := range c.pending {
			if other == ch {
				delete(c.pending, seq)
			}
		}
		return nil
	}
}

func (c *Conn) write(b []byte, answered chan answer) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return ErrClosed
	}
	c.sent++
	if answered != nil {
		c.pending[c.sent] = answered
	}
	if err := c.conn.SetWriteDeadline(time.Now().Add(callLimit)); err != nil {
		return err
	}
	_, err := c.conn.Write(b)
	return err
}

func await(ch chan answer) ([]byte, error) {
	late := time.NewTimer(callLimit)
	defer late.Stop()
	select {
	case a := <-ch:
		return a.reply, a.err
	case <-late.C:
		return nil, fmt.Errorf("no answer from the X server within %v", callLimit)
	}
}
