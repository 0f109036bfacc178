package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

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

// head is where the body begins.
func (f frame) head() int { return fixed + (int(f.header)+7)&^7 }

// size is the length of the whole message in bytes.
func (f frame) size() int { return f.head() + int(f.body) }

// kept are the header fields of a message without its arguments.
var kept = [...]godbus.HeaderField{godbus.FieldPath, godbus.FieldInterface, godbus.FieldMember, godbus.FieldErrorName,
	godbus.FieldReplySerial, godbus.FieldDestination, godbus.FieldSender}

// rest is the message that begins with b, without its arguments: of the same
// kind, serial, sender and method. It is nil, for nothing at all, in place of a
// signal, and of a message whose header is not there or cannot be understood.
func (f frame) rest(b []byte) []byte {
	if godbus.Type(f.kind) == godbus.TypeSignal || len(b) < f.head() {
		return nil
	}
	headers, err := f.headers(b)
	if err != nil {
		return nil
	}
	m := &godbus.Message{Type: godbus.Type(f.kind), Headers: headers,
		Flags: godbus.Flags(f.flags) & (godbus.FlagNoReplyExpected | godbus.FlagNoAutoStart | godbus.FlagAllowInteractiveAuthorization)}
	var out bytes.Buffer
	if err := m.EncodeTo(&out, binary.LittleEndian); err != nil {
		return nil
	}
	binary.LittleEndian.PutUint32(out.Bytes()[8:], f.serial) // godbus has no other way to set it
	return out.Bytes()
}

// headers are the kept ones of the message that begins with b. godbus reads
// them as what they are in D-Bus, an array, in a message made for that.
func (f frame) headers(b []byte) (map[godbus.HeaderField]godbus.Variant, error) {
	m := &godbus.Message{Type: godbus.TypeMethodCall, Headers: map[godbus.HeaderField]godbus.Variant{
		godbus.FieldPath: godbus.MakeVariant(godbus.ObjectPath("/")), godbus.FieldMember: godbus.MakeVariant("H"),
		godbus.FieldSignature: godbus.MakeVariant(godbus.ParseSignatureMust("a(yv)"))}}
	var out bytes.Buffer
	if err := m.EncodeTo(&out, f.order); err != nil {
		return nil, err
	}
	f.order.PutUint32(out.Bytes()[4:], 8+f.header)
	out.Write(b[fixed-4 : fixed]) // the length, and what aligns the first element
	out.Write(make([]byte, 4))
	out.Write(b[fixed : fixed+int(f.header)])
	m, err := decode(out.Bytes())
	if err != nil {
		return nil, err
	}
	var fields []struct {
		Field byte
		Value godbus.Variant
	}
	if err := godbus.Store(m.Body, &fields); err != nil {
		return nil, err
	}
	headers := map[godbus.HeaderField]godbus.Variant{}
	for _, h := range fields {
		if field := godbus.HeaderField(h.Field); slices.Contains(kept[:], field) {
			headers[field] = h.Value
		}
	}
	return headers, nil
}

// decode is godbus's, whose panics are errors here.
func decode(message []byte) (m *godbus.Message, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%v", r)
		}
	}()
	return godbus.DecodeMessage(bytes.NewReader(message))
}
