package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"qvmremote/daemon/admin"
	"qvmremote/daemon/keys"
	"qvmremote/queue"
)

const keyOnStdin = "a key on the command line can be seen by other accounts (ps) and stays in the shell's history; give it on stdin instead"

func (a *app) authorize() *cobra.Command {
	var terms admin.Terms
	var read func() error
	c := &cobra.Command{Use: "authorize VM [KEY]", Args: between(1, 2), Short: "Let a qube run commands in dom0, with its key from stdin",
		Long: "Store the key of a qube and add it to QVM_REMOTE_VMS.\n\n" +
			"The key is what `qvm-remote key show` prints in the qube. It is read from stdin; on a\n" +
			"terminal it is asked for. What whoever has it can do is for the qube's policy to say: where\n" +
			"it has none, one is written that allows everything in dom0 and every qube (allow **), or\n" +
			"what --policy says. A key that was authorised on other terms counts on these from now on.",
		RunE: a.onDom0(func(ctx context.Context, d dom0, args []string) error {
			if err := read(); err != nil {
				return err
			}
			key, err := a.keyFrom(ctx, args)
			if err != nil {
				return err
			}
			ch, err := a.confirming(ctx, terms, func(ctx context.Context, terms admin.Terms) (admin.Change, error) {
				return d.Authorize(ctx, args[0], key, terms)
			})
			a.warn(ch.Warnings...)
			if err != nil {
				return err
			}
			a.authorized(ch)
			return nil
		})}
	c.Flags().BoolVar(&terms.Replace, "replace", false, "replace another key of this qube without asking; 'rotate' is the gentle way")
	read = termsFlags(c, &terms)
	c.Flags().BoolVar(&terms.Legacy, "legacy", false, "also take requests of version 1, the first implementation's: insecure, for a qube that has nothing newer")
	return c
}

// keyFrom takes the key from the command line, if it is there, or reads it.
func (a *app) keyFrom(ctx context.Context, args []string) (queue.Key, error) {
	if len(args) < 2 {
		return a.readKey(ctx, queue.Escape(args[0], 40))
	}
	a.warn(keyOnStdin)
	return queue.ParseKey([]byte(args[1]))
}

// confirming asks before a key is replaced, where somebody can answer.
func (a *app) confirming(ctx context.Context, terms admin.Terms, do taking) (admin.Change, error) {
	ch, err := do(ctx, terms)
	var other *admin.ReplaceError
	if !errors.As(err, &other) || !a.interactive() {
		return ch, err
	}
	a.say("VM '%s' has another key, which would be dead at once.\n  now: %s\n  new: %s\n(`qvm-remote-dom0 rotate %[1]s` lets both count until the new one is first used.)", other.VM, other.Old, other.New)
	yes, err := a.agrees(ctx, "Type 'yes' to replace it: ")
	if err != nil {
		return ch, err
	}
	if !yes {
		a.say("Aborted.")
		return ch, errSaid
	}
	terms.Replace = true
	return do(ctx, terms)
}

func (a *app) authorized(ch admin.Change) {
	a.say("Authorized VM '%s'. Key stored in %s", ch.VM, ch.KeyFile)
	a.say("Fingerprint: %s", ch.Fingerprint)
	a.say("dom0 looks at: %s (%s)", orDash(strings.Join(ch.VMs, " ")), ch.Config)
}

func (a *app) revoke() *cobra.Command {
	var kill bool
	c := &cobra.Command{Use: "revoke VM", Args: between(1, 1), Short: "Take a qube's key away; each of its requests is denied from then on",
		Long: "Take a qube's key away. Its policy stays where it is, and counts again when the qube is\nauthorised again.",
		RunE: a.onDom0(func(ctx context.Context, d dom0, args []string) error {
			ch, err := d.Revoke(ctx, args[0])
			a.warn(ch.Warnings...)
			if errors.Is(err, keys.ErrNoKey) {
				return fmt.Errorf("VM '%s' has no key", ch.VM)
			}
			if err != nil {
				return err
			}
			a.say("Revoked VM '%s'.", ch.VM)
			if kill {
				return a.killed(ctx, d, ch.VM)
			}
			return nil
		})}
	c.Flags().BoolVar(&kill, "kill", false, "also end what runs or waits of the qube")
	return c
}

func (a *app) rotate() *cobra.Command {
	var cancel bool
	c := &cobra.Command{Use: "rotate VM [KEY]", Args: between(1, 2), Short: "Give a qube a new key; the old one is dead once the new one was used",
		RunE: a.onDom0(func(ctx context.Context, d dom0, args []string) error {
			if cancel {
				return a.cancelRotation(ctx, d, args)
			}
			key, err := a.keyFrom(ctx, args)
			if err != nil {
				return err
			}
			ch, err := d.Rotate(ctx, args[0], key)
			a.warn(ch.Warnings...)
			if err != nil {
				return err
			}
			a.say("The new key of VM '%s' waits for its first use; until then the old one counts, too.", ch.VM)
			a.say("Fingerprint: %s", ch.Fingerprint)
			a.say("Use it now, in the qube: qvm-remote ping")
			return nil
		})}
	c.Flags().BoolVar(&cancel, "cancel", false, "drop the new key that was not used yet")
	return c
}

func (a *app) cancelRotation(ctx context.Context, d dom0, args []string) error {
	if len(args) > 1 {
		return errors.New("rotate --cancel takes no key")
	}
	ch, err := d.CancelRotation(ctx, args[0])
	a.warn(ch.Warnings...)
	if err != nil {
		return err
	}
	a.say("Dropped the new key of VM '%s'; the old one stays.", ch.VM)
	return nil
}

func (a *app) keys() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{Use: "keys", Args: between(0, 0), Short: "List who is authorized, by fingerprint",
		RunE: a.onDom0(func(ctx context.Context, d dom0, _ []string) error {
			list, err := d.Keys(ctx)
			if err != nil {
				return err
			}
			if asJSON {
				return a.json(list)
			}
			a.showKeys(list)
			return nil
		})}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func (a *app) showKeys(list []admin.Key) {
	if len(list) == 0 {
		a.say("No VMs authorized.")
		return
	}
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "VM\tFINGERPRINT\tAUTHORIZED\tSTATE")
	for _, k := range list {
		when := "-"
		if !k.Authorised.IsZero() {
			when = k.Authorised.Local().Format("2006-01-02 15:04")
		}
		state := k.State
		if !k.Configured && !k.Unsure {
			state += ", not configured"
		}
		if k.Legacy {
			state += ", legacy, insecure"
		}
		state += termsWords(k, time.Now())
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", k.VM, orDash(k.Fingerprint), when, state)
		if k.Next != "" {
			fmt.Fprintf(w, "\t%s\t\tnew, not used yet\n", k.Next)
		}
	}
	_ = w.Flush()
	for _, k := range list {
		if k.Problem != "" {
			a.warn(k.VM + ": " + k.Problem)
		}
	}
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
