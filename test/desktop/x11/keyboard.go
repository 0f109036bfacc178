package x11

import (
	"errors"
	"fmt"
	"sync"
)

// Keysym is what a key means: a character, or one of the names below.
type Keysym uint32

// Keys that are held while others are pressed.
const (
	Shift   Keysym = 0xffe1
	Control Keysym = 0xffe3
	Alt     Keysym = 0xffe9
)

// SymOf is the meaning of a key that types r.
func SymOf(r rune) Keysym {
	switch {
	case r == '\n':
		return 0xff0d
	case r == '\t':
		return 0xff09
	case r >= 0x20 && r <= 0x7e, r >= 0xa0 && r <= 0xff:
		return Keysym(r)
	}
	return 0x01000000 | Keysym(r)
}

// keyboard is what the keys mean: each has a row of meanings, without and with
// Shift held.
type keyboard struct {
	mu   sync.Mutex
	per  int
	rows []uint32 // nil where they were not read yet
}

// stroke is the key to press for a meaning.
type stroke struct {
	code  byte
	shift bool
}

// Press presses the key of that meaning and lets it go, while others are held.
// Where no key has the meaning one is given it.
func (c *Conn) Press(sym Keysym, held ...Keysym) error {
	s, err := c.find(sym)
	if err != nil {
		return err
	}
	if s.shift {
		held = append([]Keysym{Shift}, held...)
	}
	var codes []byte
	for _, h := range held {
		k, err := c.find(h)
		if err != nil {
			return err
		}
		codes = append(codes, k.code)
	}
	codes = append(codes, s.code)
	const keyPress, keyRelease = 2, 3
	for _, code := range codes {
		if err := c.fake(keyPress, code, 0, 0); err != nil {
			return err
		}
	}
	for i := len(codes) - 1; i >= 0; i-- {
		if err := c.fake(keyRelease, codes[i], 0, 0); err != nil {
			return err
		}
	}
	return c.Sync()
}

// Hold presses the key of that meaning and does not let it go, or lets it go. To
// hold what is held already is what a keyboard does that repeats it.
func (c *Conn) Hold(sym Keysym, down bool) error {
	s, err := c.find(sym)
	if err != nil {
		return err
	}
	kind := byte(3)
	if down {
		kind = 2
	}
	if err := c.fake(kind, s.code, 0, 0); err != nil {
		return err
	}
	return c.Sync()
}

// Point moves the pointer to a place on the screen.
func (c *Conn) Point(x, y int) error {
	const motion, absolute = 6, 0
	if err := c.fake(motion, absolute, x, y); err != nil {
		return err
	}
	return c.Sync()
}

// Click presses a button of the pointer: 1 is the left one, 4 and 5 turn the
// wheel up and down.
func (c *Conn) Click(button byte) error {
	const buttonPress, buttonRelease = 4, 5
	if err := c.fake(buttonPress, button, 0, 0); err != nil {
		return err
	}
	if err := c.fake(buttonRelease, button, 0, 0); err != nil {
		return err
	}
	return c.Sync()
}

// fake has the server believe that a key or the pointer did something.
func (c *Conn) fake(kind, detail byte, x, y int) error {
	c.mu.Lock()
	op := c.xtest
	c.mu.Unlock()
	if op == 0 {
		var err error
		if op, err = c.extension("XTEST"); err != nil {
			return err
		}
		c.mu.Lock()
		c.xtest = op
		c.mu.Unlock()
	}
	const fakeInput = 2
	return c.send(op, fakeInput, pair(uint16(kind)|uint16(detail)<<8, 0), 0, uint32(c.Root), 0, 0,
		pair(uint16(int16(x)), uint16(int16(y))), 0, 0)
}

func (c *Conn) find(sym Keysym) (stroke, error) {
	k := &c.keys
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.rows == nil {
		if err := c.readKeyboard(); err != nil {
			return stroke{}, err
		}
	}
	free := -1
	for i := 0; i < len(k.rows); i += k.per {
		row := k.rows[i : i+k.per]
		code := c.minCode + byte(i/k.per)
		switch {
		case row[0] == uint32(sym):
			return stroke{code: code}, nil
		case k.per > 1 && row[1] == uint32(sym):
			return stroke{code: code, shift: true}, nil
		case free < 0 && row[0] == 0:
			free = i
		}
	}
	if free < 0 {
		return stroke{}, fmt.Errorf("no key is left for %#x", uint32(sym))
	}
	return c.assign(free, sym)
}

func (c *Conn) readKeyboard() error {
	k := &c.keys
	count := int(c.maxCode) - int(c.minCode) + 1
	b, err := c.call(getKeyboard, 0, pair(uint16(c.minCode)|uint16(count)<<8, 0))
	if err != nil {
		return fmt.Errorf("ask for the keyboard: %w", err)
	}
	k.per = int(b[1])
	if k.per == 0 || len(b) < 32+4*k.per*count {
		return errors.New("the X server has no keyboard")
	}
	k.rows = make([]uint32, k.per*count)
	for i := range k.rows {
		k.rows[i] = order.Uint32(b[32+4*i:])
	}
	return nil
}

// assign gives the key whose row begins at i a meaning, with Shift held or not.
// It keeps it: programs read the keyboard when it has changed, which is later
// than they read the keys.
func (c *Conn) assign(i int, sym Keysym) (stroke, error) {
	k := &c.keys
	for j := range k.per {
		k.rows[i+j] = 0
		if j < 2 {
			k.rows[i+j] = uint32(sym)
		}
	}
	code := c.minCode + byte(i/k.per)
	words := append([]uint32{pair(uint16(code)|uint16(k.per)<<8, 0)}, k.rows[i:i+k.per]...)
	return stroke{code: code}, c.check(changeKeyboard, 1, words...)
}
