package queue

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"strings"
)

// KeyLen is the length of a key's text.
const KeyLen = 64

// ErrKey says that a text is not a key.
var ErrKey = errors.New("invalid key (expected 64 hex characters)")

// Key is the 256-bit secret that one qube shares with dom0. As in the first
// implementation the secret is the 64 hex characters themselves, so the case
// of the letters counts. A Key prints as its fingerprint; [Key.Reveal] is the
// only way to its text.
type Key struct {
	_    [0]func() // == would not be constant-time
	text [KeyLen]byte
	set  bool
}

// GenerateKey makes a new key from the system's random source.
func GenerateKey() Key {
	var raw [KeyLen / 2]byte
	_, _ = rand.Read(raw[:]) // never fails on the supported systems
	k := Key{set: true}
	hex.Encode(k.text[:], raw[:])
	return k
}

// ParseKey reads a key's text: exactly 64 hex digits, with white space around
// them tolerated. The error is [ErrKey] and does not quote the text.
func ParseKey(b []byte) (Key, error) {
	s := strings.TrimSpace(string(b))
	if len(s) != KeyLen {
		return Key{}, ErrKey
	}
	k := Key{set: true}
	for i := range KeyLen {
		c := s[i]
		if !(c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F') {
			return Key{}, ErrKey
		}
		k.text[i] = c
	}
	return k, nil
}

// IsZero reports whether k holds no key.
func (k Key) IsZero() bool { return !k.set }

// Equal compares two keys in constant time.
func (k Key) Equal(o Key) bool {
	return k.set == o.set && subtle.ConstantTimeCompare(k.text[:], o.text[:]) == 1
}

// Reveal returns the key's 64 characters.
func (k Key) Reveal() []byte { return append([]byte(nil), k.text[:]...) }

// String returns the fingerprint, so that no log shows a key by accident.
func (k Key) String() string {
	if !k.set {
		return "no key"
	}
	return k.Fingerprint()
}

// GoString is [Key.String].
func (k Key) GoString() string { return k.String() }

// Fingerprint names a key without telling anything of it: the first 32 hex
// digits of SHA-256 over its 64 characters, in groups of four.
func (k Key) Fingerprint() string {
	sum := sha256.Sum256(k.text[:])
	digits := hex.EncodeToString(sum[:16])
	groups := make([]string, 0, 8)
	for i := 0; i < len(digits); i += 4 {
		groups = append(groups, digits[i:i+4])
	}
	return strings.Join(groups, " ")
}

// MACKey authenticates one direction. It is derived, so that a request can
// never be taken for a result or the other way round.
type MACKey struct {
	_   [0]func()
	key [sha256.Size]byte
}

// RequestKey returns the key for what the qube says: requests and cancels.
func (k Key) RequestKey() MACKey { return k.derive("qvm-remote/2 request") }

// ResultKey returns the key for what dom0 says.
func (k Key) ResultKey() MACKey { return k.derive("qvm-remote/2 result") }

func (k Key) derive(label string) MACKey {
	m := hmac.New(sha256.New, k.text[:])
	m.Write([]byte(label))
	var d MACKey
	m.Sum(d.key[:0])
	return d
}

// Bytes returns the derived key for dom0's spool, where it outlives a revoke.
func (d MACKey) Bytes() []byte { return append([]byte(nil), d.key[:]...) }

// MACKeyFromBytes reads back what [MACKey.Bytes] gave.
func MACKeyFromBytes(b []byte) (MACKey, error) {
	var d MACKey
	if len(b) != len(d.key) {
		return d, errors.New("a derived key has 32 bytes")
	}
	copy(d.key[:], b)
	return d, nil
}

// String hides the key.
func (d MACKey) String() string { return "derived key" }

// GoString hides the key.
func (d MACKey) GoString() string { return d.String() }

func (d MACKey) sum(b []byte) []byte {
	m := hmac.New(sha256.New, d.key[:])
	m.Write(b)
	return m.Sum(nil)
}

// sign appends the line "mac <hex>" to the header b.
func (d MACKey) sign(b []byte) []byte {
	mac := d.sum(b)
	b = append(b, "mac "...)
	b = hex.AppendEncode(b, mac)
	return append(b, '\n')
}
