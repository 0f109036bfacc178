//go:build gtk

package client

import (
	"bufio"
	"context"
	"errors"
	"io"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"github.com/diamondburned/gotk4/pkg/gio/v2"
	"github.com/diamondburned/gotk4/pkg/glib/v2"
	"github.com/diamondburned/gotk4/pkg/gtk/v4"

	"qvmremote/client"
	"qvmremote/client/archive"
	"qvmremote/gui/save"
	"qvmremote/ui"
	"qvmremote/ui/i18n"
)

// exportLimit bounds how long an export may take.
const exportLimit = time.Hour

// exporting writes entries into a file that a person chooses, and shows how far
// it is.
type exporting struct {
	*history
	running *ui.Scope // of the export under way; nil for none
	chooser *gtk.FileChooserNative
}

func newExporting(h *history) *exporting {
	e := &exporting{history: h}
	h.scope.Bind(h.GiveUp, h.GiveUp.ConnectClicked(func() {
		if e.running != nil {
			e.running.Close()
			e.end(i18n.T("The export was given up."))
		}
	}))
	return e
}

// addActions are those of the menus of this page.
func (h *history) addActions() {
	group := gio.NewSimpleActionGroup()
	export := gio.NewSimpleAction("export", glib.NewVariantType("s"))
	export.ConnectActivate(func(format *glib.Variant) { h.export.choose(format.String(), h.rows.All()) })
	one := gio.NewSimpleAction("export-one", glib.NewVariantType("s"))
	one.ConnectActivate(func(format *glib.Variant) {
		if d := h.detail.detail; d != nil {
			h.export.choose(format.String(), []client.Entry{d.Entry})
		}
	})
	all := gio.NewSimpleAction("delete-shown", nil)
	all.ConnectActivate(func(*glib.Variant) { h.deleted.deleteShown() })
	for _, a := range []*gio.SimpleAction{export, one, all} {
		group.AddAction(a)
	}
	h.Root.InsertActionGroup("history", group)
	h.scope.OnClose(func() { h.Root.InsertActionGroup("history", nil) })
}

// choose asks for the file; the dialog asks again before it replaces one.
func (e *exporting) choose(format string, entries []client.Entry) {
	switch {
	case e.running != nil:
		e.toast(i18n.T("An export is under way."))
		return
	case len(entries) == 0:
		e.toast(i18n.T("There is nothing to export."))
		return
	}
	entries = slices.Clone(entries)
	name := "history"
	if len(entries) == 1 {
		name = entries[0].ID
	}
	title := i18n.N(len(entries), "Export %d command", "Export %d commands", len(entries))
	c := gtk.NewFileChooserNative(title, e.over(), gtk.FileChooserActionSave, i18n.T("Export"), i18n.T("Cancel"))
	c.SetCurrentName(name + map[string]string{"jsonl": ".jsonl", "csv": ".csv", "text": ".txt"}[format])
	c.SetModal(true)
	e.chooser = c
	c.ConnectResponse(func(response int) {
		e.chooser = nil
		if response == int(gtk.ResponseAccept) && c.File() != nil {
			e.write(c.File().Path(), format, entries)
		}
	})
	c.Show()
}

// write exports into the file at path.
func (e *exporting) write(path, format string, entries []client.Entry) {
	e.running = ui.NewScope(e.history.scope)
	running := e.running
	e.ProgressText.SetText(i18n.T("Exporting…"))
	e.Progress.SetRevealChild(true)
	var busy atomic.Bool
	tell := func(done int) {
		if busy.CompareAndSwap(false, true) {
			ui.Soon(running, func() {
				e.ProgressText.SetText(i18n.N(len(entries), "Exporting: %d of %d command", "Exporting: %d of %d commands", done, len(entries)))
				busy.Store(false)
			})
		}
	}
	look(running, func(ctx context.Context) (struct{}, error) {
		ctx, stop := context.WithTimeout(ctx, exportLimit)
		defer stop()
		_, err := save.File(ctx, path, func(ctx context.Context, w io.Writer) (int64, error) {
			out := bufio.NewWriterSize(w, 1<<16)
			err := archive.Export(ctx, e.queue, out, format, entries, tell)
			return 0, errors.Join(err, out.Flush())
		})
		return struct{}{}, err
	}, func(_ struct{}, err error) {
		running.Close()
		if err != nil {
			e.end(sentence(err))
			return
		}
		e.end(i18n.N(len(entries), "%d command was written to %s.", "%d commands were written to %s.", len(entries), filepath.Base(path)))
	})
}

func (e *exporting) end(said string) {
	e.running = nil
	e.Progress.SetRevealChild(false)
	e.toast(said)
}
