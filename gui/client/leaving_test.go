//go:build gtk

package client

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"qvmremote/client"
	"qvmremote/client/dom0test"
	"qvmremote/client/transfer"
	"qvmremote/queue"
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

// TestADeletionUnderWayIsFinished when the program ends at once: nothing of it
// is back with the next start.
func TestADeletionUnderWayIsFinished(t *testing.T) {
	s := open(t)
	key, err := s.queue.Key()
	if err != nil {
		t.Fatal(err)
	}
	var entries []client.Entry
	for n := range 50 {
		p := dom0test.Past{At: time.Now(), Number: n, Script: "hostname", State: queue.StateExit}
		day, id, err := p.File(s.queue.Layout, key)
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, client.Entry{Day: day, ID: id})
	}
	s.page("history")
	s.bin.delete(entries)
	if err := s.bin.finish(t.Context()); err != nil {
		t.Error(err)
	}
	bin, err := s.queue.OpenBin(t.Context()) // as the next start does, which puts back what lies aside
	if err != nil {
		t.Fatal(err)
	}
	defer bin.Close(t.Context())
	for _, e := range entries {
		if s.queue.There(e) {
			t.Errorf("%s is there again", e.ID)
		}
	}
}

// TestSavingOutlivesItsTab, and the window does not close over it unasked.
func TestSavingOutlivesItsTab(t *testing.T) {
	s := open(t)
	r := s.page("run").(*runPage)
	tab := r.anotherTab()
	ticket, err := s.queue.Submit(t.Context(), client.Request{Script: []byte("hostname")})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.queue.Layout.Result(ticket.ID, queue.Out), []byte("dom0\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(t.TempDir(), "saved")
	tab.save(ticket, client.Outcome{}, false, to)
	if got := s.unfinished(); got != (unfinished{saves: 1}) {
		t.Errorf("%+v is said to be unfinished", got)
	}
	r.Tabs.ClosePage(tab.tab)
	stage.Until(t, "it is saved", func() bool { return s.unfinished() == unfinished{} })
	if got, err := os.ReadFile(to); string(got) != "dom0\n" {
		t.Errorf("the file has %q, %v", got, err)
	}
}

func TestWhatHasNotEndedIsSaid(t *testing.T) {
	for name, try := range map[string]struct {
		u    unfinished
		want []string
	}{
		"a command":  {unfinished{commands: 1}, []string{"while commands run", "A command has not ended"}},
		"output":     {unfinished{saves: 1}, []string{"before all", "being saved"}},
		"a transfer": {unfinished{transfers: 1}, []string{"before all", "1 transfer."}},
		"all":        {unfinished{2, 3, 1, true}, []string{"before all", "2 commands have not ended", "3 transfers.", "being saved", "export"}},
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
	_, tone, text := ending(false, transfer.Result{}, fmt.Errorf("%w; %w", context.Canceled, transfer.ErrUnderWay))
	if tone != "warn" || !strings.Contains(text, "may still be under way") {
		t.Errorf("it says %q", text)
	}
	// One that fetches puts nothing in its place any more.
	if _, _, text := ending(true, transfer.Result{}, fmt.Errorf("%w; %w", context.Canceled, transfer.ErrUnderWay)); strings.Contains(text, "in its place") {
		t.Errorf("it says %q", text)
	}
	if _, _, text := ending(false, transfer.Result{}, context.Canceled); !strings.HasPrefix(text, "Cancelled.") {
		t.Errorf("it says %q", text)
	}
	if _, tone, text := ending(false, transfer.Result{}, errors.New("no")); tone != "bad" || text != "No." {
		t.Errorf("it says %q", text)
	}
}
