package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/term"

	"qvmremote/client"
	"qvmremote/queue"
)

// verbs are the program's own commands. Each returns the exit code.
var verbs = map[string]func(*program, []string) (int, error){
	"key":     (*program).key,
	"ping":    (*program).ping,
	"status":  (*program).status,
	"queue":   (*program).queue,
	"log":     (*program).log,
	"history": (*program).history,
	"wait":    (*program).wait,
	"cancel":  (*program).cancel,
	"doctor":  (*program).doctor,
	"push":    (*program).push,
	"pull":    (*program).pull,
	"backup":  (*program).backup,
}

// arguments takes --json and the named flags out of a verb's arguments.
func (p *program) arguments(args []string, most int, flags map[string]*bool) ([]string, error) {
	var words []string
	for _, a := range args {
		switch {
		case a == "--json":
			p.json = true
		case flags[a] != nil:
			*flags[a] = true
		case len(a) > 1 && a[0] == '-' && a != "-n":
			return nil, usageError{"unknown option: " + a}
		default:
			words = append(words, a)
		}
	}
	if len(words) > most {
		return nil, usageError{"unexpected argument: " + words[most]}
	}
	return words, nil
}

func (p *program) key(args []string) (int, error) {
	if len(args) == 0 {
		return 0, usageError{"key requires: gen | show | import"}
	}
	force := false
	words, err := p.arguments(args[1:], 1, map[string]*bool{"--force": &force})
	if err != nil {
		return 0, err
	}
	switch verb := args[0]; {
	case verb != "gen" && verb != "show" && verb != "import":
		return 0, usageError{"unknown key command: " + verb}
	case verb != "import" && len(words) > 0:
		return 0, usageError{"unexpected argument: " + words[0]}
	case verb == "gen":
		return p.keyGen(force)
	case verb == "show":
		k, err := p.c.Key()
		if err != nil {
			return 0, exitError{queue.ExitUsage, err}
		}
		return p.print(string(k.Reveal()) + "\n"), nil
	default:
		return p.keyImport(words)
	}
}

func (p *program) keyGen(force bool) (int, error) {
	if err := p.c.Prepare(); err != nil {
		return 0, err
	}
	k, err := p.c.GenerateKey(force)
	if errors.Is(err, client.ErrKeyExists) {
		return 0, exitError{queue.ExitUsage, err}
	}
	if err != nil {
		return 0, err
	}
	p.say("Key saved to %s", p.c.Layout.Key())
	p.say("Fingerprint: %s", k.Fingerprint())
	p.say("Register in dom0, and paste the key when asked:")
	p.say("  %s", p.c.Authorize(p.ctx))
	if p.c.Legacy {
		p.say("%s", client.LegacyOptions)
	}
	return p.print(string(k.Reveal()) + "\n"), nil
}

func (p *program) keyImport(words []string) (int, error) {
	var text []byte
	var err error
	switch {
	case len(words) > 0:
		p.say("qvm-remote: warning: a key in the command line is visible to other programs (ps); give it on standard input")
		text = []byte(words[0])
	case term.IsTerminal(int(p.in.Fd())):
		text, err = p.ask("Key: ")
	default:
		text, err = bufio.NewReader(io.LimitReader(p.in, 4096)).ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			err = nil
		}
	}
	if err != nil {
		return 0, fmt.Errorf("cannot read the key: %w", err)
	}
	k, err := queue.ParseKey(text)
	if err != nil {
		return 0, exitError{queue.ExitUsage, err}
	}
	if err := p.c.Prepare(); err != nil {
		return 0, err
	}
	if err := p.c.ImportKey(k); err != nil {
		return 0, err
	}
	p.say("Key imported to %s", p.c.Layout.Key())
	p.say("Fingerprint: %s", k.Fingerprint())
	return 0, nil
}

