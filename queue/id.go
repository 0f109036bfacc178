package queue

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strings"
	"time"
)

// MaxID is the longest id, in bytes.
const MaxID = 128

// ValidID reports whether s may name a request: 1 to 128 of A-Z a-z 0-9 . _ -,
// beginning with a letter or digit, without "..", not ending in .auth, .cmd or
// .in (which name the files beside it). Only such names become part of a path.
func ValidID(s string) bool {
	if s == "" || len(s) > MaxID || !alnum(s[0]) {
		return false
	}
	for i := 1; i < len(s); i++ {
		if !alnum(s[i]) && s[i] != '.' && s[i] != '_' && s[i] != '-' {
			return false
		}
	}
	return !strings.Contains(s, "..") && !strings.HasSuffix(s, ".auth") &&
		!strings.HasSuffix(s, ".cmd") && !strings.HasSuffix(s, ".in")
}

func alnum(c byte) bool {
	return c >= '0' && c <= '9' || letter(c)
}

func letter(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// NewID makes an id for a request: YYYYmmdd-HHMMSS-<pid>-<8 hex>, local time.
func NewID(now time.Time, pid int) string {
	var b [4]byte
	_, _ = rand.Read(b[:]) // never fails on the supported systems
	return fmt.Sprintf("%s-%d-%s", now.Format("20060102-150405"), pid, hex.EncodeToString(b[:]))
}

// NewPingID makes an id for a ping: ping-<ns>-<pid>.
func NewPingID(now time.Time, pid int) string {
	return fmt.Sprintf("ping-%d-%d", now.UnixNano(), pid)
}

// ValidQube reports whether s can be the name of a qube that asks: the rule of
// Qubes OS (a letter, then letters, digits, "_", "-", ".", at most 31 bytes),
// without the names dom0 keeps for itself. dom0 is refused because a call from
// dom0 to dom0 would run as its desktop user.
func ValidQube(s string) bool {
	if s == "" || len(s) > 31 || !letter(s[0]) {
		return false
	}
	for i := 1; i < len(s); i++ {
		if !alnum(s[i]) && s[i] != '.' && s[i] != '_' && s[i] != '-' {
			return false
		}
	}
	switch strings.ToLower(s) {
	case "dom0", "none", "default", "domain-0":
		return false
	}
	return !strings.HasSuffix(s, "-dm") && !strings.Contains(s, "..")
}

// ValidAccount reports whether s can be an account name in a qube. dom0 puts
// it into a command line that a qube's shell reads, so only [a-z_][a-z0-9_-]*
// of at most 32 bytes passes.
func ValidAccount(s string) bool {
	if s == "" || len(s) > 32 {
		return false
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		first := c >= 'a' && c <= 'z' || c == '_'
		if !first && (i == 0 || !(c >= '0' && c <= '9' || c == '-')) {
			return false
		}
	}
	return true
}
