//go:build gtk

package admin

import (
	"context"
	"io"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/diamondburned/gotk4/pkg/gio/v2"
	"github.com/diamondburned/gotk4/pkg/glib/v2"
	"github.com/diamondburned/gotk4/pkg/gtk/v4"

	"qvmremote/dbus"
	"qvmremote/gui/save"
	"qvmremote/gui/say"
	"qvmremote/gui/words"
	"qvmremote/ui"
	"qvmremote/ui/i18n"
)

// exportLimit bounds how long an export may take.
const exportLimit = time.Hour

// export writes the whole record into a file that a person chooses, and shows
// how far it is.
type export struct {
	*activity
	running *ui.Scope // of the export under way; nil for none
	chooser *gtk.FileChooserNative
}

func newExport(a *activity) *export {
	e := &export{activity: a}
	a.scope.Bind(a.GiveUp, a.GiveUp.ConnectClicked(func() {
		if e.running != nil {
			e.running.Close()
			e.end(i18n.T("The export was given up."))
		}
	}))
	return e
}

// addActions are those of the menu beside the filters.
func (a *activity) addActions() {
	group := gio.NewSimpleActionGroup()
	verify := gio.NewSimpleAction("verify", nil)
	verify.ConnectActivate(func(*glib.Variant) { a.verify("") })
	export := gio.NewSimpleAction("export", glib.NewVariantType("s"))
	export.ConnectActivate(func(format *glib.Variant) { a.export.choose(format.String()) })
	group.AddAction(verify)
	group.AddAction(export)
	a.Root.InsertActionGroup("activity", group)
	a.scope.OnClose(func() { a.Root.InsertActionGroup("activity", nil) })
}

// report ends an export whose connection is lost.
func (e *export) report() {}

// choose asks for the file; the dialog asks again before it replaces one.
func (e *export) choose(format string) {
	if e.running != nil {
		e.toast(i18n.T("An export is under way."))
		return
	}
	name := map[string]string{"jsonl": "qvm-remote.jsonl", "csv": "qvm-remote.csv", "text": "qvm-remote.txt"}[format]
	c := gtk.NewFileChooserNative(i18n.T("Export the record"), e.over(), gtk.FileChooserActionSave, i18n.T("Export"), i18n.T("Cancel"))
	c.SetCurrentName(name)
	c.SetModal(true)
	e.chooser = c
	c.ConnectResponse(func(response int) {
		e.chooser = nil
		if response != int(gtk.ResponseAccept) || c.File() == nil {
			return
		}
		e.write(c.File().Path(), format)
	})
	c.Show()
}

// write exports into the file at path.
func (e *export) write(path, format string) {
	e.running = ui.NewScope(e.activity.scope)
	e.ProgressText.SetText(i18n.T("Exporting…"))
	e.Progress.SetRevealChild(true)
	running := e.running
	shown := func(n int64) {
		if !running.Closed() {
			e.ProgressText.SetText(i18n.T("Exporting: %s", say.Size(uint64(n))))
		}
	}
	act(e.desk, running, func(ctx context.Context, c *dbus.Client) (int64, error) {
		ctx, stop := context.WithTimeout(ctx, exportLimit)
		defer stop()
		return save.File(ctx, path, func(ctx context.Context, w io.Writer) (int64, error) {
			return c.ExportAudit(ctx, &counter{w: w, tell: shown}, format)
		})
	}, func(n int64, err error) {
		running.Close()
		if err != nil {
			e.end(words.Error(err))
			return
		}
		e.end(i18n.T("%s were written to %s.", say.Size(uint64(n)), filepath.Base(path)))
	})
}

func (e *export) end(said string) {
	e.running = nil
	e.Progress.SetRevealChild(false)
	e.toast(said)
}

// counter tells the main loop how much was written, now and then.
type counter struct {
	w    io.Writer
	n    int64
	busy atomic.Bool
	tell func(int64)
}

func (c *counter) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.n += int64(n)
	if c.busy.CompareAndSwap(false, true) {
		total := c.n
		ui.Turn(func() {
			c.tell(total)
			c.busy.Store(false)
		})
	}
	return n, err
}
