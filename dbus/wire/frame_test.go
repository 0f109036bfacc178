package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	godbus "github.com/godbus/dbus/v5"
)

// FuzzFrame gives both readers of messages any bytes: what is left of one is
// a message that godbus can read, of the same kind and serial.
func FuzzFrame(f *testing.F) {
	var out bytes.Buffer
	m := &godbus.Message{Type: godbus.TypeMethodCall, Body: []any{"x"}, Headers: map[godbus.HeaderField]godbus.Variant{
		godbus.FieldPath: godbus.MakeVariant(godbus.ObjectPath("/a")), godbus.FieldMember: godbus.MakeVariant("C"),
		godbus.FieldSignature: godbus.MakeVariant(godbus.SignatureOf("x")), godbus.FieldSender: godbus.MakeVariant(":1.1")}}
	if err := m.EncodeTo(&out, binary.LittleEndian); err != nil {
		f.Fatal(err)
	}
	f.Add(out.Bytes())
	f.Add(out.Bytes()[:20])
	out.Reset()
	m = &godbus.Message{Type: godbus.TypeMethodReply, Body: []any{godbus.MakeVariant([]string{})}, Headers: map[godbus.HeaderField]godbus.Variant{
		godbus.FieldReplySerial: godbus.MakeVariant(uint32(7)), godbus.FieldSignature: godbus.MakeVariant(godbus.SignatureOf(godbus.MakeVariant("")))}}
	if err := m.EncodeTo(&out, binary.BigEndian); err != nil {
		f.Fatal(err)
	}
	f.Add(out.Bytes())
	f.Add([]byte("l\x01\x00\x01\x00\x00\x00\x00\x01\x00\x00\x00\x08\x00\x00\x00\x03\x01s\x00\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var start [fixed]byte
		if copy(start[:], b) < fixed {
			return
		}
		frame, err := frameOf(start)
		if err != nil {
			return
		}
		if frame.size() < fixed || frame.size() > maxMessage {
			t.Fatalf("a message of %d bytes", frame.size())
		}
		_, _ = decode(b) // it must return
		rest := frame.rest(b)
		if rest == nil {
			return
		}
		m, err := godbus.DecodeMessage(bytes.NewReader(rest))
		if err != nil || m.Type != godbus.Type(frame.kind) || m.Type == godbus.TypeSignal || len(m.Body) > 0 || m.Serial() != frame.serial {
			t.Errorf("what is left is %v, %v", m, err)
		}
	})
}

// TestABusThatDoesNotRead loses us, and nobody waits for it for ever.
func TestABusThatDoesNotRead(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "wire")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	name := filepath.Join(dir, "s")
	l, err := net.Listen("unix", name)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ours, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: name, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	s := &socket{conn: ours, begun: true, patience: 50 * time.Millisecond}
	for range 1000 { // the kernel keeps some of it
		if _, err = s.Write(make([]byte, 64<<10)); err != nil {
			break
		}
	}
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("writing to a bus that does not read: %v", err)
	}
	if _, err := s.Read(make([]byte, 1)); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("the connection is still there: %v", err)
	}
}
