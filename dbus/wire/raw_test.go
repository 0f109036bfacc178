package wire

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	godbus "github.com/godbus/dbus/v5"
	"golang.org/x/sys/unix"

	"qvmremote/test/bus"
)

// rawClient sends what no library would.
type rawClient struct {
	conn   *net.UnixConn
	serial uint32
}

func rawConnect(t *testing.T, b *bus.Bus) *rawClient {
	t.Helper()
	path, _, _ := strings.Cut(strings.TrimPrefix(b.Address, "unix:path="), ",")
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	uid := hex.EncodeToString([]byte(strconv.Itoa(os.Geteuid())))
	if _, err := conn.Write([]byte("\x00AUTH EXTERNAL " + uid + "\r\nNEGOTIATE_UNIX_FD\r\nBEGIN\r\n")); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(conn)
	for _, want := range []string{"OK", "AGREE_UNIX_FD"} {
		if line, err := in.ReadString('\n'); err != nil || !strings.HasPrefix(line, want) {
			t.Fatalf("the bus says %q, %v; not %s", line, err, want)
		}
	}
	c := &rawClient{conn: conn}
	c.send(t, rawMessage{to: "org.freedesktop.DBus", path: "/org/freedesktop/DBus", iface: "org.freedesktop.DBus", member: "Hello"})
	go func() { // nobody reads what is answered
		for b := make([]byte, 4096); ; {
			if _, err := in.Read(b); err != nil {
				return
			}
		}
	}()
	return c
}

// rawMessage is a call of a.b.C at /a, or a signal, but for what is given.
type rawMessage struct {
	order             binary.ByteOrder
	flags             byte
	signal            bool
	to, iface, member string
	path              godbus.ObjectPath
	signature         string
	body              []byte
	files             []int
}

func (c *rawClient) send(t *testing.T, m rawMessage) {
	t.Helper()
	if m.order == nil {
		m.order = binary.LittleEndian
	}
	if m.path == "" {
		m.path = "/a"
	}
	if m.iface == "" {
		m.iface, m.member = "a.b", "C"
	}
	var fields bytes.Buffer
	word := func(n uint32) { _ = binary.Write(&fields, m.order, n) }
	field := func(code byte, kind string) {
		for fields.Len()%8 != 0 {
			fields.WriteByte(0)
		}
		fields.Write([]byte{code, 1, kind[0], 0})
	}
	text := func(code byte, kind, s string) {
		field(code, kind)
		word(uint32(len(s)))
		fields.WriteString(s + "\x00")
	}
	text(1, "o", string(m.path))
	text(2, "s", m.iface)
	text(3, "s", m.member)
	text(6, "s", m.to)
	if m.signature != "" {
		field(8, "g")
		fields.Write(signatureValue(m.signature))
	}
	if len(m.files) > 0 {
		field(9, "u")
		word(uint32(len(m.files)))
	}
	c.serial++
	var out bytes.Buffer
	out.WriteByte(map[binary.ByteOrder]byte{binary.LittleEndian: 'l', binary.BigEndian: 'B'}[m.order])
	out.Write([]byte{map[bool]byte{false: 1, true: 4}[m.signal], m.flags, 1})
	for _, n := range []uint32{uint32(len(m.body)), c.serial, uint32(fields.Len())} {
		_ = binary.Write(&out, m.order, n)
	}
	out.Write(fields.Bytes())
	for out.Len()%8 != 0 {
		out.WriteByte(0)
	}
	out.Write(m.body)
	var rights []byte
	if len(m.files) > 0 {
		rights = unix.UnixRights(m.files...)
	}
	first := min(out.Len(), 1024)
	if _, _, err := c.conn.WriteMsgUnix(out.Bytes()[:first], rights, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := c.conn.Write(out.Bytes()[first:]); err != nil {
		t.Fatal(err)
	}
}

func signatureValue(s string) []byte { return append(append([]byte{byte(len(s))}, s...), 0) }
