package queue

import (
	"crypto/sha256"
	"encoding/hex"
)

// HashOf names the bytes of a request, for whoever approves them: for a script
// without input it is the script's SHA-256, as sha256sum prints it; with input
// it is that of a text which names the hashes of both, and which begins with a
// byte that [CheckScript] lets no script hold: the text of one request is never
// another one's script.
func HashOf(script, stdin Sum) string {
	if !stdin.Present {
		return hex.EncodeToString(script.SHA256[:])
	}
	both := sha256.Sum256([]byte("\x00script " + script.String() + "\nstdin " + stdin.String() + "\n"))
	return hex.EncodeToString(both[:])
}
