package archive

import (
	"bytes"
	"context"
	"strings"

	"qvmremote/client"
	"qvmremote/queue"
)

// Outcome is how a request ended, as a person asks for it.
type Outcome string

// The outcomes to choose from.
const (
	Any        Outcome = ""
	Succeeded  Outcome = "succeeded"  // exit 0
	Failed     Outcome = "failed"     // another exit, timed out, interrupted
	Denied     Outcome = "denied"     // refused by dom0
	Cancelled  Outcome = "cancelled"  // taken back
	Unanswered Outcome = "unanswered" // no answer, or none yet
	Unverified Outcome = "unverified" // an answer that dom0 did not sign
)

// Filter says which entries are wanted: all, where it is empty.
type Filter struct {
	Text    string // in the command or the id, in capitals or not
	Outcome Outcome
}

// None reports whether it lets everything through.
func (f Filter) None() bool { return f == Filter{} }

func (f Filter) fits(ctx context.Context, c *client.Client, e client.Entry) (bool, error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	if f.Text != "" && !contains([]byte(e.ID), f.Text) {
		command, err := c.Command(e)
		if err != nil || !contains(command, f.Text) {
			return false, nil
		}
	}
	if f.Outcome == Any {
		return true, nil
	}
	list, err := c.Past(ctx, []client.Entry{e})
	return err == nil && f.Outcome.of(list[0]), err
}

func contains(b []byte, text string) bool {
	return bytes.Contains(bytes.ToLower(b), []byte(strings.ToLower(text)))
}

// of reports whether that line has the outcome.
func (o Outcome) of(p client.Past) bool {
	switch o {
	case Succeeded:
		return p.State == queue.StateExit && p.Exit == 0
	case Failed:
		return p.State == queue.StateExit && p.Exit != 0 || p.State == queue.StateTimeout || p.State == queue.StateInterrupted
	case Denied:
		return p.State == queue.StateDenied
	case Cancelled:
		return p.State == queue.StateCancelled
	case Unanswered:
		return p.State == ""
	case Unverified:
		return p.State != "" && !p.Signed
	}
	return true
}
