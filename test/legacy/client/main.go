// Command client stands in for the first implementation's qvm-remote 1.1.0, in
// tests only; see package legacy.
package main

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/term"
)

const (
	version = "1.1.0"
	maxBody = 1 << 20 // P-14
	maxWait = 300     // seconds, unless -t says otherwise
)

const usage = `usage: qvm-remote [-t SEC] [-v] [-q] COMMAND [ARGS...]
Execute commands in dom0.
  key gen | key show | key import [HEX]
  ping, status, queue [status|clean|debug], log [N], history [N]
  -t, --timeout SEC  -v  -q  -h, --help  --version
`

// client is one call of the program.
type client struct {
	root           string // P-1
	timeout        int    // 2-1: never sent to dom0
	verbose, quiet bool
}

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	home := os.Getenv("HOME")
	c := &client{root: filepath.Join(home, ".qvm-remote"), timeout: maxWait}
	// 2-1: both happen before the options are looked at, for --help too.
	migrate(home)
	c.sweep()
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt)
	go interrupted(signals)
	signal.Ignore(syscall.SIGPIPE)

	literal := false
	for len(args) > 0 && strings.HasPrefix(args[0], "-") && !literal {
		arg := args[0]
		args = args[1:]
		switch arg {
		case "--":
			literal = true
		case "-h", "--help":
			fmt.Print(usage)
			return 0
		case "--version":
			fmt.Println("qvm-remote " + version)
			return 0
		case "-v":
			c.verbose = true
		case "-q":
			c.quiet = true
		case "-t", "--timeout":
			if len(args) == 0 {
				return fail("-t requires a value")
			}
			n, err := strconv.Atoi(args[0])
			switch {
			case err != nil:
				return fail("-t requires an integer, got: " + args[0])
			case n <= 0:
				return fail("-t must be a positive integer")
			}
			c.timeout, args = n, args[1:]
		default: // 2-1; so --agent is an unknown option
			return fail("unknown option: " + arg)
		}
	}
	if len(args) == 0 && !literal && term.IsTerminal(0) {
		fmt.Print(usage)
		return 0
	}
	return c.dispatch(args)
}

// dispatch takes six words for its own, also after "--" (2-2). Any other word,
// such as agent, is a command for dom0.
func (c *client) dispatch(args []string) int {
	if len(args) > 0 {
		switch rest := args[1:]; args[0] {
		case "key":
			return c.key(rest)
		case "ping":
			return c.pingVerb()
		case "status":
			return c.status()
		case "queue":
			return c.queue(rest)
		case "log":
			return c.log(rest)
		case "history":
			return c.history(rest)
		}
	}
	return c.command(args)
}

// interrupted ends the program as Ctrl-C does: what is pending stays, and runs
// (2-6).
func interrupted(signals <-chan os.Signal) {
	<-signals
	os.Exit(130)
}

func fail(text string) int {
	fmt.Fprintln(os.Stderr, "qvm-remote: "+text)
	return 1
}

// migrate is P-2.
func migrate(home string) {
	old, now := filepath.Join(home, ".qubes-remote"), filepath.Join(home, ".qvm-remote")
	if _, err := os.Lstat(now); err != nil && errors.Is(err, os.ErrNotExist) {
		_ = os.Rename(old, now)
	}
}

func (c *client) path(p ...string) string {
	return filepath.Join(append([]string{c.root}, p...)...)
}

// write writes in place with the mode the umask leaves, 0644 as a rule (P-1),
// and stops at the points open, half and the file's own.
func write(path, content, point string, at func(string)) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o666)
	if err != nil {
		return err
	}
	defer f.Close()
	at(point + "-open")
	half := len(content) / 2
	if _, err := f.WriteString(content[:half]); err != nil {
		return err
	}
	at(point + "-half")
	if _, err := f.WriteString(content[half:]); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	at(point)
	return nil
}
