//go:build gtk

package ui

import (
	"strings"

	"github.com/diamondburned/gotk4/pkg/gtk/v4"
	"github.com/diamondburned/gotk4/pkg/pango"

	"qvmremote/queue"
	"qvmremote/ui/pieces"
)

const (
	// leastWidth is in characters. Without one GTK lays each row out as a column
	// of single characters, to know how high it may become, which takes seconds
	// for what is in sight of text without spaces.
	leastWidth = 20
	// maxPieces bounds the rows.
	maxPieces = 50_000
)

// Output is a script or what a program wrote, as text of equal width, of
// whatever length, with everything that cannot be seen as an escape.
type Output struct {
	*gtk.Box
	short  *gtk.Label
	long   *gtk.ScrolledWindow
	rows   *Rows
	pieces []string
}

// Shorter text is one label, in which one selects as one likes; longer text is
// a list of pieces.
const (
	shortPieces = 40
	longHeight  = 360 // pixels
)

// NewOutput makes an empty one, of that accessible name.
func NewOutput(s *Scope, name string) *Output {
	o := &Output{Box: gtk.NewBox(gtk.OrientationVertical, 0), short: newOutputLabel(), long: gtk.NewScrolledWindow(), rows: NewRows()}
	factory := gtk.NewSignalListItemFactory()
	s.Bind(factory, factory.ConnectSetup(func(item *gtk.ListItem) { item.SetChild(newOutputLabel()) }))
	s.Bind(factory, factory.ConnectBind(func(item *gtk.ListItem) {
		if l, ok := item.Child().(*gtk.Label); ok && int(item.Position()) < len(o.pieces) {
			l.SetText(o.pieces[item.Position()])
		}
	}))
	list := gtk.NewListView(gtk.NewNoSelection(o.rows.Model()), &factory.ListItemFactory)
	s.OnClose(func() { list.SetModel(nil) })
	o.AddCSSClass("card")
	o.AddCSSClass("output")
	Name(list, name)
	o.long.SetChild(list)
	o.long.SetMinContentHeight(longHeight)
	o.long.SetPolicy(gtk.PolicyNever, gtk.PolicyAutomatic)
	o.Append(o.short)
	o.Append(o.long)
	return o
}

func newOutputLabel() *gtk.Label {
	l := NewLabel("", "monospace")
	l.SetWrap(true)
	l.SetWrapMode(pango.WrapWordChar)
	l.SetSelectable(true)
	// A hyphen where a line was too long would be one that nobody wrote.
	bare := pango.NewAttrList()
	bare.Insert(pango.NewAttrInsertHyphens(false))
	l.SetAttributes(bare)
	l.SetWidthChars(leastWidth)
	return l
}

// Set shows other text.
func (o *Output) Set(text string) { o.SetEscaped(text, false) }

// SetEscaped is Set for text whose lines may be escaped already, as
// [queue.Escape] does; then what is an escape stays one.
func (o *Output) SetEscaped(text string, escaped bool) { o.SetPieces(Pieces(text, escaped)) }

// SetPieces is Set for text that [Pieces] or [Exact] has cut: of a long text off
// the main loop.
func (o *Output) SetPieces(pieces []string) {
	before := o.rows.Len()
	o.pieces = pieces
	long := len(o.pieces) > shortPieces
	o.short.SetVisible(!long)
	o.long.SetVisible(long)
	if !long {
		o.short.SetText(strings.Join(o.pieces, "\n"))
		o.rows.Splice(0, before, 0)
		return
	}
	o.short.SetText("")
	o.rows.Splice(0, before, len(o.pieces))
}

// Pieces cuts text into lines, long lines into more of them, and escapes what
// cannot be seen, but for tabs, which become spaces. No escape is ever split.
func Pieces(text string, escaped bool) []string {
	show := queue.Escape
	if escaped {
		show = queue.Plain
	}
	cut, whole := pieces.Of(text, maxPieces, func(line string) string { return show(strings.ReplaceAll(line, "\t", "    "), 0) })
	if !whole {
		cut = append(cut, "…")
	}
	return cut
}

// Exact is Pieces for who must see each byte: tabs, and letters beyond ASCII, of
// which some look like others, are escapes as well, and whole is false where there are more pieces than max, which are left out.
func Exact(text string, max int) (cut []string, whole bool) {
	return pieces.Of(text, max, func(line string) string { return queue.EscapeASCII(line, 0) })
}
