package main

import (
	"context"

	"github.com/spf13/cobra"

	"qvmremote/daemon/admin"
)

func (a *app) pause() *cobra.Command {
	return &cobra.Command{Use: "pause", Args: between(0, 0), Short: "Take nothing new from any qube; what was taken goes on",
		RunE: a.onDom0(func(ctx context.Context, d dom0, _ []string) error {
			warnings, err := d.Pause(ctx)
			a.warn(warnings...)
			if err != nil {
				return err
			}
			a.say("Paused: dom0 takes no new requests, until: %s resume", programName)
			return nil
		})}
}

func (a *app) resume() *cobra.Command {
	return &cobra.Command{Use: "resume [VM]", Args: between(0, 1), Short: "Take requests again, after pause or stop-everything, or of a suspended qube",
		RunE: a.onDom0(func(ctx context.Context, d dom0, args []string) error {
			if len(args) == 1 {
				return a.resumeQube(ctx, d, args[0])
			}
			was, warnings, err := d.Resume(ctx)
			a.warn(warnings...)
			if err != nil {
				return err
			}
			if !was {
				a.say("It was not paused.")
				return nil
			}
			a.say("Resumed.")
			return nil
		})}
}

func (a *app) stopEverything() *cobra.Command {
	return &cobra.Command{Use: "stop-everything", Args: between(0, 0), Short: "Kill every command that runs, deny what waits, and pause",
		RunE: a.onDom0(func(ctx context.Context, d dom0, _ []string) error {
			warnings, err := d.StopEverything(ctx)
			a.warn(warnings...)
			if err != nil {
				return err
			}
			a.say("Nothing runs any more, and dom0 takes no new requests, until: %s resume", programName)
			return nil
		})}
}

// pausedLine says in the status that nothing new is taken; "" if it is.
func pausedLine(state string) string {
	switch state {
	case admin.PausedOnly:
		return "paused: dom0 takes no new requests, until: " + programName + " resume"
	case admin.PausedStopped:
		return "paused, and all that ran was stopped, until: " + programName + " resume"
	}
	return ""
}