// ask reads a line from the terminal without showing it. A signal must not
// leave the terminal like that.
func (p *program) ask(prompt string) ([]byte, error) {
	fd := int(p.in.Fd())
	before, err := term.GetState(fd)
	if err != nil {
		return nil, err
	}
	defer p.catch()()
	defer context.AfterFunc(p.ctx, func() {
		_ = term.Restore(fd, before)
		os.Exit(p.stopped())
	})()
	fmt.Fprint(p.err, prompt)
	text, err := term.ReadPassword(fd)
	p.say("")
	return text, err
}

func (p *program) ping(args []string) (int, error) {
	if _, err := p.arguments(args, 0, nil); err != nil {
		return 0, err
	}
	if err := p.c.Prepare(); err != nil {
		return 0, err
	}
	defer p.catch()()
	o, err := p.c.Ping(p.ctx)
	switch {
	case errors.Is(err, client.ErrNotTaken), errors.Is(err, client.ErrNoAnswer):
		p.say("qvm-remote-dom0 is NOT responding.")
		p.say("troubleshooting:")
		p.say("  1. in dom0: qvm-remote-dom0 status (does it run, does it serve this qube?)")
		p.say("  2. in dom0: %s (does it know this qube's key?)", p.c.Authorize(p.ctx))
		if p.c.Legacy {
			p.say("     %s", client.LegacyOptions)
		}
		p.say("  3. here, as the account user and without sudo: qvm-remote status")
		p.say("  4. here: qvm-remote doctor")
		return queue.ExitUsage, nil
	case err != nil:
		return 0, err
	case o.State != queue.StateExit:
		p.say("qvm-remote: qvm-remote-dom0 is responding, but: %s", ending(o, 1))
		return o.Exit, nil
	}
	text := "qvm-remote-dom0 is responding.\n"
	if o.Legacy {
		text += client.LegacyRisk + "\n"
	}
	return p.print(text), nil
}

// ticket reads the id that wait and cancel need.
func (p *program) ticket(verb string, args []string) (*client.Ticket, error) {
	words, err := p.arguments(args, 1, nil)
	if err != nil {
		return nil, err
	}
	if len(words) == 0 {
		return nil, usageError{verb + " requires an id. To list them: qvm-remote history"}
	}
	t, err := p.c.Ticket(words[0])
	if err != nil {
		return nil, exitError{queue.ExitUsage, fmt.Errorf("%s: %w", words[0], err)}
	}
	return t, nil
}

func (p *program) wait(args []string) (int, error) {
	t, err := p.ticket("wait", args)
	if err != nil {
		return 0, err
	}
	defer p.catch()()
	return p.follow(t, p.leave)
}

func (p *program) cancel(args []string) (int, error) {
	t, err := p.ticket("cancel", args)
	if err != nil {
		return 0, err
	}
	o, err := p.c.Cancel(p.ctx, t)
	if err != nil {
		return 0, fmt.Errorf("%w (id=%s)", err, t.ID)
	}
	if o.State == queue.StateCancelled {
		p.say("qvm-remote: cancelled (id=%s)", t.ID)
		return 0, nil
	}
	text := ending(o, t.Timeout)
	if text == "" {
		text = "exit " + strconv.Itoa(o.Exit)
	}
	return 0, exitError{queue.ExitUsage, fmt.Errorf("it had ended already: %s (id=%s)", text, t.ID)}
}

// number reads "N" or "-n N".
func number(words []string, otherwise int) (int, error) {
	if len(words) > 0 && words[0] == "-n" {
		if words = words[1:]; len(words) == 0 {
			return 0, usageError{"-n requires a value"}
		}
	}
	if len(words) > 1 {
		return 0, usageError{"unexpected argument: " + words[1]}
	}
	if len(words) == 0 {
		return otherwise, nil
	}
	n, err := strconv.Atoi(words[0])
	if err != nil || n < 0 || strings.HasPrefix(words[0], "+") {
		return 0, usageError{"not a number of lines: " + words[0]}
	}
	return min(n, 1_000_000), nil
}
