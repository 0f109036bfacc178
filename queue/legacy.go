package queue

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
)

// legacyTokenLen is the length of a version-1 token. A file that holds one has
// as many bytes, or one more for a newline.
const legacyTokenLen = 64

// What [CheckLegacyToken] says of a file that holds no good token.
var (
	// ErrLegacyShort says that a token is not complete. Its writer may be about
	// to write the rest, for the first implementation writes it in place.
	ErrLegacyShort = errors.New("the version-1 token is not complete")
	// ErrLegacyToken says that a token is complete and wrong.
	ErrLegacyToken = errors.New("the version-1 token is wrong")
)

// LegacyToken is what a version-1 request carries: the
// hex HMAC-SHA256 of its id alone, with the key's 64 characters. It proves
// nothing about the command beside it, nor that it was not used before.
//
// Without a key, and for what is no id, it is "", which no file matches. The
// latter is not only for form: the same HMAC of another text derives the keys
// of version 2, so it must never sign what anyone likes.
func LegacyToken(k Key, id string) string {
	if k.IsZero() || !ValidID(id) {
		return ""
	}
	m := hmac.New(sha256.New, k.text()[:])
	m.Write([]byte(id))
	return hex.EncodeToString(m.Sum(nil))
}

// CheckLegacyToken holds the content of an .auth file against the token of an
// id, in constant time: nil, [ErrLegacyShort] or [ErrLegacyToken]. One newline
// behind the token is tolerated, and nothing else is.
func CheckLegacyToken(k Key, id string, file []byte) error {
	if len(file) < legacyTokenLen {
		return ErrLegacyShort
	}
	if len(file) == legacyTokenLen+1 && file[legacyTokenLen] == '\n' {
		file = file[:legacyTokenLen]
	}
	if subtle.ConstantTimeCompare(file, []byte(LegacyToken(k, id))) != 1 {
		return ErrLegacyToken
	}
	return nil
}
