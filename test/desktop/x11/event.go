package x11

// Kind is what an event is about.
type Kind byte

// The events that a window manager needs; others are Kinds as well.
const (
	DestroyNotify    Kind = 17
	UnmapNotify      Kind = 18
	MapRequest       Kind = 20
	ConfigureRequest Kind = 23
	ClientMessage    Kind = 33
)

// Event is something that happened to a window.
type Event struct {
	Kind   Kind
	Window Window
	Type   Atom   // of a ClientMessage
	Mask   uint16 // of a ConfigureRequest: which values are asked for
	// Values are a ConfigureRequest's, for [Conn.Configure].
	Values []uint32
}

func event(b []byte) Event {
	e := Event{Kind: Kind(b[0] & 0x7f), Window: Window(order.Uint32(b[8:]))}
	switch e.Kind {
	case ClientMessage:
		e.Window, e.Type = Window(order.Uint32(b[4:])), Atom(order.Uint32(b[8:]))
	case ConfigureRequest:
		// In the order of the mask's bits: x, y, width, height, border, sibling,
		// place in the stack.
		e.Mask = order.Uint16(b[26:])
		all := []uint32{uint32(int16(order.Uint16(b[16:]))), uint32(int16(order.Uint16(b[18:]))),
			uint32(order.Uint16(b[20:])), uint32(order.Uint16(b[22:])), uint32(order.Uint16(b[24:])),
			order.Uint32(b[12:]), uint32(b[1])}
		for i, v := range all {
			if e.Mask&(1<<i) != 0 {
				e.Values = append(e.Values, v)
			}
		}
	}
	return e
}

// Next waits for the next event; false is the end of the connection.
func (c *Conn) Next() (Event, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.events) == 0 {
		if c.closed {
			return Event{}, false
		}
		c.arrived.Wait()
	}
	e := c.events[0]
	c.events = c.events[1:]
	return e, true
}
