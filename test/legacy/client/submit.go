package main

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"qvmremote/test/legacy"
)

// command is 2-2.
func (c *client) command(args []string) int {
	var body string
	if len(args) > 0 {
		body = strings.Join(args, " ") + "\n" // D16: quoting is lost
	} else {
		b, err := io.ReadAll(os.Stdin) // 2-2: whole, before any check
		if err != nil {
			return fail("no command specified")
		}
		body = string(b)
	}
	switch {
	case body == "":
		return fail("empty command")
	case len(body) > maxBody:
		return fail(fmt.Sprintf("command too large (%d > %d bytes)", len(body), maxBody))
	}
	id := newID()
	if err := c.submit(id, body, legacy.At); err != nil {
		return fail(err.Error())
	}
	c.audit(fmt.Sprintf("SUBMIT id=%s size=%dB cmd=%s", id, len(body), firstLine(body, 100)))
	if c.verbose {
		fmt.Fprintf(os.Stderr, "[qvm-remote] submitted id=%s\n", id)
	}
	if !c.await(id, time.Duration(c.timeout)*time.Second, c.quiet) {
		return c.gaveUp(id)
	}
	return c.result(id)
}

// newID is P-3. Nothing checks an id (D4).
func newID() string {
	if id := os.Getenv(legacy.KnobID); id != "" {
		return id
	}
	var b [4]byte
	_, _ = rand.Read(b[:])
	return fmt.Sprintf("%s-%d-%s", time.Now().Format("20060102-150405"), os.Getpid(), hex.EncodeToString(b[:]))
}

// submit writes the command, then the token, then the copy for the history:
// none atomically, and the one that makes it visible first (P-4, 2-9, D14).
func (c *client) submit(id, body string, at func(string)) error {
	pending := c.path("queue", "pending", id)
	for _, dir := range []string{"pending", "running", "results"} {
		if err := os.MkdirAll(c.path("queue", dir), 0o755); err != nil { // P-1
			return err
		}
	}
	if err := write(pending, body, "body", at); err != nil {
		return err
	}
	// 2-7: without a key there is no token, and nobody says so.
	if key, err := os.ReadFile(c.path("auth.key")); err == nil {
		if err := write(pending+".auth", token(strings.TrimSpace(string(key)), id), "auth", at); err != nil {
			return err
		}
	}
	return write(pending+".cmd", body, "cmd", at)
}

// token is P-5, D1: of the id alone, with the key's 64 characters.
func token(key, id string) string {
	m := hmac.New(sha256.New, []byte(key))
	m.Write([]byte(id))
	return hex.EncodeToString(m.Sum(nil))
}

// await looks every half second whether .exit exists (2-3, 2-8).
func (c *client) await(id string, limit time.Duration, quiet bool) bool {
	poll := legacy.Poll(500 * time.Millisecond)
	began := time.Now() // of the wall clock in the original
	for time.Since(began) < limit {
		if _, err := os.Lstat(c.path("queue", "results", id+".exit")); err == nil {
			return true
		}
		if waited := int(time.Since(began).Seconds()); !quiet && waited > 0 && waited%30 == 0 { // twice each time (2-3)
			fmt.Fprintf(os.Stderr, "[qvm-remote] waiting... %ds/%ds\n", waited, int(limit.Seconds()))
		}
		time.Sleep(poll)
	}
	return false
}

// gaveUp is 2-5, D17: the files go, the command in dom0 runs on.
func (c *client) gaveUp(id string) int {
	pending := c.path("queue", "pending", id)
	for _, path := range []string{pending, pending + ".auth", pending + ".cmd", c.path("queue", "running", id)} {
		_ = os.Remove(path)
	}
	c.audit(fmt.Sprintf("TIMEOUT id=%s after=%ds", id, c.timeout))
	fmt.Fprintf(os.Stderr, "qvm-remote: timed out after %ds (id=%s)\n", c.timeout, id)
	return 124
}

// result prints stdout and then stderr (2-4), and takes an empty .exit for 1
// (2-8, D12).
func (c *client) result(id string) int {
	read := func(ending string) []byte {
		b, _ := os.ReadFile(c.path("queue", "results", id+ending))
		return b
	}
	for _, o := range []struct {
		to     *os.File
		ending string
	}{{os.Stdout, ".out"}, {os.Stderr, ".err"}} {
		if _, err := o.to.Write(read(o.ending)); errors.Is(err, syscall.EPIPE) {
			return 141
		}
	}
	text := strings.TrimSpace(string(read(".exit")))
	if text == "" {
		text = "1"
	}
	code, err := strconv.Atoi(text)
	if err != nil { // 2-4: and the files stay
		fmt.Fprintf(os.Stderr, "Traceback (most recent call last):\nValueError: invalid literal for int() with base 10: '%s'\n", text)
		return 1
	}
	c.audit(fmt.Sprintf("DONE id=%s exit=%d", id, code))
	c.archive(id)
	return code & 0xff // P-15: -N is 256 - N to a shell
}

// archive is P-9. A .meta that comes later stays in results (2-8).
func (c *client) archive(id string) {
	folder := c.path("history", time.Now().Format("2006-01-02"), id)
	if os.MkdirAll(folder, 0o755) != nil {
		return
	}
	for _, name := range []string{"out", "err", "exit", "meta"} {
		_ = os.Rename(c.path("queue", "results", id+"."+name), filepath.Join(folder, name))
	}
	_ = os.Rename(c.path("queue", "pending", id+".cmd"), filepath.Join(folder, "command"))
}

// audit is P-10: 0600 only if it makes the file.
func (c *client) audit(line string) {
	f, err := os.OpenFile(c.path("audit.log"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return
	}
	defer f.Close()
	fmt.Fprintf(f, "[%s] %s\n", time.Now().Format("2006-01-02T15:04:05"), line)
}

func firstLine(text string, most int) string {
	text = strings.ReplaceAll(strings.TrimSuffix(text, "\n"), "\n", " ")
	return text[:min(len(text), most)]
}

// ping runs the command true (2-14): not in the audit log, and its .meta stays.
func (c *client) ping(limit time.Duration) bool {
	id := fmt.Sprintf("ping-%d-%d", time.Now().UnixNano(), os.Getpid())
	if c.submit(id, "true\n", func(string) {}) != nil {
		return false
	}
	there := c.await(id, limit, true)
	pending := c.path("queue", "pending", id)
	for _, path := range []string{pending, pending + ".auth", pending + ".cmd"} {
		_ = os.Remove(path)
	}
	for _, ending := range []string{".out", ".err", ".exit"} {
		_ = os.Remove(c.path("queue", "results", id+ending))
	}
	return there
}

func (c *client) pingVerb() int {
	if c.ping(10 * time.Second) {
		fmt.Println("qvm-remote-dom0 is responding.")
		return 0
	}
	fmt.Fprint(os.Stderr, "qvm-remote-dom0 is NOT responding.\ntroubleshooting:\n"+
		"  1. is the daemon started?\n  2. is this VM configured?\n  3. is the key authorized?\n  4. is the queue clean?\n")
	return 1
}
