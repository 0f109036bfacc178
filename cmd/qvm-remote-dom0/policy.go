package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"qvmremote/daemon/paths"
	"qvmremote/daemon/policy"
	"qvmremote/queue"
)

// policies is the command about rules. It works on the files: what the daemon
// decides by is what is in them, a second later.
func (a *app) policies() *cobra.Command {
	return group("policy", "Read, edit and try the rules about what a qube may run",
		a.policyShow(), a.policyCheck(), a.policyEdit(), a.policyExplain(), a.policyTest())
}

// onPolicies runs do with the folder of the policies.
func (a *app) onPolicies(do func(ctx context.Context, dir string, args []string) error) func(*cobra.Command, []string) error {
	return func(c *cobra.Command, args []string) error {
		a.action = actionOf(c)
		root, err := a.rootDir()
		if err != nil {
			return err
		}
		if err := a.needRoot(root, a.action); err != nil {
			return err
		}
		return do(c.Context(), root.Keys(), args)
	}
}

// policiesOf completes a qube's name from those that have a policy.
func (a *app) policiesOf(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	names, _ := policy.Names(paths.Root(a.root).Keys()) // who may not look gets none
	return names, cobra.ShellCompDirectiveNoFileComp
}

// load reads a qube's policy, which must be there.
func load(dir, vm string) (*policy.Policy, error) {
	p, err := policy.Load(dir, vm)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s has no policy, so all it asks for is denied; write one: %s policy edit %[1]s", vm, programName)
	}
	return p, err
}

func (a *app) policyShow() *cobra.Command {
	return &cobra.Command{Use: "show VM", Short: "Show the rules and limits of a qube, with those of the files it includes",
		Args: between(1, 1), ValidArgsFunction: a.policiesOf,
		RunE: a.onPolicies(func(_ context.Context, dir string, args []string) error {
			p, err := load(dir, args[0])
			if err != nil {
				return err
			}
			for _, line := range append(p.Limits().Strings(), p.Rules()...) {
				a.say("%s", plain(line))
			}
			a.warn(p.Warnings()...)
			return nil
		})}
}

func (a *app) policyCheck() *cobra.Command {
	return &cobra.Command{Use: "check [VM]...", Short: "Look for errors, and for rules that do less or let through more than they seem to",
		Args: between(0, math.MaxInt), ValidArgsFunction: a.policiesOf,
		RunE: a.onPolicies(func(_ context.Context, dir string, vms []string) error {
			if len(vms) == 0 {
				names, err := policy.Names(dir)
				if err != nil {
					return err
				}
				if vms = names; len(vms) == 0 {
					a.say("No qube has a policy.")
				}
			}
			bad := false
			for _, vm := range vms {
				p, err := load(dir, vm)
				if err != nil {
					a.complain(err)
					bad = true
					continue
				}
				a.say("%s: no error in %d rules", vm, len(p.Rules()))
				a.warn(p.Warnings()...)
			}
			return said(bad, nil)
		})}
}

func (a *app) policyExplain() *cobra.Command {
	return &cobra.Command{Use: "explain VM [COMMAND]...", Short: "Say what would become of a request, and why",
		Long:              "The request is COMMAND, its words with a blank between them, or what stdin holds.\nNothing is run.",
		Args:              between(1, math.MaxInt),
		ValidArgsFunction: a.policiesOf,
		RunE: a.onPolicies(func(ctx context.Context, dir string, args []string) error {
			p, err := load(dir, args[0])
			if err != nil {
				return err
			}
			script := []byte(strings.Join(args[1:], " "))
			if len(args) == 1 {
				script, err = await(ctx, func() ([]byte, error) { return io.ReadAll(io.LimitReader(a.in, queue.MaxScript+1)) })
			}
			if err != nil {
				return fmt.Errorf("cannot read the command: %w", err)
			}
			if len(script) > queue.MaxScript {
				return fmt.Errorf("a script of more than %d bytes is refused whatever the rules say", queue.MaxScript)
			}
			a.explain(p.Explain(script))
			return nil
		})}
}

// explain shows an explanation, the answer first.
func (a *app) explain(e policy.Explanation) {
	a.say("%s", plain(e.Decision.String()))
	if e.Obstacle != "" {
		a.say("%s", plain("This is a script, which no rule about a command matches: "+e.Obstacle))
	}
	for _, part := range e.Parts {
		what := "The script"
		if part.Words != nil {
			var words []string
			for _, w := range part.Words {
				words = append(words, queue.Quote(w, 200))
			}
			what = strings.Join(words, " ")
		}
		a.say("%s", plain(what+": "+part.Decision.String()))
		for _, s := range part.Steps {
			matches := "no"
			if s.Matched {
				matches = "yes"
			}
			a.say("%s", plain(fmt.Sprintf("  %-3s  %s: %s", matches, s.Rule, s.Why)))
		}
	}
}

// maxExpected bounds a file of expectations.
const maxExpected = 1 << 20 // bytes

func (a *app) policyTest() *cobra.Command {
	return &cobra.Command{Use: "test FILE", Short: "Hold policies against a file that says what is expected of them",
		Long: "A line \"policy VM\" or \"set NAME\" says which rules the lines below it are about. Each of\n" +
			"those is allow, ask or deny and a command; a line that begins with a blank goes on with the\n" +
			"one before. Nothing is run.",
		Args: between(1, 1),
		RunE: a.onPolicies(func(_ context.Context, dir string, args []string) error {
			text, err := readBounded(args[0], maxExpected)
			if err != nil {
				return err
			}
			list, err := policy.Expectations(args[0], text)
			if err != nil {
				return err
			}
			failed := 0
			loaded := map[string]*policy.Policy{}
			for _, e := range list {
				key := fmt.Sprint(e.Set, e.Policy)
				if loaded[key] == nil {
					if loaded[key], err = e.LoadFor(dir); err != nil {
						return err
					}
				}
				if text := e.Met(loaded[key]); text != "" {
					a.say("%s", plain(text))
					failed++
				}
			}
			a.say("%d of %d as expected", len(list)-failed, len(list))
			return said(failed > 0, nil)
		})}
}

func readBounded(path string, max int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	b, err := io.ReadAll(io.LimitReader(f, max+1))
	if err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", path, err)
	}
	if int64(len(b)) > max {
		return nil, fmt.Errorf("%s is longer than %d bytes", path, max)
	}
	return b, nil
}
