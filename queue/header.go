package queue

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// ErrMalformed says that bytes are not a header in its one spelling.
var ErrMalformed = errors.New("malformed header")

// ErrMAC says that a header's MAC is not the one its key gives.
var ErrMAC = errors.New("the header's MAC is wrong")

// Sum is the SHA-256 and the size of some bytes. The zero Sum is "none":
// nothing there, which differs from zero bytes.
type Sum struct {
	SHA256  [sha256.Size]byte
	Size    int64
	Present bool
}

// SumOf returns the Sum of b.
func SumOf(b []byte) Sum {
	return Sum{SHA256: sha256.Sum256(b), Size: int64(len(b)), Present: true}
}

// String spells s as headers do: "none" or "sha256:<hex> <bytes>".
func (s Sum) String() string {
	if !s.Present {
		return "none"
	}
	return fmt.Sprintf("sha256:%x %d", s.SHA256, s.Size)
}

// Digest is the SHA-256 of a header as it was read: it names the header.
type Digest [sha256.Size]byte

// DigestOf returns the digest of a header's bytes.
func DigestOf(header []byte) Digest { return sha256.Sum256(header) }

// String spells d as headers do: "sha256:<hex>".
func (d Digest) String() string { return "sha256:" + hex.EncodeToString(d[:]) }

// ParseDigest reads what [Digest.String] gave.
func ParseDigest(s string) (Digest, error) {
	f := fields{}
	d := Digest(f.hash(s))
	if f.bad {
		return Digest{}, ErrMalformed
	}
	return d, nil
}

// fields reads a header's lines one after the other. The first fault sticks;
// what is read after it is zero.
type fields struct {
	rest   []byte
	signed int // bytes before the line "mac "
	total  int
	bad    bool
}

func newFields(b []byte, first string) *fields {
	f := &fields{rest: b, total: len(b)}
	if len(b) > MaxHeader {
		f.rest, f.bad = nil, true // not one line of it is copied
	}
	if f.line() != first {
		f.bad = true
	}
	return f
}

func (f *fields) line() string {
	i := bytes.IndexByte(f.rest, '\n')
	if i < 0 {
		f.bad = true
		return ""
	}
	l := string(f.rest[:i])
	f.rest = f.rest[i+1:]
	return l
}

func (f *fields) text(name string) string {
	v, ok := strings.CutPrefix(f.line(), name+" ")
	if !ok || v == "" {
		f.bad = true
	}
	return v
}

func (f *fields) number(name string) int64 { return f.decimal(f.text(name)) }

// decimal accepts 0 … 2^63−1 without sign or leading zeros.
func (f *fields) decimal(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 || strconv.FormatInt(n, 10) != s {
		f.bad = true
		return 0
	}
	return n
}

// maxTime is the last second of the year 9999. A later time would overflow
// where someone adds a second, a day or a duration to it.
const maxTime = 253402300799

// time reads Unix seconds, at most maxTime.
func (f *fields) time(name string) int64 {
	n := f.number(name)
	if n > maxTime {
		f.bad = true
	}
	return n
}

func (f *fields) sum(name string) Sum {
	v := f.text(name)
	if v == "none" {
		return Sum{}
	}
	digest, size, ok := strings.Cut(v, " ")
	if !ok {
		f.bad = true
	}
	return Sum{SHA256: f.hash(digest), Size: f.decimal(size), Present: true}
}

func (f *fields) digest(name string) Digest { return f.hash(f.text(name)) }

func (f *fields) hash(s string) (h [sha256.Size]byte) {
	d, ok := strings.CutPrefix(s, "sha256:")
	if !ok || !unhex(h[:], d) {
		f.bad = true
	}
	return h
}

// mac reads the last line and returns the MAC.
func (f *fields) mac() []byte {
	f.signed = f.total - len(f.rest)
	mac := make([]byte, sha256.Size)
	if !unhex(mac, f.text("mac")) || len(f.rest) != 0 {
		f.bad = true
	}
	return mac
}

// unhex decodes exactly len(dst) bytes of lower-case hex.
func unhex(dst []byte, s string) bool {
	if len(s) != 2*len(dst) || strings.ToLower(s) != s {
		return false
	}
	_, err := hex.Decode(dst, []byte(s))
	return err == nil
}

// envelope is a header as it was read: enough to check its MAC later.
type envelope struct {
	signed []byte
	mac    []byte
}

// authentic compares the MAC in constant time. Without a key nothing is.
func (e envelope) authentic(k MACKey) bool {
	return k.key != nil && hmac.Equal(k.sum(e.signed), e.mac)
}

// seal closes a parse: re is the encoding of what was parsed, without its mac
// line. A header with a second spelling would let two parties disagree about
// what was signed.
func (f *fields) seal(b, mac, re []byte) (envelope, error) {
	if f.bad || !bytes.Equal(b[:f.signed], re) {
		return envelope{}, ErrMalformed
	}
	return envelope{signed: b[:f.signed], mac: mac}, nil
}

// token accepts the words that headers use for kinds, states and reasons.
func token(s string) bool {
	if s == "" || len(s) > 32 {
		return false
	}
	for i := range len(s) {
		if c := s[i]; !(c >= 'a' && c <= 'z') && (c != '-' || i == 0) {
			return false
		}
	}
	return true
}
