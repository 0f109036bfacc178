// Command qvm-remote runs commands in dom0 from a qube that dom0 has
// authorised, and is the agent through which dom0 looks into the qube's queue.
//
// It passes a command's output on unchanged, as ssh does; everything else it
// prints that came from a file is escaped first.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"sync/atomic"
	"syscall"

	"golang.org/x/term"

	"qvmremote/client"
	"qvmremote/queue"
)

func main() { os.Exit(run(os.Args[1:])) }

// program is one invocation.
type program struct {
	options
	c   *client.Client
	in  *os.File
	out *os.File  // the command's output, and what was asked for
	err io.Writer // everything else

	ctx    context.Context // after catch: ends at the first signal
	caught atomic.Int32    // that signal
}

// usageError is a mistake in the command line: exit 1.
type usageError struct{ text string }

func (e usageError) Error() string { return e.text }

// exitError ends the program with a code after its message.
type exitError struct {
	code int
	err  error
}

func (e exitError) Error() string { return e.err.Error() }
func (e exitError) Unwrap() error { return e.err }

func run(args []string) int {
	p := &program{in: os.Stdin, out: os.Stdout, err: os.Stderr, ctx: context.Background()}
	opt, err := parse(args)
	p.options = opt
	switch {
	case err != nil:
		return p.fail(err)
	case opt.help, verbs[opt.verb()] != nil && asksHelp(opt.words[1:]):
		return p.print(usage)
	case opt.version:
		return p.print("qvm-remote " + queue.Version + "\n")
	case opt.agent != "":
		return serve(opt.agent)
	case len(args) == 0 && term.IsTerminal(int(p.in.Fd())):
		return p.print(usage)
	}
	signal.Ignore(syscall.SIGPIPE, syscall.SIGXFSZ) // they become errors of the write that met them
	root, err := client.DefaultRoot()
	if err != nil {
		return p.fail(err)
	}
	p.c = client.New(root)
	if p.c.Legacy, err = client.LegacyMode(); err != nil {
		return p.fail(usageError{err.Error()})
	}
	if err := p.c.Migrate(); err != nil {
		return p.fail(err)
	}
	if verb := verbs[opt.verb()]; verb != nil {
		if asksJSON(opt) && !slices.Contains(jsonVerbs, opt.verb()) {
			return p.fail(errNoJSON)
		}
		return p.finish(verb(p, opt.words[1:]))
	}
	return p.finish(p.execute())
}

// catch makes the first signal end p.ctx and the second one the program. It is
// called where there is something to take back; until then a signal ends the
// program as usual.
func (p *program) catch() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	p.ctx = ctx
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	go func() {
		for s := range signals {
			n, _ := s.(syscall.Signal)
			if !p.caught.CompareAndSwap(0, int32(n)) {
				os.Exit(128 + int(n))
			}
			cancel()
		}
	}()
	return cancel
}

// stopped is the exit code after a signal: 130 for Ctrl-C.
func (p *program) stopped() int { return 128 + int(p.caught.Load()) }

func (p *program) finish(code int, err error) int {
	if err != nil {
		return p.fail(err)
	}
	return code
}

// fail says what went wrong and returns the exit code for it.
func (p *program) fail(err error) int {
	code := queue.ExitInternal
	var exit exitError
	switch {
	case errors.As(err, &exit):
		code = exit.code
	case errors.As(err, new(usageError)), errors.Is(err, client.ErrLegacyCannot):
		code = queue.ExitUsage
	case errors.Is(err, client.ErrLegacyGone):
		code = queue.ExitDenied
	case errors.Is(err, client.ErrLegacyTimeout):
		code = queue.ExitTimeout
	case errors.Is(err, syscall.EPIPE):
		return queue.ExitBrokenPipe
	case p.caught.Load() != 0:
		code = p.stopped()
	}
	if p.json {
		p.encode(map[string]any{"error": map[string]any{"message": err.Error(), "exit": code}})
		return code
	}
	p.say("qvm-remote: %v", plain(err.Error()))
	if errors.As(err, new(usageError)) {
		p.say("hint: qvm-remote --help")
	}
	return code
}

// plain makes text that came from a file fit for a terminal.
func plain(s string) string { return queue.Escape(s, 0) }

// say prints one line for people. Arguments that came from files are escaped
// by the caller.
func (p *program) say(format string, args ...any) {
	fmt.Fprintf(p.err, format+"\n", args...)
}

// progress says what is going on, unless -q.
func (p *program) progress(format string, args ...any) {
	if !p.quiet {
		p.say("[qvm-remote] "+format, args...)
	}
}

// print writes what was asked for.
func (p *program) print(text string) int {
	w := bufio.NewWriter(p.out)
	_, _ = w.WriteString(text)
	if err := w.Flush(); err != nil {
		return p.fail(exitError{queue.ExitInternal, fmt.Errorf("cannot write: %w", err)})
	}
	return 0
}
