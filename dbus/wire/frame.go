package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"

	godbus "github.com/godbus/dbus/v5"
)

// fixed is the length of a message's first part: byte order, type, flags,
// version, the body's length, serial, and the length of the header's fields.
const fixed = 16

// maxMessage is D-Bus's own limit.
const maxMessage = 1 << 27

// frame is a message's first part.
type frame struct {
	order       binary.ByteOrder
	kind, flags byte
	serial      uint32
	header      uint32 // bytes of the header's fields, without padding
	body        uint32
}

var errFrame = errors.New("the bus sent what is no message")

func frameOf(b [fixed]byte) (f frame, err error) {
	switch b[0] {
	case 'l':
		f.order = binary.LittleEndian
	case 'B':
		f.order = binary.BigEndian
	default:
		return f, errFrame
	}
	f.kind, f.flags = b[1], b[2]
	f.body, f.serial, f.header = f.order.Uint32(b[4:]), f.order.Uint32(b[8:]), f.order.Uint32(b[12:])
	if f.body > maxMessage || f.header > maxMessage || f.size() > maxMessage {
		return f, errFrame
	}
	return f, nil
}

// size is the length of the whole message in bytes.
func (f frame) size() int { return fixed + (int(f.header)+7)&^7 + int(f.body) }

// known are the header fields whose values are looked at, and their types.
var known = map[godbus.HeaderField]byte{
	godbus.FieldPath: 'o', godbus.FieldInterface: 's', godbus.FieldMember: 's', godbus.FieldErrorName: 's', godbus.FieldReplySerial: 'u',
	godbus.FieldDestination: 's', godbus.FieldSender: 's', godbus.FieldSignature: 'g', godbus.FieldUnixFDs: 'u',
}

// maxValue is more than any name has, and than any path that is there.
const maxValue = 1 << 10

// rest is a method call without arguments in place of one whose header's
// fields come from r: same caller, serial and method. It is nil, for nothing at
// all, in place of any other message, and of one with a header that cannot be
// understood.
func (f frame) rest(r io.Reader) []byte {
	if godbus.Type(f.kind) != godbus.TypeMethodCall {
		return nil
	}
	fields := fields{r: r, order: f.order}
	m := &godbus.Message{Type: godbus.TypeMethodCall, Headers: map[godbus.HeaderField]godbus.Variant{godbus.FieldPath: godbus.MakeVariant(godbus.ObjectPath("/"))},
		Flags: godbus.Flags(f.flags) & (godbus.FlagNoReplyExpected | godbus.FlagNoAutoStart | godbus.FlagAllowInteractiveAuthorization)}
	for fields.at < int(f.header) {
		field, value, err := fields.next()
		if err != nil {
			return nil
		}
		switch field {
		case godbus.FieldPath:
			if p := godbus.ObjectPath(value); p.IsValid() { // one that is too long is "", and stands for none that is there
				m.Headers[field] = godbus.MakeVariant(p)
			}
		case godbus.FieldInterface, godbus.FieldMember, godbus.FieldDestination, godbus.FieldSender:
			m.Headers[field] = godbus.MakeVariant(value)
		}
	}
	var out bytes.Buffer
	if err := m.EncodeTo(&out, binary.LittleEndian); err != nil {
		return nil
	}
	binary.LittleEndian.PutUint32(out.Bytes()[8:], f.serial) // godbus has no other way to set it
	return out.Bytes()
}

// fields reads a header's fields one after the other, in little space.
type fields struct {
	r     io.Reader
	order binary.ByteOrder
	at    int // bytes read
}

// next is one field. The value is "" when it is a number or too long.
func (h *fields) next() (godbus.HeaderField, string, error) {
	if err := h.align(8); err != nil {
		return 0, "", err
	}
	var start [4]byte // the field's number, and its type as a signature of one letter
	if err := h.read(start[:]); err != nil {
		return 0, "", err
	}
	field := godbus.HeaderField(start[0])
	kind := known[field]
	if kind == 0 || start[1] != 1 || start[2] != kind || start[3] != 0 {
		return 0, "", errFrame
	}
	if kind == 'u' {
		return field, "", errors.Join(h.align(4), h.read(start[:]))
	}
	length := 0
	if kind == 'g' {
		if err := h.read(start[:1]); err != nil {
			return 0, "", err
		}
		length = int(start[0])
	} else {
		if err := errors.Join(h.align(4), h.read(start[:])); err != nil {
			return 0, "", err
		}
		length = int(h.order.Uint32(start[:]))
	}
	if length < 0 || length > maxValue {
		return field, "", h.skip(length + 1)
	}
	value := make([]byte, length+1)
	if err := h.read(value); err != nil {
		return 0, "", err
	}
	return field, string(value[:length]), nil
}

func (h *fields) align(n int) error { return h.skip((n - h.at%n) % n) }

func (h *fields) read(b []byte) error {
	n, err := io.ReadFull(h.r, b)
	h.at += n
	return err
}

func (h *fields) skip(n int) error {
	m, err := io.CopyN(io.Discard, h.r, int64(n))
	h.at += int(m)
	return err
}
