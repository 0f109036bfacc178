package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"qvmremote/daemon/paths"
	"qvmremote/dbus"
	"qvmremote/queue"
)

const programName = "qvm-remote-dom0"

// app is one call of the program.
type app struct {
	in      *os.File
	out     io.Writer
	err     io.Writer
	environ []string
	euid    int
	root    string // --root
	offline bool   // --offline
	action  string // the command as it was typed, without arguments, once it is known
	daemon  daemonFlags
}

// errSaid ends the program with exit code 1 when all was said already.
var errSaid = errors.New("")

func (a *app) execute(ctx context.Context, args []string) int {
	root := a.command()
	root.SetArgs(args)
	root.SetOut(a.out)
	root.SetErr(a.err)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	a.complain(err)
	var exit exitError
	if errors.As(err, &exit) {
		return exit.code
	}
	return 1
}

// exitError ends the program with a code of its own.
type exitError struct {
	error
	code int
}

func (e exitError) Unwrap() error { return e.error }

// complain prints an error, whatever is in it, and what to do about it.
func (a *app) complain(err error) {
	if errors.Is(err, errSaid) {
		return
	}
	for i, line := range strings.Split(err.Error(), "\n") {
		if i == 0 {
			line = programName + ": " + line
		}
		fmt.Fprintln(a.err, plain(line))
	}
	if hint := a.hint(err); hint != "" {
		fmt.Fprintln(a.err, "hint: "+hint)
	}
}

// hint is what else may be done about an error, "" for nothing that it does not
// say itself.
func (a *app) hint(err error) string {
	switch {
	case unreachable(err):
		return "to work on the files instead, as root, for a rescue: " + programName + " --offline COMMAND"
	case errors.Is(err, dbus.Err(dbus.NotAuthorized)) && a.euid != 0:
		hint := "root needs no leave: sudo " + programName + " " + a.action
		if strings.Contains(err.Error(), "a password is needed") && !a.interactive() {
			hint += "; a password is asked for only where stdin is a terminal"
		}
		return hint
	case errors.Is(err, fs.ErrPermission) && a.euid != 0:
		return "this command must run as root in dom0"
	}
	return ""
}

// group is a command that only has subcommands.
func group(use, short string, sub ...*cobra.Command) *cobra.Command {
	names := make([]string, len(sub))
	for i, s := range sub {
		names[i] = s.Name()
	}
	c := &cobra.Command{Use: use, Short: short, Args: unknownCommand,
		RunE: func(*cobra.Command, []string) error {
			return fmt.Errorf("%s requires: %s", use, strings.Join(names, " | "))
		}}
	c.AddCommand(sub...)
	return c
}

func unknownCommand(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("unknown command: %s\n%s", queue.Escape(args[0], maxLine), helpHint(c))
	}
	return nil
}

// between checks the number of arguments and answers with the usage.
func between(least, most int) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) < least || len(args) > most {
			return fmt.Errorf("usage: %s", c.UseLine())
		}
		return nil
	}
}

// badFlag words an option's error as the first implementation did.
func badFlag(c *cobra.Command, err error) error {
	text := err.Error()
	if name, ok := strings.CutPrefix(text, "unknown flag: "); ok {
		return fmt.Errorf("unknown option: %s\n%s", queue.Escape(name, maxLine), helpHint(c))
	}
	if rest, ok := strings.CutPrefix(text, "unknown shorthand flag: '"); ok {
		name, _, _ := strings.Cut(rest, "'")
		return fmt.Errorf("unknown option: -%s\n%s", queue.Escape(name, maxLine), helpHint(c))
	}
	if what, _, ok := strings.Cut(text, " flag: strconv."); ok {
		return errors.New(what) // the rest names a function of Go
	}
	return err
}

func helpHint(c *cobra.Command) string { return "hint: " + c.CommandPath() + " --help" }

// actionOf is the command as it was typed, without the program's name.
func actionOf(c *cobra.Command) string { return strings.TrimPrefix(c.CommandPath(), programName+" ") }

// needRoot refuses what works on the files of a real dom0 to all but root.
func (a *app) needRoot(root paths.Root, action string) error {
	if !root.Real() || a.euid == 0 {
		return nil
	}
	hint := "sudo " + programName + " " + action
	if a.offline {
		hint = "sudo " + programName + " --offline " + action
	}
	if action == daemonAction {
		hint = "sudo " + programName
	}
	return fmt.Errorf("must run as root to %s\nhint: %s", action, hint)
}

func (a *app) rootDir() (paths.Root, error) {
	dir, err := filepath.Abs(a.root)
	if err != nil {
		return "", fmt.Errorf("--root %s: %w", queue.Quote(a.root, 200), err)
	}
	return paths.Root(dir), nil
}

// who names, for the record, the account that does this, and for whom where
// sudo says so.
func (a *app) who() string {
	name := strconv.Itoa(os.Getuid())
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	for _, e := range a.environ {
		if by, ok := strings.CutPrefix(e, "SUDO_USER="); ok && queue.ValidAccount(by) && by != name {
			return name + " (sudo by " + by + ")"
		}
	}
	return name
}

// say prints one line for people.
func (a *app) say(format string, args ...any) { fmt.Fprintf(a.out, format+"\n", args...) }

func (a *app) warn(warnings ...string) {
	for _, w := range warnings {
		fmt.Fprintln(a.err, "warning: "+plain(w))
	}
}

// maxLine bounds one line that may hold text from elsewhere.
const maxLine = 2000 // characters

// plain makes a line fit for a terminal whatever is in it.
func plain(line string) string { return queue.Plain(line, maxLine) }
