//go:build gtk

package client

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"qvmremote/client/transfer"
	"qvmremote/test/stage"
)

// TestATransferIsBegunOnce: a second click begins no second one, the yes to
// replacing a file is for one, and the window does not close over it unasked.
func TestATransferIsBegunOnce(t *testing.T) {
	s := open(t)
	s.queue.Waits.Cancel = time.Millisecond
	f := s.page("files").(*files)
	one := f.forms[0]
	one.path = "/etc/hostname"
	one.entry.SetText("/root/name")
	one.replace.SetActive(true)
	if s.unfinished() != (unfinished{}) || !one.button.Sensitive() {
		t.Fatal("nothing can be sent")
	}
	one.button.Emit("clicked")
	if f.moving() != 1 || one.button.Sensitive() {
		t.Errorf("%d files move, and the button works: %t", f.moving(), one.button.Sensitive())
	}
	if one.replace.Active() {
		t.Error("the next file replaces another unasked")
	}
	if got := s.unfinished(); got != (unfinished{transfers: 1}) {
		t.Errorf("%+v is said to be unfinished", got)
	}
	one.entry.SetText("/root/other")
	if !one.button.Sensitive() {
		t.Error("no other file can be sent meanwhile")
	}
	one.entry.SetText("/root/name")
	f.under[0].cancel.Emit("clicked")
	stage.Until(t, "the transfer has ended", func() bool { return f.moving() == 0 })
	if !one.button.Sensitive() {
		t.Error("it cannot be sent again")
	}
}

func TestWhatHasNotEndedIsSaid(t *testing.T) {
	for name, try := range map[string]struct {
		u    unfinished
		want []string
	}{
		"a command":  {unfinished{commands: 1}, []string{"while commands run", "A command has not ended"}},
		"a transfer": {unfinished{transfers: 1}, []string{"before all", "1 transfer."}},
		"all":        {unfinished{2, 3, true}, []string{"before all", "2 commands have not ended", "3 transfers.", "export"}},
	} {
		q := try.u.question()
		for _, want := range try.want {
			if text := q.Heading + " " + q.Body; !strings.Contains(text, want) {
				t.Errorf("%s: %q does not say %q", name, text, want)
			}
		}
	}
}

func TestATransferThatMayGoOnIsNotCancelled(t *testing.T) {
	_, tone, text := ending(transfer.Result{}, fmt.Errorf("%w; %w", context.Canceled, transfer.ErrUnderWay))
	if tone != "warn" || !strings.Contains(text, "may still be under way") {
		t.Errorf("it says %q", text)
	}
	if _, _, text := ending(transfer.Result{}, context.Canceled); !strings.HasPrefix(text, "Cancelled.") {
		t.Errorf("it says %q", text)
	}
	if _, tone, text := ending(transfer.Result{}, errors.New("no")); tone != "bad" || text != "No." {
		t.Errorf("it says %q", text)
	}
}
