package queue

import (
	"crypto/sha256"
	"encoding/hex"
)

// HashOf names the bytes of a request, for whoever approves them: for a script
// without input it is the script's SHA-256, as sha256sum prints it; with input
// it is that of a text which names the hashes of both.
func HashOf(script, stdin Sum) string {
	if !stdin.Present {
		return hex.EncodeToString(script.SHA256[:])
	}
	both := sha256.Sum256([]byte("script " + script.String() + "\nstdin " + stdin.String() + "\n"))
	return hex.EncodeToString(both[:])
}
