//go:build gtk

package client

import (
	"context"
	"slices"
	"strings"

	"github.com/diamondburned/gotk4-adwaita/pkg/adw"
	"github.com/diamondburned/gotk4/pkg/glib/v2"
	"github.com/diamondburned/gotk4/pkg/gtk/v4"
	"github.com/diamondburned/gotk4/pkg/pango"

	"qvmremote/client"
	"qvmremote/client/logbook"
	"qvmremote/gui/say"
	"qvmremote/queue"
	"qvmremote/ui"
	"qvmremote/ui/i18n"
)

const (
	logPage = 200    // lines read at once
	logMost = 50_000 // lines held
)

// logView is resources/client/log.ui.
type logView struct {
	Root   *gtk.Box
	Search *gtk.SearchEntry
	States *gtk.Stack
	Scroll *gtk.ScrolledWindow
	List   *gtk.ListView
	None   *adw.StatusPage
	Again  *gtk.Button
	Newest *gtk.Button
}

// logPane is the qube's own log, live.
type logPane struct {
	logView
	*desk
	window *window
	scope  *ui.Scope

	look    *ui.Scope // of what is read under this search; nil before the first
	reader  *logbook.Reader
	text    string
	have    []logbook.Line // the newest first
	more    bool           // there are older ones
	reading bool           // older ones
	asking  bool           // for newer ones
	again   bool           // there may be still newer ones
	problem string
	lines   *ui.Lines[logLine, *logRow]
}

func newLog(w *window) (page, error) {
	l := &logPane{desk: w.desk, window: w, scope: ui.NewScope(w.scope)}
	if err := ui.Fill(&l.logView, "/org/qvmremote/Client/ui/log.ui"); err != nil {
		return nil, err
	}
	l.lines = ui.NewLines(l.scope, ui.LinesView{List: l.List, Scroll: l.Scroll, Newest: l.Newest}, newLogRow, l.lineAt, l.older)
	s := l.scope
	s.Bind(l.Search, l.Search.ConnectSearchChanged(func() {
		if text := l.Search.Text(); text != l.text {
			l.text = text
			l.begin()
		}
	}))
	s.Bind(l.Search, l.Search.ConnectStopSearch(func() { l.Search.SetText("") }))
	s.Bind(l.List, l.List.ConnectActivate(func(position uint) { l.copyLine(int(position)) }))
	s.Bind(l.Again, l.Again.ConnectClicked(l.begin))
	return l, nil
}

func (l *logPane) Widget() gtk.Widgetter { return l.Root }
func (l *logPane) Hidden()               {}
func (l *logPane) Inner() string         { return "" }
func (l *logPane) Leave()                {}
func (l *logPane) find()                 { l.Search.GrabFocus() }
func (l *logPane) open(string)           {}
func (l *logPane) close()                { l.scope.Close() }
func (l *logPane) Narrow(narrow bool)    { l.lines.Narrow(narrow) }

// report begins again what could not be shown, once nothing is in its way.
func (l *logPane) report() {
	if l.problem != "" && l.now.Trouble == nil && l.Root.Mapped() {
		l.begin()
	}
}

func (l *logPane) Shown() {
	if l.look == nil || l.problem != "" {
		l.begin()
	}
	l.List.GrabFocus()
}

// begin reads the log from its end under the search that is set.
func (l *logPane) begin() {
	if l.look != nil {
		l.look.Close()
	}
	scope := ui.NewScope(l.scope)
	l.look, l.reader, l.problem = scope, nil, ""
	l.reading, l.asking, l.again, l.more = false, false, false, true
	l.have = nil
	l.lines.Clear()
	l.showState()
	text := l.text
	look(scope, func(ctx context.Context) (*logbook.Reader, error) {
		r, err := logbook.Open(ctx, l.queue, text)
		if err != nil && r != nil {
			r.Close()
		}
		return r, err
	}, func(r *logbook.Reader, err error) {
		if err != nil {
			l.fail(err)
			return
		}
		l.reader = r
		scope.OnClose(func() { go r.Close() })
		l.older()
		l.watch(scope)
	})
}

// watch reads on whenever something was written.
func (l *logPane) watch(scope *ui.Scope) {
	look(scope, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, logbook.Watch(ctx, l.queue, func() { ui.Soon(scope, l.newer) })
	}, func(_ struct{}, err error) { l.fail(err) })
}

func (l *logPane) fail(err error) {
	l.problem = sentence(err)
	l.showState()
}

// logLines is what a read of the log brought.
type logLines struct {
	lines []logbook.Line
	more  bool
}

