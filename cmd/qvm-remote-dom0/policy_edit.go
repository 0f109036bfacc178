package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"qvmremote/daemon/disk"
	"qvmremote/daemon/policy"
)

// newPolicy is what an editor is given where there is no policy yet. As it is,
// it allows nothing.
const newPolicy = `# What this qube may have dom0 run: one rule a line, the first that matches
# counts, and what none matches is denied.
#
#   allow qvm-ls **                              a command, and any words after it
#   allow qvm-prefs work memory 256..8192        a number within limits
#   ask   qvm-start {work,personal}              somebody in dom0 is asked
#   ask   script                                 what is more than plain commands
#   include read-only                            a set of rules that came with the package
#   limit requests 30/min
`

func (a *app) policyEdit() *cobra.Command {
	return &cobra.Command{Use: "edit VM", Short: "Edit the rules of a qube; only what has no error takes their place",
		Args: between(1, 1), ValidArgsFunction: a.policiesOf,
		RunE: a.onPolicies(func(ctx context.Context, dir string, args []string) error {
			path, err := policy.Path(dir, args[0])
			if err != nil {
				return err
			}
			return (&edit{app: a, dir: dir, path: path}).run(ctx)
		})}
}

// edit is one editing of one policy, in a copy.
type edit struct {
	app         *app
	dir         string // of the policies
	path, draft string
	before      []byte // nil: there was no policy
}

func (e *edit) run(ctx context.Context) error {
	before, err := e.current()
	if err != nil {
		return err
	}
	e.before = before
	start := before
	if before == nil {
		start = []byte(newPolicy)
	}
	work, err := os.MkdirTemp("", programName+"-")
	if err != nil {
		return fmt.Errorf("cannot make a folder for the copy: %w", err)
	}
	e.draft = filepath.Join(work, filepath.Base(e.path))
	if err := os.WriteFile(e.draft, start, 0o600); err != nil {
		return fmt.Errorf("cannot write the copy to edit: %w", err)
	}
	if err := e.until(ctx, start); err != nil {
		return err // the copy is kept: it may be an hour's work
	}
	return os.RemoveAll(work)
}

// until lets the copy be edited until it can take the policy's place.
func (e *edit) until(ctx context.Context, start []byte) error {
	for {
		if err := e.open(ctx); err != nil {
			return err
		}
		text, p, err := e.read()
		if err == nil && bytes.Equal(text, start) {
			e.app.say("Nothing was changed.")
			return nil
		}
		if err == nil {
			return e.replace(text, p)
		}
		e.app.complain(err)
		again, answer := e.again(ctx)
		if !again {
			return errors.Join(answer, fmt.Errorf("the policy is as it was; what you wrote is in %s", e.draft))
		}
	}
}

// current is the policy's text; nil where there is none.
func (e *edit) current() ([]byte, error) {
	text, err := readBounded(e.path, policy.MaxFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return text, err
}

func (e *edit) read() ([]byte, *policy.Policy, error) {
	text, err := readBounded(e.draft, policy.MaxFile)
	if err != nil {
		return nil, nil, err
	}
	p, err := policy.Parse(filepath.Base(e.path), text, policy.Includes(e.dir))
	return text, p, err
}

// again asks whether to go on; where nobody can be asked, it does not.
func (e *edit) again(ctx context.Context) (bool, error) {
	if !e.app.interactive() {
		return false, nil
	}
	return e.app.agrees(ctx, "Edit it again? Type yes, or anything else to give up: ")
}

func (e *edit) replace(text []byte, p *policy.Policy) error {
	now, err := e.current()
	if err == nil && !bytes.Equal(now, e.before) {
		err = errors.New("it was changed by somebody else meanwhile")
	}
	if err == nil {
		err = disk.Replace("policy.edit", e.path, text, 0o600)
	}
	if err != nil {
		return fmt.Errorf("%s was not replaced: %w; what you wrote is in %s", e.path, err, e.draft)
	}
	e.app.say("%s is in force within a second: %d rules.", e.path, len(p.Rules()))
	e.app.warn(p.Warnings()...)
	return nil
}

// open lets the editor run on the copy.
func (e *edit) open(ctx context.Context) error {
	words := editor(e.app.environ)
	c := exec.CommandContext(ctx, words[0], append(words[1:], e.draft)...)
	c.Cancel = func() error { return c.Process.Signal(os.Interrupt) } // it has the terminal to put in order
	c.Stdin, c.Stdout, c.Stderr = e.app.in, e.app.out, e.app.err
	if err := c.Run(); err != nil {
		return fmt.Errorf("the editor %s failed, and the policy is as it was; another one is chosen with EDITOR=: %w", words[0], err)
	}
	return nil
}

// editor is the one that the environment names, as words: no shell reads them.
func editor(environ []string) []string {
	for _, name := range []string{"VISUAL=", "EDITOR="} {
		for _, v := range environ {
			if value, ok := strings.CutPrefix(v, name); ok && len(strings.Fields(value)) > 0 {
				return strings.Fields(value)
			}
		}
	}
	return []string{"vi"}
}
