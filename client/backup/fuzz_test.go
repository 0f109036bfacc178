package backup

import (
	"bytes"
	"io"
	"testing"
)

// FuzzArchive: bytes in a tar file never panic, never hand over more than was
// given, and what is taken has only names of a backup.
func FuzzArchive(f *testing.F) {
	f.Add([]byte(nil))
	for _, c := range []forged{{members: good()}, kindSeed(), {lines: []string{}, members: good()}} {
		c.after = func(b *bytes.Buffer) []byte { return b.Bytes() }
		f.Add(c.bytes(f))
	}
	f.Fuzz(func(t *testing.T, plain []byte) {
		b := packed(plain)
		a := &archive{f: bytes.NewReader(b), size: int64(len(b)), most: limits{members: 100, total: 1 << 20, manifest: 1 << 16}}
		if _, err := a.begin(); err != nil {
			return
		}
		c, err := check(t.Context(), func(use func(Member, io.Reader) error) error { return a.each(use) }, a.most)
		if err != nil {
			return
		}
		if c.Bytes > int64(len(plain)) {
			t.Errorf("%d bytes out of %d", c.Bytes, len(plain))
		}
		for _, m := range c.members {
			if err := m.Check(); err != nil {
				t.Error(err)
			}
		}
	})
}

func kindSeed() forged { return kind('2', "/etc/passwd") }

// FuzzManifest: what is taken has one spelling.
func FuzzManifest(f *testing.F) {
	f.Add([]byte(forged{members: good()}.manifest()))
	f.Add([]byte(forgedFirst + "end 0\n"))
	f.Add([]byte(manifestFirst))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := parseManifest(b, bounds)
		if err == nil && !bytes.Equal(m.encode(), b) {
			t.Errorf("%q is taken for %q", b, m.encode())
		}
	})
}