// older reads more lines where the end of those there are is near.
func (l *logPane) older() {
	if l.reading || !l.more || l.reader == nil || len(l.have) > l.lines.InSight().Last+logPage {
		return
	}
	if len(l.have) >= logMost {
		l.more = false
		return
	}
	l.reading = true
	r := l.reader
	look(l.look, func(ctx context.Context) (logLines, error) {
		lines, more, err := r.Older(ctx, logPage)
		return logLines{lines, more}, err
	}, func(got logLines, err error) {
		l.reading = false
		if err != nil {
			l.failed(err)
		}
		l.more = got.more
		l.have = append(l.have, got.lines...)
		l.lines.Apply(ui.Splice{At: len(l.have) - len(got.lines), Added: len(got.lines)})
		l.showState()
		l.older()
	})
}

// newer reads what was written since.
func (l *logPane) newer() {
	if l.reader == nil {
		return
	}
	if l.asking {
		l.again = true
		return
	}
	l.asking, l.again = true, false
	r := l.reader
	look(l.look, func(ctx context.Context) (logLines, error) {
		lines, missed, err := r.Newer(ctx)
		return logLines{lines, missed}, err
	}, func(got logLines, err error) {
		l.asking = false
		switch {
		case err != nil:
			l.failed(err)
		case got.more: // than is read in one go
			l.begin()
			return
		}
		l.prepend(got.lines)
		if l.again {
			l.newer()
		}
	})
}

// prepend shows newer lines, and forgets the oldest where there are too many.
func (l *logPane) prepend(lines []logbook.Line) {
	if len(lines) == 0 {
		return
	}
	l.have = slices.Concat(lines, l.have)
	changes := []ui.Splice{{Added: len(lines)}}
	if over := len(l.have) - logMost; over > 0 {
		changes = append(changes, ui.Splice{At: logMost, Removed: over})
		l.have, l.more = l.have[:logMost], false
	}
	l.lines.Apply(changes...)
	l.showState()
}

// showState shows the lines, or what stands in their place.
func (l *logPane) showState() {
	title, text := "", ""
	switch {
	case l.problem != "":
		title, text = i18n.T("The log cannot be shown"), l.problem
	case len(l.have) > 0:
	case l.more:
		title = i18n.T("Searching…")
	case l.text == "":
		title, text = i18n.T("Nothing is logged yet"), i18n.T("What this qube sends, and how it ended, will be here.")
	default:
		title, text = i18n.T("Nothing was found"), i18n.T("No line of the log has that text.")
	}
	if title == "" {
		l.States.SetVisibleChildName("list")
		return
	}
	l.Again.SetVisible(l.problem != "")
	l.None.SetTitle(glib.MarkupEscapeText(title, -1))
	l.None.SetDescription(glib.MarkupEscapeText(text, -1))
	l.States.SetVisibleChildName("none")
}

func (l *logPane) copyLine(position int) {
	if position < len(l.have) {
		l.List.Clipboard().SetText(queue.Plain(l.have[position].Text, 0))
		l.toast(i18n.T("The line was copied."))
	}
}

// clockWidth has the texts begin below each other, in characters.
const clockWidth = 12

// logRow shows one line.
type logRow struct {
	*gtk.Grid
	time, text *gtk.Label
	small      bool
}

func newLogRow() *logRow {
	r := &logRow{Grid: ui.NewLineGrid(), time: ui.NewLabel("", "dim-label", "numeric"), text: ui.NewLabel("", "monospace")}
	r.time.SetVAlign(gtk.AlignStart)
	r.text.SetHExpand(true)
	r.text.SetWrap(true)
	r.text.SetWrapMode(pango.WrapWordChar)
	r.text.SetWidthChars(20)
	r.Attach(r.time, 0, 0, 1, 1)
	r.time.SetWidthChars(clockWidth)
	r.Attach(r.text, 1, 0, 1, 1)
	return r
}

// Narrow puts the text below the time, or back.
func (r *logRow) Narrow(narrow bool) {
	if narrow == r.small {
		return
	}
	r.small = narrow
	r.Remove(r.text)
	if narrow {
		r.time.SetWidthChars(-1)
		r.Attach(r.text, 0, 1, 2, 1)
	} else {
		r.time.SetWidthChars(clockWidth)
		r.Attach(r.text, 1, 0, 1, 1)
	}
}

// Set shows a line.
func (r *logRow) Set(l logLine) (said string) {
	r.time.SetText(l.clock)
	r.time.SetVisible(l.clock != "")
	ui.SetText(r.text, l.text, 300)
	return queue.Plain(strings.TrimPrefix(l.clock+", "+l.text, ", "), 300)
}

// logLine is what a row says: a line of the log, and when that was, if it says so.
type logLine struct{ clock, text string }

// lineAt is what the row at a position says.
func (l *logPane) lineAt(position int) (line logLine, known bool) {
	if position >= len(l.have) {
		return logLine{}, false
	}
	at, text, dated := client.SplitLine(l.have[position].Text)
	if l.have[position].Cut {
		text += " …"
	}
	if dated {
		line.clock = say.Clock(at)
	}
	line.text = text
	return line, true
}
