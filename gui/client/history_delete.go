//go:build gtk

package client

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/diamondburned/gotk4-adwaita/pkg/adw"
	"github.com/diamondburned/gotk4/pkg/gio/v2"

	"qvmremote/client"
	"qvmremote/ui"
	"qvmremote/ui/i18n"
)

const (
	// undoFor is how long what was deleted can be put back by its toast, in
	// seconds; the menu puts it back until the program ends.
	undoFor = 10
	// emptyLimit bounds how long the end of the program may take for it.
	emptyLimit = 10 * time.Second
)

// deleting deletes entries, and puts them back, the last deletion first.
type deleting struct {
	*history
	bin     *client.Bin      // nil until the first deletion
	under   chan deleted     // takes what comes of the deletion under way
	last    [][]client.Entry // deletions that can be put back, the last one first
	offered *adw.Toast       // whose button puts back the last one
	busy    bool
	undo    *gio.SimpleAction
}

func newDeleting(h *history) *deleting {
	d := &deleting{history: h}
	d.undo = h.window.Do("put-back", d.putBack)
	d.undo.SetEnabled(false)
	h.window.bin = d
	return d
}

// deleted is what came of a deletion.
type deleted struct {
	bin  *client.Bin
	done []client.Entry
}

// delete sets entries aside.
func (d *deleting) delete(entries []client.Entry) {
	if d.busy || len(entries) == 0 {
		return
	}
	d.busy = true
	d.detail.enable()
	bin, under := d.bin, make(chan deleted, 1)
	d.under = under
	look(d.scope, func(ctx context.Context) (deleted, error) {
		got, err := d.setAside(ctx, bin, entries)
		under <- got
		return got, err
	}, func(got deleted, err error) {
		d.busy, d.under = false, nil
		d.detail.enable()
		d.bin = got.bin
		if err != nil {
			d.failed(err)
		}
		if len(got.done) == 0 {
			return
		}
		d.last = append(d.last, got.done)
		d.undo.SetEnabled(true)
		if slices.Contains(got.done, d.detail.entry) {
			d.detail.end()
			d.window.Refresh()
		}
		d.offer(i18n.N(len(got.done), "%d command was deleted.", "%d commands were deleted.", len(got.done)))
	})
}

// setAside is the work of delete.
func (d *deleting) setAside(ctx context.Context, bin *client.Bin, entries []client.Entry) (got deleted, err error) {
	got.bin = bin
	if bin == nil {
		opening, stop := context.WithTimeout(ctx, readLimit)
		defer stop()
		if got.bin, err = d.queue.OpenBin(opening); err != nil {
			return got, err
		}
	}
	got.done, err = got.bin.Delete(ctx, entries)
	return got, err
}

// offer says what was done, with a button that undoes it. An older one goes: its
// button would undo the last deletion as well.
func (d *deleting) offer(text string) {
	if d.offered != nil {
		d.offered.Dismiss()
	}
	toast := d.window.PlainToast(text, i18n.T("Undo"))
	toast.SetActionName("win.put-back")
	toast.SetTimeout(undoFor)
	d.offered = toast
	d.window.Toasts.AddToast(toast)
}

func (d *deleting) putBack() {
	if d.busy || d.bin == nil || len(d.last) == 0 {
		return
	}
	d.busy = true
	bin, last := d.bin, d.last[len(d.last)-1]
	look(d.scope, func(ctx context.Context) ([]client.Entry, error) { return bin.Restore(ctx, last) }, func(done []client.Entry, err error) {
		d.busy = false
		if err != nil {
			d.failed(err)
		}
		if len(done) == 0 {
			return
		}
		if d.offered != nil {
			d.offered.Dismiss()
		}
		d.last = d.last[:len(d.last)-1]
		if rest := slices.DeleteFunc(slices.Clone(last), func(e client.Entry) bool { return slices.Contains(done, e) }); len(rest) > 0 {
			d.last = append(d.last, rest)
		}
		d.undo.SetEnabled(len(d.last) > 0)
		d.toast(i18n.N(len(done), "%d command was put back.", "%d commands were put back.", len(done)))
	})
}

// deleteShown deletes what the filter shows, once a person agreed to it.
func (d *deleting) deleteShown() {
	entries := append([]client.Entry(nil), d.rows.All()...)
	if len(entries) == 0 {
		d.toast(i18n.T("There is nothing to delete."))
		return
	}
	n := len(entries)
	what := i18n.N(n, "This deletes %d past command, with its result, from this qube's history.",
		"This deletes all %d past commands, with their results, from this qube's history.", n)
	if !d.filter.None() {
		what = i18n.N(n, "This deletes the %d past command that is shown, with its result, from this qube's history.",
			"This deletes the %d past commands that are shown, with their results, from this qube's history.", n)
	}
	d.ask(d.scope, ui.Question{
		Heading: i18n.N(n, "Delete %d command?", "Delete %d commands?", n),
		Body:    what + " " + i18n.T("What has not ended stays. You can undo it until the program is closed."),
		Action:  i18n.T("Delete"), Harmful: true,
	}, func() { d.delete(entries) })
}

// finish removes for good what was deleted, when the program ends. A deletion
// under way comes to its end first, or what it had set aside would be back with
// the next start.
func (d *deleting) finish(ctx context.Context) error {
	if d == nil {
		return nil
	}
	ctx, stop := context.WithTimeout(ctx, emptyLimit)
	defer stop()
	bin := d.bin
	if d.under != nil {
		select {
		case got := <-d.under:
			bin = got.bin
		case <-ctx.Done():
			return fmt.Errorf("what was being deleted is in the history again: %w", ctx.Err())
		}
	}
	if bin == nil {
		return nil
	}
	return bin.Close(ctx)
}
