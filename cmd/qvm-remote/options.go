package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"qvmremote/queue"
)

// options are what stands before the command, and the command.
type options struct {
	timeout, within time.Duration // 0 = the default
	verbose, quiet  bool
	stdin, detach   bool
	json            bool
	help, version   bool
	agent           string
	words           []string
	literal         bool // the words stood after "--": a command for dom0, whatever they are
}

// verb is the word that may name one of the program's own commands.
func (o *options) verb() string {
	if o.literal || len(o.words) == 0 {
		return ""
	}
	return o.words[0]
}

// parse reads options up to the first word; what follows belongs to the
// command.
func parse(args []string) (options, error) {
	var o options
	for len(args) > 0 {
		arg := args[0]
		if arg == "--" {
			o.words, o.literal = args[1:], true
			return o, nil
		}
		if len(arg) < 2 || arg[0] != '-' {
			o.words = args
			return o, nil
		}
		args = args[1:]
		used, err := o.set(arg, args)
		if err != nil {
			return o, err
		}
		args = args[used:]
	}
	return o, nil
}

// set takes one option and returns how many of rest were its value.
func (o *options) set(arg string, rest []string) (used int, err error) {
	name, value, attached := strings.Cut(arg, "=")
	flag := map[string]*bool{
		"-v": &o.verbose, "--verbose": &o.verbose, "-q": &o.quiet, "--quiet": &o.quiet,
		"-i": &o.stdin, "--stdin": &o.stdin, "--detach": &o.detach, "--json": &o.json,
		"-h": &o.help, "--help": &o.help, "--version": &o.version,
	}[arg]
	if flag != nil {
		*flag = true
		return 0, nil
	}
	var seconds *time.Duration
	max := int64(queue.MaxTimeout)
	switch name {
	case "-t", "--timeout":
		seconds, name = &o.timeout, "-t"
	case "--within":
		seconds, max = &o.within, int64(queue.MaxWithin/time.Second)
	case "--agent":
		if !attached || value == "" {
			return 0, usageError{"--agent requires a folder: --agent=DIR"}
		}
		o.agent = value
		return 0, nil
	default:
		return 0, usageError{"unknown option: " + arg}
	}
	if !attached {
		if len(rest) == 0 {
			return 0, usageError{name + " requires a value"}
		}
		value, used = rest[0], 1
	}
	n, err := strconv.ParseInt(value, 10, 64)
	switch {
	case err != nil:
		return 0, usageError{name + " requires an integer, got: " + value}
	case n <= 0:
		return 0, usageError{name + " must be a positive integer"}
	case n > max:
		return 0, usageError{fmt.Sprintf("%s must be at most %d", name, max)}
	}
	*seconds = time.Duration(n) * time.Second
	return used, nil
}

// asksHelp reports whether the arguments of one of the program's own commands
// ask for help. None of these commands takes such a word for anything else.
func asksHelp(args []string) bool {
	return slices.Contains(args, "-h") || slices.Contains(args, "--help")
}

// jsonVerbs can print JSON. For the others --json is refused: a program that
// reads their output should not find out by failing.
var jsonVerbs = []string{"status", "queue", "history", "doctor"}

var errNoJSON = usageError{"--json goes with " + strings.Join(jsonVerbs, ", ")}

func asksJSON(o options) bool { return o.json || slices.Contains(o.words[1:], "--json") }

const usage = `usage: qvm-remote [OPTIONS] COMMAND [ARG…]
       qvm-remote [OPTIONS] < SCRIPT
       qvm-remote key|ping|status|queue|log|history|wait|cancel|doctor|push|pull …

Execute commands in dom0, from a qube that dom0 has authorised.
One argument is a line for dom0's shell, as with ssh; several are a command and
exactly its arguments. Without a command the script is read from standard input.
Of each output the first 10 MiB come back (dom0's settings can say less).

Options (before the command):
  -t, --timeout SEC  stop the command after SEC seconds (1 to 86400; default 300)
      --within SEC   it must start within SEC seconds, else it never runs
                     (default 300; with --detach 86400)
  -i, --stdin        give the command this program's standard input (64 MiB at most)
      --detach       print the request's id and do not wait
  -v, --verbose      tell the id and each step
  -q, --quiet        do not tell progress
      --json         status, queue, history, doctor: print JSON
  -h, --help         this text
      --version      the version
  --                 what follows is a command for dom0, even if it is named below

Commands of its own:
  key gen [--force]  make this qube's key and print it
  key show           print the key
  key import         read a key from standard input
  ping               ask dom0 for a sign of life
  status             key, queue and connection at a glance
  queue [status]     what is in the queue
  queue clean [--all]  remove what is left over; with --all everything
  queue debug        every file in the queue
  log [N]            the last N lines of this qube's log (20)
  history [N]        the last N commands (10)
  wait ID            wait for a request and show its output
  cancel ID          take a request back
  doctor             find out why commands do not run
  push LOCAL DOM0PATH [--force]   send a file of any size to dom0
  pull DOM0PATH LOCAL [--force]   fetch one from dom0; --force replaces a file,
                     and the same command again goes on with what was interrupted

QVM_REMOTE_LEGACY=1 in the environment: speak version 1, to a dom0 that has
nothing newer. This is insecure: it authenticates a command's id and not the
command, and no answer is signed. Without -i, --detach, --within and cancel; -t
bounds the wait only, dom0 stops a command after 300 s.

Exit code: the command's own; 1 usage, 124 timed out, 125 qvm-remote itself
failed or the command was interrupted, 126 denied, 130 cancelled, 141 broken pipe.
`
