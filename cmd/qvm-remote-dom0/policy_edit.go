package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"qvmremote/daemon/admin"
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
		RunE: a.onDom0(func(ctx context.Context, d dom0, args []string) error {
			return (&edit{app: a, dom0: d, vm: args[0]}).run(ctx)
		})}
}

// rulebook is the rules of qubes.
type rulebook interface {
	Rules(ctx context.Context, vm string) (text string, err error)
	// SetRules replaces those that were read before, if they are still the same.
	SetRules(ctx context.Context, vm, text, before string) (admin.Change, error)
}

func (f onFiles) Rules(_ context.Context, vm string) (string, error) {
	r, err := f.Admin.Rules(vm)
	return r.Text, err
}

func (f onFiles) SetRules(ctx context.Context, vm, text, before string) (admin.Change, error) {
	return f.Admin.SetRules(ctx, vm, text, admin.HashOfRules(before))
}

func (b *overBus) Rules(ctx context.Context, vm string) (string, error) {
	p, err := b.c.Policy(ctx, vm)
	return p.Text, err
}

func (b *overBus) SetRules(ctx context.Context, vm, text, before string) (admin.Change, error) {
	warnings, err := b.c.SetPolicy(ctx, vm, text, admin.HashOfRules(before))
	return b.changed(ctx, vm, "", warnings, err)
}

// edit is one editing of one qube's rules, in a copy.
type edit struct {
	app    *app
	dom0   dom0
	vm     string
	draft  string // path
	before string // "": there were none
}

func (e *edit) run(ctx context.Context) error {
	var err error
	if e.before, err = e.dom0.Rules(ctx, e.vm); err != nil {
		return err
	}
	start := e.before
	if start == "" {
		start = newPolicy
	}
	work, err := os.MkdirTemp("", programName+"-")
	if err != nil {
		return fmt.Errorf("cannot make a folder for the copy: %w", err)
	}
	e.draft = filepath.Join(work, e.vm+".policy") // a qube's name by now
	if err := os.WriteFile(e.draft, []byte(start), 0o600); err != nil {
		return fmt.Errorf("cannot write the copy to edit: %w", err)
	}
	if err := e.until(ctx, start); err != nil {
		return err // the copy is kept: it may be an hour's work
	}
	return os.RemoveAll(work)
}

// until lets the copy be edited until it can take the rules' place.
func (e *edit) until(ctx context.Context, start string) error {
	for {
		if err := e.open(ctx); err != nil {
			return err
		}
		text, err := readBounded(e.draft, policy.MaxFile)
		if err == nil && string(text) == start {
			e.app.say("Nothing was changed.")
			return nil
		}
		if err == nil {
			if err = e.replace(ctx, string(text)); err == nil {
				return nil
			}
		}
		e.app.complain(err)
		again, answer := e.again(ctx)
		if !again {
			return errors.Join(answer, fmt.Errorf("the rules of %s are as they were; what you wrote is in %s", e.vm, e.draft))
		}
	}
}

// again asks whether to go on; where nobody can be asked, it does not.
func (e *edit) again(ctx context.Context) (bool, error) {
	if !e.app.interactive() {
		return false, nil
	}
	return e.app.agrees(ctx, "Edit it again? Type yes, or anything else to give up: ")
}

func (e *edit) replace(ctx context.Context, text string) error {
	c, err := e.dom0.SetRules(ctx, e.vm, text, e.before)
	if err != nil {
		return err
	}
	e.app.say("The rules of %s are in force within a second.", e.vm)
	e.app.warn(c.Warnings...)
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
