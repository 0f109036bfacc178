package x11

import (
	"fmt"
	"image"
)

// The core protocol's requests that are used here.
const (
	createWindow      = 1
	changeAttributes  = 2
	getAttributes     = 3
	mapWindow         = 8
	configureWindow   = 12
	getGeometry       = 14
	queryTree         = 15
	internAtom        = 16
	changeProperty    = 18
	getProperty       = 20
	setSelectionOwner = 22
	sendEvent         = 25
	setInputFocus     = 42
	getInputFocus     = 43
	getImage          = 73
	queryExtension    = 98
	changeKeyboard    = 100
	getKeyboard       = 101
)

// What [Conn.Configure] changes.
const (
	ConfigureX      = 1 << 0
	ConfigureY      = 1 << 1
	ConfigureWidth  = 1 << 2
	ConfigureHeight = 1 << 3
	ConfigureStack  = 1 << 6
)

// maxProperty is how many words of a property are read.
const maxProperty = 1 << 14

// Sync waits until the server has done all that was sent before.
func (c *Conn) Sync() error {
	_, err := c.call(getInputFocus, 0)
	return err
}

// Atom is the number of a name, which is made where it is new.
func (c *Conn) Atom(name string) (Atom, error) {
	c.mu.Lock()
	a, ok := c.atoms[name]
	c.mu.Unlock()
	if ok {
		return a, nil
	}
	b, err := c.ask(request(internAtom, 0, []uint32{pair(uint16(len(name)), 0)}, []byte(name)))
	if err != nil {
		return 0, fmt.Errorf("name %s: %w", name, err)
	}
	a = Atom(order.Uint32(b[8:]))
	c.mu.Lock()
	c.atoms[name] = a
	c.mu.Unlock()
	return a, nil
}

// Manage makes this connection the screen's window manager: it is told of
// windows that want to be shown or moved, and does that in their place.
func (c *Conn) Manage() error {
	const eventMask, substructureNotify, substructureRedirect = 1 << 11, 1 << 19, 1 << 20
	return c.check(changeAttributes, 0, uint32(c.Root), eventMask, substructureNotify|substructureRedirect)
}

// Redirect has the server keep each window's picture whole, with its
// transparency, whatever lies over it; see [Conn.Image].
func (c *Conn) Redirect() error {
	op, err := c.extension("Composite")
	if err != nil {
		return err
	}
	const queryVersion, redirectSubwindows, automatic = 0, 2, 0
	if _, err := c.call(op, queryVersion, 0, 4); err != nil {
		return err
	}
	return c.check(op, redirectSubwindows, uint32(c.Root), automatic)
}

func (c *Conn) extension(name string) (byte, error) {
	b, err := c.ask(request(queryExtension, 0, []uint32{pair(uint16(len(name)), 0)}, []byte(name)))
	if err != nil {
		return 0, err
	}
	if b[8] == 0 {
		return 0, fmt.Errorf("the X server has no extension %s", name)
	}
	return b[9], nil
}

// NewWindow makes a window that is not shown.
func (c *Conn) NewWindow() (Window, error) {
	c.mu.Lock()
	c.windows++
	w := Window(c.base + c.windows)
	c.mu.Unlock()
	const inputOnly = 2
	return w, c.check(createWindow, 0, uint32(w), uint32(c.Root), 0, pair(1, 1), pair(0, inputOnly), 0, 0)
}

// OwnSelection makes w the owner of a selection.
func (c *Conn) OwnSelection(selection Atom, w Window) error {
	return c.check(setSelectionOwner, 0, uint32(w), uint32(selection), 0)
}

// SetWords sets a property to words of that type.
func (c *Conn) SetWords(w Window, property, kind Atom, words ...uint32) error {
	return c.send(changeProperty, 0, append([]uint32{uint32(w), uint32(property), uint32(kind), 32, uint32(len(words))}, words...)...)
}

// SetText sets a property to text of that type.
func (c *Conn) SetText(w Window, property, kind Atom, text string) error {
	return c.write(request(changeProperty, 0, []uint32{uint32(w), uint32(property), uint32(kind), 8, uint32(len(text))}, []byte(text)), nil)
}

