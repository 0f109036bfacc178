//go:build gtk

package client

import (
	"context"
	"io"
	"path/filepath"
	"time"

	"github.com/diamondburned/gotk4/pkg/gio/v2"
	"github.com/diamondburned/gotk4/pkg/glib/v2"
	"github.com/diamondburned/gotk4/pkg/gtk/v4"

	"qvmremote/client"
	"qvmremote/gui/save"
	"qvmremote/gui/say"
	"qvmremote/ui"
	"qvmremote/ui/i18n"
)

const (
	// saveLimit bounds how long saving may take.
	saveLimit = 10 * time.Minute
	// copyMax is how much is copied: other programs take a clipboard in one piece.
	copyMax = 4 << 20
	// foundMax bounds how many places are found.
	foundMax = 10_000
)

// addActions are those of the menu over the output.
func (t *task) addActions() {
	group := gio.NewSimpleActionGroup()
	saves := gio.NewSimpleAction("save", glib.NewVariantType("s"))
	t.scope.Bind(saves, saves.ConnectActivate(func(which *glib.Variant) { t.chooseSave(which.String()) }))
	copies := gio.NewSimpleAction("copy", nil)
	t.scope.Bind(copies, copies.ConnectActivate(func(*glib.Variant) { t.copyOutput() }))
	group.AddAction(saves)
	group.AddAction(copies)
	t.Root.InsertActionGroup("run", group)
	t.scope.OnClose(func() { t.Root.InsertActionGroup("run", nil) })
}

// outputGrew shows what is not in the list.
func (t *task) outputGrew() {
	_, _, left := t.stream.Flow().Take()
	t.Left.SetVisible(left > 0)
	if left > 0 {
		t.Left.SetText(i18n.T("There is more than can be shown here: another %s. Save the output to have all of it.", say.Size(uint64(left))))
	}
	word, tone := t.progress.trust(t.stream.Len() > 0)
	t.trust.Set(word, tone)
	t.finder.grew()
}

// chooseSave asks for the file; the dialog asks again before it replaces one.
func (t *task) chooseSave(which string) {
	if t.ticket == nil {
		return
	}
	c := gtk.NewFileChooserNative(i18n.T("Save the output"), t.over(), gtk.FileChooserActionSave, i18n.T("Save"), i18n.T("Cancel"))
	c.SetCurrentName(t.ticket.ID + "." + which)
	c.SetModal(true)
	t.chosen = c
	ticket := t.ticket
	c.ConnectResponse(func(response int) {
		t.chosen = nil
		if response == int(gtk.ResponseAccept) && c.File() != nil {
			var o client.Outcome
			if t.ticket == ticket && t.progress.phase == ended {
				o = t.progress.outcome
			}
			t.save(ticket, o, which == "err", c.File().Path())
		}
	})
	c.Show()
}

// save writes the bytes as they came, all of them.
func (t *task) save(ticket *client.Ticket, o client.Outcome, errs bool, path string) {
	r, queue := t.page, t.queue // it goes on after its tab was closed
	r.saves++
	look(r.scope, func(ctx context.Context) (int64, error) {
		ctx, stop := context.WithTimeout(ctx, saveLimit)
		defer stop()
		return save.File(ctx, path, func(ctx context.Context, w io.Writer) (int64, error) { return queue.Output(ctx, ticket, o, errs, w) })
	}, func(n int64, err error) {
		r.saves--
		if err != nil {
			r.failed(err)
			return
		}
		r.toast(i18n.T("%s were written to %s.", say.Size(uint64(n)), filepath.Base(path)))
	})
}

// copyOutput copies what is shown.
func (t *task) copyOutput() {
	text, whole := t.stream.Flow().Text(copyMax)
	t.Root.Clipboard().SetText(text)
	if !whole {
		t.toast(i18n.T("The first %s of the output are in the clipboard. Save it to have all of it.", say.Size(uint64(len(text)))))
		return
	}
	t.toast(i18n.T("The output is in the clipboard."))
}

// finder finds words in the output.
type finder struct {
	*task
	scope *ui.Scope // of the search under way
	found []int
	at    int
	whole bool
}

func newFinder(t *task) *finder {
	f := &finder{task: t, scope: ui.NewScope(t.scope)}
	s := t.scope
	s.Bind(t.Words, t.Words.ConnectSearchChanged(f.search))
	s.Bind(t.Words, t.Words.ConnectActivate(func() { f.step(1) }))
	s.Bind(t.Words, t.Words.ConnectStopSearch(f.end))
	s.Bind(t.Next, t.Next.ConnectClicked(func() { f.step(1) }))
	s.Bind(t.Previous, t.Previous.ConnectClicked(func() { f.step(-1) }))
	return f
}

// begin asks for the words.
func (f *finder) begin() {
	if !f.begun() {
		return
	}
	f.Finder.SetRevealChild(true)
	f.Words.GrabFocus()
	f.search()
}

// end puts it away.
func (f *finder) end() {
	f.Finder.SetRevealChild(false)
	f.found = nil
	f.stream.Mark(-1)
	f.scope.Close()
}

// grew looks once more, where there is more to be looked through.
func (f *finder) grew() {
	if f.Finder.RevealChild() && !f.busy() {
		f.search()
	}
}

func (f *finder) search() {
	f.scope.Close()
	f.scope = ui.NewScope(f.task.scope)
	words, flow := f.Words.Text(), f.stream.Flow()
	if words == "" {
		f.take(nil, true)
		return
	}
	type places struct {
		found []int
		whole bool
	}
	look(f.scope, func(ctx context.Context) (places, error) {
		found, whole := flow.Search(words, foundMax, func() bool { return ctx.Err() != nil })
		return places{found, whole}, nil
	}, func(p places, _ error) { f.take(p.found, p.whole) })
}

func (f *finder) take(found []int, whole bool) {
	f.found, f.whole, f.at = found, whole, 0
	f.showPlace()
}

// step goes to the next one, or back, around the end.
func (f *finder) step(by int) {
	if len(f.found) == 0 {
		return
	}
	f.at = (f.at + by + len(f.found)) % len(f.found)
	f.showPlace()
}

func (f *finder) showPlace() {
	text, any := "", len(f.found) > 0
	switch {
	case any && f.whole:
		text = i18n.T("%d of %d", f.at+1, len(f.found))
	case any:
		text = i18n.T("%d of more than %d", f.at+1, len(f.found))
	case f.Words.Text() != "":
		text = i18n.C("what was found", "nothing")
	}
	f.Found.SetText(text)
	f.Next.SetSensitive(any)
	f.Previous.SetSensitive(any)
	at := -1
	if any {
		at = f.found[f.at]
	}
	f.stream.Mark(at)
}
