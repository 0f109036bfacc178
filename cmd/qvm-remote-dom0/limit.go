package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"qvmremote/daemon/admin"
	"qvmremote/daemon/trusted"
	"qvmremote/queue"
)

// limitFlags are those of how long a key counts.
func limitFlags(c *cobra.Command, l *admin.Limit) {
	f := c.Flags()
	f.DurationVar(&l.For, "for", 0, "let the key count for so long, such as 2h, and until dom0 reboots at most")
	f.Int64Var(&l.Count, "count", 0, "let the key count for so many commands")
	f.BoolVar(&l.UntilReboot, "until-reboot", false, "let the key count until dom0 reboots")
}

// noZero refuses a limit of nothing, which would be none: a script may have
// meant a number that it does not have.
func noZero(c *cobra.Command, l *admin.Limit) error {
	for name, zero := range map[string]bool{"for": l.For == 0, "count": l.Count == 0} {
		if c.Flags().Changed(name) && zero {
			return fmt.Errorf("--%s 0 is no limit; leave it out for a key without an end", name)
		}
	}
	return nil
}

// termsFlags are those of what a qube is authorised for; the function reads
// what was given.
func termsFlags(c *cobra.Command, terms *admin.Terms) func() error {
	policy := c.Flags().String("policy", "", "rules of the qube: allow, ask or deny everything, or a FILE with rules (default: allow, where it has none)")
	limitFlags(c, &terms.Limit)
	return func() (err error) {
		terms.Rules, terms.ReplaceRules = admin.RulesAllow, *policy != ""
		switch *policy {
		case "", "allow":
		case "ask":
			terms.Rules = admin.RulesAsk
		case "deny":
			terms.Rules = admin.RulesDeny
		default:
			terms.Rules, err = rulesFrom(*policy)
		}
		return errors.Join(err, noZero(c, &terms.Limit), terms.Limit.Check()) // before it is spelled for the bus, which knows no negative one
	}
}

const maxRules = 64 << 10 // bytes

func rulesFrom(path string) (string, error) {
	text, _, err := trusted.Read(path, maxRules)
	if errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("--policy is allow, ask, deny or a file, and there is no file %s", queue.Quote(path, 200))
	}
	if err == nil && len(text) == 0 {
		err = fmt.Errorf("%s is empty: it would deny everything; say so: --policy deny", queue.Quote(path, 200))
	}
	if err != nil {
		return "", fmt.Errorf("--policy: %w", err)
	}
	return string(text), nil
}

func (a *app) limit() *cobra.Command {
	var limit admin.Limit
	var none bool
	c := &cobra.Command{Use: "limit VM", Args: between(1, 1), Short: "Change for how long, or how many commands, a qube's key counts",
		Long: "Change for how long, or for how many commands, the key of a qube counts: longer, shorter, or\n" +
			"without an end. It begins now. A time ends with the boot as well: after a reboot only the wall\n" +
			"clock could tell how much is left, and dom0 takes that from a qube.",
		RunE: a.onDom0(func(ctx context.Context, d dom0, args []string) error {
			if none == !limit.IsZero() {
				return errors.New("limit takes --for, --count or --until-reboot, or else --none")
			}
			if err := limit.Check(); err != nil {
				return err
			}
			ch, err := d.Limit(ctx, args[0], limit)
			a.warn(ch.Warnings...)
			if err != nil {
				return err
			}
			a.say("The key of VM '%s' counts %s.", ch.VM, limit)
			return nil
		})}
	limitFlags(c, &limit)
	c.Flags().BoolVar(&none, "none", false, "let the key count without an end")
	return c
}

// resumeQube has a suspended qube's requests taken again.
func (a *app) resumeQube(ctx context.Context, d dom0, vm string) error {
	ch, err := d.Readmit(ctx, vm)
	a.warn(ch.Warnings...)
	if err != nil {
		return err
	}
	a.say("Requests of VM '%s' are taken.", ch.VM)
	return nil
}

// killed ends what runs or waits of a qube, after its key was taken away.
func (a *app) killed(ctx context.Context, d dom0, vm string) error {
	list, err := d.Commands(ctx)
	var errs []error
	for _, c := range list {
		if c.Qube == vm && c.State != "delivering" {
			errs = append(errs, d.Cancel(ctx, c.Number))
		}
	}
	if err = errors.Join(append(errs, err)...); err != nil {
		return fmt.Errorf("the key is gone, but not all that ran was ended: %w", err)
	}
	a.say("Ended %d command(s).", len(errs))
	return nil
}

// termsWords says for people for how long a key counts, and what else keeps it
// from counting.
func termsWords(k admin.Key, now time.Time) string {
	var words []string
	switch {
	case k.Ended:
		words = append(words, "ENDED")
	case !k.Until.IsZero():
		words = append(words, max(k.Until.Sub(now), 0).Round(time.Second).String()+" left")
	case k.UntilReboot:
		words = append(words, "until reboot")
	}
	if k.Count > 0 && !k.Ended {
		words = append(words, fmt.Sprintf("%d of %d commands left", k.Left, k.Count))
	}
	if !k.Suspended.IsZero() {
		words = append(words, "SUSPENDED")
	}
	switch k.Rules {
	case "":
	case admin.NoRules:
		words = append(words, "NO-POLICY")
	default:
		words = append(words, "BAD-POLICY")
	}
	if len(words) == 0 {
		return ""
	}
	return ", " + strings.Join(words, ", ")
}