// Words reads a property of words; it has none where it is not set.
func (c *Conn) Words(w Window, property Atom) ([]uint32, error) {
	b, err := c.call(getProperty, 0, uint32(w), uint32(property), 0, 0, maxProperty)
	if err != nil {
		return nil, err
	}
	n := int(order.Uint32(b[16:]))
	if b[1] != 32 || len(b) < 32+4*n {
		return nil, nil
	}
	words := make([]uint32, n)
	for i := range words {
		words[i] = order.Uint32(b[32+4*i:])
	}
	return words, nil
}

// Children are the windows directly below w, the lowest first.
func (c *Conn) Children(w Window) ([]Window, error) {
	b, err := c.call(queryTree, 0, uint32(w))
	if err != nil {
		return nil, err
	}
	n := int(order.Uint16(b[16:]))
	if len(b) < 32+4*n {
		return nil, fmt.Errorf("the X server lists %d windows and sends fewer", n)
	}
	list := make([]Window, n)
	for i := range list {
		list[i] = Window(order.Uint32(b[32+4*i:]))
	}
	return list, nil
}

// Place is where a window lies in the one above it.
func (c *Conn) Place(w Window) (image.Rectangle, error) {
	b, err := c.call(getGeometry, 0, uint32(w))
	if err != nil {
		return image.Rectangle{}, err
	}
	at := image.Pt(int(int16(order.Uint16(b[12:]))), int(int16(order.Uint16(b[14:]))))
	size := image.Pt(int(order.Uint16(b[16:])), int(order.Uint16(b[18:])))
	return image.Rectangle{Min: at, Max: at.Add(size)}, nil
}

// Visible reports whether a window is shown and has a picture.
func (c *Conn) Visible(w Window) (bool, error) {
	b, err := c.call(getAttributes, 0, uint32(w))
	if err != nil {
		return false, err
	}
	const inputOutput, viewable = 1, 2
	return order.Uint16(b[12:]) == inputOutput && b[26] == viewable, nil
}

// Map shows a window.
func (c *Conn) Map(w Window) error { return c.send(mapWindow, 0, uint32(w)) }

// Configure moves, sizes or raises a window: mask tells which values are given,
// in the order of its bits.
func (c *Conn) Configure(w Window, mask uint16, values ...uint32) error {
	return c.send(configureWindow, 0, append([]uint32{uint32(w), uint32(mask)}, values...)...)
}

// Raise puts a window above all others.
func (c *Conn) Raise(w Window) error {
	const above = 0
	return c.Configure(w, ConfigureStack, above)
}

// Focus has w get the keys; 0 has nobody get them.
func (c *Conn) Focus(w Window) error {
	const pointerRoot = 1
	return c.send(setInputFocus, pointerRoot, uint32(w), 0)
}

// Tell sends a window a message of its protocols or of a window manager's.
func (c *Conn) Tell(w Window, kind Atom, words ...uint32) error {
	const wordFormat = 32
	b := []byte{byte(ClientMessage), wordFormat, 0, 0}
	b = order.AppendUint32(b, uint32(w))
	b = order.AppendUint32(b, uint32(kind))
	for i := range 5 {
		v := uint32(0)
		if i < len(words) {
			v = words[i]
		}
		b = order.AppendUint32(b, v)
	}
	return c.write(request(sendEvent, 0, []uint32{uint32(w), 0}, b), nil)
}

// Image is what a window shows, with its transparency.
func (c *Conn) Image(w Window) (*image.RGBA, error) {
	place, err := c.Place(w)
	if err != nil {
		return nil, err
	}
	const zPixmap = 2
	b, err := c.call(getImage, zPixmap, uint32(w), 0, pair(uint16(place.Dx()), uint16(place.Dy())), ^uint32(0))
	if err != nil {
		return nil, err
	}
	m := image.NewRGBA(image.Rect(0, 0, place.Dx(), place.Dy()))
	if len(b) < 32+len(m.Pix) {
		return nil, fmt.Errorf("an image of %v in %d bytes: only depths of four bytes a pixel are known", place.Size(), len(b)-32)
	}
	opaque := b[1] != 32
	for i := 0; i < len(m.Pix); i += 4 {
		p := b[32+i:]
		m.Pix[i], m.Pix[i+1], m.Pix[i+2], m.Pix[i+3] = p[2], p[1], p[0], p[3]
		if opaque {
			m.Pix[i+3] = 0xff
		}
	}
	return m, nil
}
