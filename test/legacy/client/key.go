package main

import (
	"bufio"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"
	"strings"
)

// key is 2-10 to 2-13.
func (c *client) key(args []string) int {
	if len(args) == 0 {
		return fail("key requires: gen | show | import")
	}
	switch args[0] {
	case "gen":
		return c.keyGen()
	case "show":
		b, err := os.ReadFile(c.path("auth.key"))
		if err != nil {
			return fail("no key configured. Run: qvm-remote key gen")
		}
		fmt.Println(strings.TrimSpace(string(b)))
		return 0
	case "import":
		var text string
		if len(args) > 1 { // 2-12, D9: a key in the command line
			text = args[1]
		} else {
			text, _ = bufio.NewReader(os.Stdin).ReadString('\n')
		}
		text = strings.TrimSpace(text)
		if !looseHex(text) {
			return fail("invalid key (expected 64 hex characters)")
		}
		if err := c.saveKey(text); err != nil {
			return fail(err.Error())
		}
		fmt.Fprintln(os.Stderr, "Key imported to "+c.path("auth.key"))
		return 0
	}
	return fail("unknown key command: " + args[0])
}

// keyGen replaces a key without asking (2-10).
func (c *client) keyGen() int {
	var raw [32]byte
	_, _ = rand.Read(raw[:])
	key := hex.EncodeToString(raw[:])
	if err := c.saveKey(key); err != nil {
		return fail(err.Error())
	}
	host, _ := os.Hostname() // 2-10: need not be the qube's name
	fmt.Fprintf(os.Stderr, "Key saved to %s\nRegister in dom0:\n  qvm-remote-dom0 authorize %s %s\n", c.path("auth.key"), host, key)
	fmt.Println(key)
	return 0
}

// saveKey writes first and closes the file to others then (2-10).
func (c *client) saveKey(key string) error {
	if err := os.MkdirAll(c.root, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(c.path("auth.key"), []byte(key), 0o644); err != nil {
		return err
	}
	return os.Chmod(c.path("auth.key"), 0o600)
}

// looseHex is 2-12: 64 characters that Python's int(x, 16) takes, so a sign, 0x
// and underscores pass.
func looseHex(s string) bool {
	if len(s) != 64 {
		return false
	}
	s = strings.TrimPrefix(strings.TrimPrefix(s, "+"), "-")
	s = strings.TrimPrefix(strings.TrimPrefix(s, "0x"), "0X")
	for _, digits := range strings.Split(s, "_") {
		if digits == "" || strings.Trim(digits, "0123456789abcdefABCDEF") != "" {
			return false
		}
	}
	return true
}
