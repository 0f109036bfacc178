package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	godbus "github.com/godbus/dbus/v5"
)

const (
	fixed      = 16      // bytes of a message's first part, which frame is
	maxMessage = 1 << 27 // bytes; D-Bus's own limit
)

// frame is what a message's first part says.
type frame struct {
	order       binary.ByteOrder
	kind, flags byte
	serial      uint32
	header      uint32 // bytes of the header's fields, without padding
	body        uint32
}

var errFrame = errors.New("the bus sent what is no message")

func frameOf(b [fixed]byte) (frame, error) {
	f := frame{order: binary.LittleEndian, kind: b[1], flags: b[2]}
	if b[0] == 'B' {
		f.order = binary.BigEndian
	} else if b[0] != 'l' {
		return f, errFrame
	}
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
	m := &godbus.Message{Type: godbus.Type(f.kind), Headers: map[godbus.HeaderField]godbus.Variant{},
		Flags: godbus.Flags(f.flags) & (godbus.FlagNoReplyExpected | godbus.FlagNoAutoStart | godbus.FlagAllowInteractiveAuthorization)}
	for _, h := range f.fields(b) {
		if slices.Contains(kept[:], h.Name) {
			m.Headers[h.Name] = h.Value
		}
	}
	var out bytes.Buffer
	if err := m.EncodeTo(&out, binary.LittleEndian); err != nil {
		return nil // it has not what a message needs
	}
	binary.LittleEndian.PutUint32(out.Bytes()[8:], f.serial) // godbus has no other way to set it
	return out.Bytes()
}

type field struct {
	Name  godbus.HeaderField
	Value godbus.Variant
}

// fields are those of the header of the message that begins with b, none where
// they cannot be understood. godbus reads them as what they are in D-Bus, an
// array, in a message made for that.
func (f frame) fields(b []byte) (all []field) {
	m := &godbus.Message{Type: godbus.TypeMethodCall, Headers: map[godbus.HeaderField]godbus.Variant{
		godbus.FieldPath: godbus.MakeVariant(godbus.ObjectPath("/")), godbus.FieldMember: godbus.MakeVariant("H"),
		godbus.FieldSignature: godbus.MakeVariant(godbus.SignatureOf([]field{}))}}
	var out bytes.Buffer
	if m.EncodeTo(&out, f.order) != nil {
		return nil
	}
	f.order.PutUint32(out.Bytes()[4:], 8+f.header)
	out.Write(b[fixed-4 : fixed]) // the array's length, and what aligns its elements
	out.Write(make([]byte, 4))
	out.Write(b[fixed : fixed+int(f.header)])
	m, err := decode(out.Bytes())
	if err != nil || godbus.Store(m.Body, &all) != nil {
		return nil
	}
	return all
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
