package main

import (
	"context"
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"qvmremote/daemon/admin"
)

func (a *app) connect() *cobra.Command {
	var terms admin.Terms
	var yes bool
	var read func() error
	c := &cobra.Command{Use: "connect VM [KEY]", Args: between(1, 2), Short: "Authorize a running qube with the key that it has",
		Long: "Read the key from the running qube, show its fingerprint, and authorize the qube once you\n" +
			"have compared it with what `qvm-remote status` shows there. KEY may be given instead.",
		RunE: a.onDom0(func(ctx context.Context, d dom0, args []string) error {
			if err := read(); err != nil {
				return err
			}
			take, err := a.keyOf(ctx, d, args, yes)
			if err != nil {
				return err
			}
			ch, err := a.confirming(ctx, terms, take)
			a.warn(ch.Warnings...)
			if err != nil {
				return err
			}
			a.say("Connected VM '%s'.", ch.VM)
			a.authorized(ch)
			return nil
		})}
	c.Flags().BoolVar(&terms.Replace, "replace", false, "replace another key of this qube without asking")
	read = termsFlags(c, &terms)
	c.Flags().BoolVar(&yes, "yes", false, "trust the key that the qube shows, without asking")
	return c
}

// keyOf takes the key that was given, or the qube's own once a person has
// compared it: the qube itself is all that vouches for it.
func (a *app) keyOf(ctx context.Context, d dom0, args []string, trusted bool) (taking, error) {
	if len(args) == 2 {
		key, err := a.keyFrom(ctx, args)
		return func(ctx context.Context, terms admin.Terms) (admin.Change, error) {
			return d.Connect(ctx, args[0], key, terms)
		}, err
	}
	fingerprint, take, err := d.Offered(ctx, args[0])
	if err != nil || trusted {
		return take, err
	}
	a.say("The key of VM '%s' has the fingerprint\n  %s", args[0], plain(fingerprint))
	ok, err := a.agrees(ctx, "Compare it with what `qvm-remote status` shows in the qube. Type 'yes' if it is the same: ")
	if err != nil {
		return nil, err
	}
	if !ok {
		a.say("Aborted.")
		return nil, errSaid
	}
	return take, nil
}

func (a *app) disconnect() *cobra.Command {
	return &cobra.Command{Use: "disconnect VM", Args: between(1, 1), Short: "Take a qube's key away, stop looking at it, and clean its queue",
		RunE: a.onDom0(func(ctx context.Context, d dom0, args []string) error {
			ch, err := d.Disconnect(ctx, args[0])
			a.warn(ch.Warnings...)
			if err != nil {
				return err
			}
			a.say("Disconnected VM '%s'. Cleaned %d queue file(s).", ch.VM, ch.Cleaned)
			a.say("dom0 looks at: %s (%s)", orDash(strings.Join(ch.VMs, " ")), ch.Config)
			return nil
		})}
}

const risk = `WARNING: every qube whose policy allows everything becomes as powerful as dom0.
WARNING: whoever controls such a qube, a web page that breaks out of its browser
WARNING: included, can read, change and destroy every qube and dom0 itself.
WARNING: Qubes OS exists to prevent exactly that. This service takes it away for
WARNING: the qubes you choose, now and at every boot from now on.
WARNING: Where the policy does not say "ask", nobody is. The audit log tells you
WARNING: afterwards, and root, which every command is, can rewrite it.
WARNING: Without this, ` + "`systemctl start qvm-remote-dom0`" + ` lasts until the next boot.`

func (a *app) enable() *cobra.Command {
	return &cobra.Command{Use: "enable", Args: between(0, 0), Short: "Start the daemon, now and at each boot",
		RunE: a.onDom0(func(ctx context.Context, d dom0, _ []string) error {
			a.say("%s", risk)
			yes, err := a.agrees(ctx, "Type 'yes' to accept this risk and enable: ")
			if err != nil {
				return err
			}
			if !yes {
				a.say("Aborted.")
				return errSaid
			}
			warnings, err := d.Enable(ctx)
			a.warn(warnings...)
			if err != nil && !errors.Is(err, admin.ErrOnlyAtBoot) {
				err = errors.Join(errors.New("not enabled"), err)
			}
			if err != nil {
				return err
			}
			a.say("Enabled and started.")
			return nil
		})}
}

func (a *app) disable() *cobra.Command {
	return &cobra.Command{Use: "disable", Args: between(0, 0), Short: "Stop the daemon, now and for future boots",
		RunE: a.onDom0(func(ctx context.Context, d dom0, _ []string) error {
			warnings, err := d.Disable(ctx)
			a.warn(warnings...)
			if err != nil {
				return errors.Join(errors.New("not disabled"), err)
			}
			a.say("Disabled and stopped.")
			return nil
		})}
}
