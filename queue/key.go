package queue

import (
	"bytes"
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
// only way to its text. The zero Key is no key: it signs nothing that can be
// read and authenticates nothing.
//
// The text is behind a function, because fmt does not call String on what lies
// in another struct's unexported field: there it prints an array, for some
// verbs also the one a pointer leads to, but of a function only the address.
// It also rules out ==, which would not take constant time.
type Key struct{ text func() *[KeyLen]byte }

// GenerateKey makes a new key from the system's random source.
func GenerateKey() Key {
	var raw [KeyLen / 2]byte
	_, _ = rand.Read(raw[:]) // never fails on the supported systems
	var text [KeyLen]byte
	hex.Encode(text[:], raw[:])
	return keyOf(&text)
}

// ParseKey reads a key's text: exactly 64 hex digits, with white space around
// them tolerated. The error is [ErrKey] and does not quote the text.
func ParseKey(b []byte) (Key, error) {
	s := strings.TrimSpace(string(b))
	if len(s) != KeyLen {
		return Key{}, ErrKey
	}
	var text [KeyLen]byte
	for i := range KeyLen {
		c := s[i]
		if !(c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F') {
			return Key{}, ErrKey
		}
		text[i] = c
	}
	return keyOf(&text), nil
}

func keyOf(text *[KeyLen]byte) Key {
	return Key{text: func() *[KeyLen]byte { return text }}
}

// IsZero reports whether k holds no key.
func (k Key) IsZero() bool { return k.text == nil }

// Equal compares two keys in constant time.
func (k Key) Equal(o Key) bool {
	if k.IsZero() || o.IsZero() {
		return k.IsZero() && o.IsZero()
	}
	return subtle.ConstantTimeCompare(k.text()[:], o.text()[:]) == 1
}

// Reveal returns the key's 64 characters, or nil where there is no key.
func (k Key) Reveal() []byte {
	if k.IsZero() {
		return nil
	}
	return append([]byte(nil), k.text()[:]...)
}

// String returns the fingerprint, so that no log shows a key by accident.
func (k Key) String() string { return k.Fingerprint() }

// GoString is [Key.String].
func (k Key) GoString() string { return k.String() }

// Fingerprint names a key without telling anything of it: the first 32 hex
// digits of SHA-256 over its 64 characters, in groups of four; "no key" for
// the zero Key.
func (k Key) Fingerprint() string {
	if k.IsZero() {
		return "no key"
	}
	sum := sha256.Sum256(k.text()[:])
	digits := hex.EncodeToString(sum[:16])
	groups := make([]string, 0, 8)
	for i := 0; i < len(digits); i += 4 {
		groups = append(groups, digits[i:i+4])
	}
	return strings.Join(groups, " ")
}

// MACKey authenticates one direction. It is derived, so that a request can
// never be taken for a result or the other way round. The zero MACKey, which
// is what a zero [Key] gives, authenticates nothing: were it a key of zeros,
// anyone could sign with it.
type MACKey struct{ key func() *[sha256.Size]byte } // a function as in Key

func macKeyOf(key *[sha256.Size]byte) MACKey {
	return MACKey{key: func() *[sha256.Size]byte { return key }}
}

// RequestKey returns the key for what the qube says: requests and cancels.
func (k Key) RequestKey() MACKey { return k.derive("qvm-remote/2 request") }

// ResultKey returns the key for what dom0 says.
func (k Key) ResultKey() MACKey { return k.derive("qvm-remote/2 result") }

func (k Key) derive(label string) MACKey {
	if k.IsZero() {
		return MACKey{}
	}
	m := hmac.New(sha256.New, k.text()[:])
	m.Write([]byte(label))
	var derived [sha256.Size]byte
	m.Sum(derived[:0])
	return macKeyOf(&derived)
}

// Bytes returns the derived key for dom0's spool, where it outlives a revoke;
// nil for the zero MACKey.
func (d MACKey) Bytes() []byte {
	if d.key == nil {
		return nil
	}
	return append([]byte(nil), d.key()[:]...)
}

// MACKeyFromBytes reads back what [MACKey.Bytes] gave.
func MACKeyFromBytes(b []byte) (MACKey, error) {
	if len(b) != sha256.Size {
		return MACKey{}, errors.New("a derived key has 32 bytes")
	}
	return macKeyOf((*[sha256.Size]byte)(bytes.Clone(b))), nil
}

// String hides the key.
func (d MACKey) String() string { return "derived key" }

// GoString hides the key.
func (d MACKey) GoString() string { return d.String() }

// sum is the MAC of b, or nil without a key.
func (d MACKey) sum(b []byte) []byte {
	if d.key == nil {
		return nil
	}
	m := hmac.New(sha256.New, d.key()[:])
	m.Write(b)
	return m.Sum(nil)
}

// sign appends the line "mac <hex>" to the header b. Without a key the line is
// empty, which no reader takes for a header.
func (d MACKey) sign(b []byte) []byte {
	mac := d.sum(b)
	b = append(b, "mac "...)
	b = hex.AppendEncode(b, mac)
	return append(b, '\n')
}
