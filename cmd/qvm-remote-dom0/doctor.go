package main

import (
	"context"

	"github.com/spf13/cobra"

	"qvmremote/daemon/admin"
)

func (a *app) doctor() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{Use: "doctor", Args: between(0, 0), Short: "Find what keeps requests from being answered, and what to do",
		RunE: func(c *cobra.Command, _ []string) error {
			found, err := a.examine(c.Context())
			if err != nil {
				return err
			}
			if asJSON {
				err = a.json(found)
			} else {
				a.showFindings(found)
			}
			for _, f := range found {
				if f.Level == admin.Bad && err == nil {
					err = errSaid
				}
			}
			return err
		}}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// examine has the service look, or looks itself: also without root, that is its
// first finding then, and also where there is a service that does not answer.
func (a *app) examine(ctx context.Context) ([]admin.Finding, error) {
	root, err := a.rootDir()
	if err != nil {
		return nil, err
	}
	d, err := a.reach(ctx, root)
	var found []admin.Finding
	if d != nil {
		defer d.Close()
		if found, err = d.Doctor(ctx); err == nil {
			return found, nil
		}
	}
	if err != nil {
		if !unreachable(err) || ctx.Err() != nil {
			return nil, err
		}
		found = []admin.Finding{{Level: admin.Bad, Text: "the service on the message bus cannot be asked: " + err.Error(),
			Next: "see: journalctl -u " + admin.ManageService + " -u " + admin.Service}}
	}
	more, err := a.onFiles(root).Doctor(ctx)
	return append(found, more...), err
}

func (a *app) showFindings(found []admin.Finding) {
	words := map[admin.Level]string{admin.Good: "ok", admin.Info: "info", admin.Warning: "WARNING", admin.Bad: "ERROR"}
	for _, f := range found {
		a.say("%-8s %s", words[f.Level], plain(f.Text))
		if f.Next != "" {
			a.say("%-8s next: %s", "", plain(f.Next))
		}
	}
}
