//go:build gtk

package client

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/diamondburned/gotk4-adwaita/pkg/adw"
	"github.com/diamondburned/gotk4/pkg/gtk/v4"

	"qvmremote/client"
	"qvmremote/client/archive"
	"qvmremote/gui/say"
	"qvmremote/queue"
	"qvmremote/ui"
	"qvmremote/ui/i18n"
)

// pastPane is one past command in full.
type pastPane struct {
	*history
	title string    // "" while nothing is open
	scope *ui.Scope // of this look
	entry client.Entry

	icon    *gtk.Image
	heading *gtk.Label
	pill    ui.Pill
	script  *ui.Output
	parts   []*partPane
	facts   []*fact
	detail  *client.Detail // what is shown; nil while that is being read
}

func newPastPane(h *history) *pastPane {
	p := &pastPane{history: h, scope: ui.NewScope(h.scope), icon: gtk.NewImage(), heading: ui.NewLabel("", "title-2"), pill: ui.NewPill()}
	p.icon.SetPixelSize(20)
	p.heading.SetHExpand(true)
	p.heading.SetWrap(true)
	h.Head.Append(p.icon)
	h.Head.Append(p.heading)
	h.Head.Append(p.pill)
	p.script = ui.NewOutput(h.scope, i18n.T("Command"))
	h.Script.Add(p.script)
	for _, part := range []struct {
		group *adw.PreferencesGroup
		name  string
	}{{h.Output, "out"}, {h.Errors, "err"}, {h.Input, "stdin"}} {
		p.parts = append(p.parts, newPartPane(h, part.group, part.name))
	}
	for _, of := range []struct {
		title string
		code  bool
	}{
		{i18n.T("Sent"), false}, {i18n.T("Answer"), false}, {i18n.T("Proof"), false}, {i18n.T("Time limit"), false},
		{i18n.T("Sent as"), false}, {i18n.T("Request id"), true}, {i18n.T("Checkpoint"), true},
	} {
		f := newFact(h.desk, h.scope, of.title, of.code)
		h.Facts.Add(f.row)
		p.facts = append(p.facts, f)
	}
	s := h.scope
	s.Bind(h.CopyScript, h.CopyScript.ConnectClicked(func() {
		h.CopyScript.Clipboard().SetText(strings.ToValidUTF8(string(p.detail.Script), "\uFFFD"))
		h.toast(i18n.T("The command was copied."))
	}))
	s.Bind(h.Load, h.Load.ConnectClicked(p.load))
	s.Bind(h.Delete, h.Delete.ConnectClicked(func() { h.deleted.delete([]client.Entry{p.detail.Entry}) }))
	return p
}

// begin opens an entry. Until it was read another one may still be shown.
func (p *pastPane) begin(e client.Entry) {
	p.entry, p.title, p.detail = e, i18n.T("Command"), nil
	p.enable()
	p.Detail.VAdjustment().SetValue(0)
	p.read()
}

// read reads the entry anew, and shows it.
func (p *pastPane) read() {
	p.scope.Close()
	p.scope = ui.NewScope(p.history.scope)
	e := p.entry
	look(p.scope, func(ctx context.Context) (*client.Detail, error) {
		ctx, stop := context.WithTimeout(ctx, readLimit)
		defer stop()
		return p.queue.Detail(ctx, e)
	}, func(d *client.Detail, err error) {
		if err != nil {
			if !errors.Is(err, client.ErrGone) || p.Root.VisibleChildName() != "detail" {
				p.failed(err)
			}
			p.end()
			p.window.Refresh()
			return
		}
		first := p.detail == nil
		p.show(d)
		if first {
			p.Root.SetVisibleChildName("detail")
			p.Load.GrabFocus()
			p.window.Refresh()
		}
	})
}

// enable has the buttons work that can do something with what is shown, and
// none while that is not what was asked for.
func (p *pastPane) enable() {
	d := p.detail
	p.CopyScript.SetSensitive(d != nil)
	p.ExportOne.SetSensitive(d != nil)
	p.Load.SetSensitive(d != nil && len(d.Script) > 0)
	open := d != nil && d.State == "" && !d.Over && !d.Damaged
	p.Delete.SetSensitive(d != nil && !open && !p.deleted.busy)
	p.Delete.SetTooltipText(map[bool]string{true: i18n.T("It has not ended yet: cancel it first, on the page Queue")}[open])
	if d == nil {
		for _, part := range p.parts {
			part.on.SetSensitive(false)
			part.back.SetSensitive(false)
		}
	}
}

// follow shows what changed of the entry that is open.
func (p *pastPane) follow(c archive.Change) {
	if p.title != "" && slices.Contains(c.Altered, p.entry) {
		p.read()
	}
}

// load puts the command into the editor of the page Run. It runs nothing.
func (p *pastPane) load() {
	d := p.detail
	run, ok := p.window.page("run").(*runPage)
	if !ok {
		return
	}
	if err := client.CheckScript(d.Script); err != nil {
		p.toast(i18n.T("It cannot be loaded: %s", sentence(err)))
		return
	}
	p.window.Show("run")
	run.load(string(d.Script), d.Request.Timeout)
	text := i18n.T("The command is loaded. It runs when you press Run.")
	if d.Request.Stdin.Present {
		text = i18n.T("The command is loaded, without the standard input it had. It runs when you press Run.")
	}
	if concealed(d.Script) {
		text += " " + i18n.T("The editor does not show all of its characters; History does.")
	}
	p.toast(text)
}

// concealed reports whether a script has characters that the editor does not
// show, or shows in another order.
func concealed(script []byte) bool {
	text := strings.NewReplacer("\n", " ", "\t", " ", `\`, "/").Replace(string(script)) // which are shown
	return queue.Escape(text, 0) != text
}

// end goes back to the list.
func (p *pastPane) end() {
	p.scope.Close()
	p.title, p.detail = "", nil
	p.enable()
	p.Root.SetVisibleChildName("list")
}

func (p *pastPane) show(d *client.Detail) {
	l := pastLook(d.Past)
	if d.Trust == client.Unverified && d.Signed { // the header is dom0's, an output is not
		l = say.As("qr-info-symbolic", i18n.T("%s, unverified", l.Word), say.Warn)
	}
	p.icon.SetFromIconName(l.Icon)
	ui.SetTone(p.icon, string(l.Tone))
	p.pill.Set(l.Word, string(l.Tone))
	p.heading.SetText(heading(d))
	p.doubt(d)
	p.detail = d
	p.script.Set(string(d.Script))
	p.enable()
	for _, part := range p.parts {
		part.begin(p.scope, d)
	}
	p.showFacts(d)
}

func heading(d *client.Detail) string {
	if d.Issued.IsZero() {
		return i18n.T("At an unknown time")
	}
	return strings.TrimSuffix(say.Sentence(say.When(d.Issued)), ".")
}

// doubt says why a result is not to be relied on.
func (p *pastPane) doubt(d *client.Detail) {
	text := ""
	switch {
	case d.Trust == client.Unverified:
		text = i18n.T("This result could not be verified, so do not rely on it.") + " "
		if d.Why != nil {
			text += sentence(d.Why)
		}
	case d.Why != nil:
		text = sentence(d.Why)
	}
	ui.SetText(p.Doubt, text, 600)
	p.Doubt.SetVisible(text != "")
}

func (p *pastPane) showFacts(d *client.Detail) {
	answer := ""
	if d.State != "" {
		answer = say.Sentence(endLook(d.Past).Word)
		if d.Duration > 0 {
			answer += " " + i18n.T("It took %s.", say.Duration(d.Duration))
		}
	}
	if d.State == queue.StateDenied && d.Outcome.Sentence != "" {
		answer += " " + reasonOf(d.Outcome)
	}
	sent, limit, qube := "", "", ""
	if !d.Issued.IsZero() {
		sent = say.When(d.Issued)
	}
	if d.Request.Timeout > 0 {
		limit = i18n.N(int(d.Request.Timeout), "%d second from its start", "%d seconds from its start", d.Request.Timeout)
	}
	if d.Request.Qube != "" && d.Request.Qube != queue.AnyQube {
		qube = d.Request.Qube
	}
	for i, value := range []string{sent, answer, trustWords(d), limit, qube, d.ID, d.Outcome.Checkpoint} {
		p.facts[i].set(value)
	}
}

// fact is a line of details; what is code can be copied.
type fact struct {
	row   ui.Row
	title string
	value string
}

func newFact(d *desk, s *ui.Scope, title string, code bool) *fact {
	f := &fact{row: ui.NewRow(), title: title}
	f.row.AddCSSClass("property")
	if code {
		copies := ui.NewIconButton("qr-copy-symbolic", i18n.T("Copy: %s", title))
		f.row.AddSuffix(copies)
		s.Bind(copies, copies.ConnectClicked(func() {
			copies.Clipboard().SetText(f.value)
			d.toast(i18n.T("Copied."))
		}))
	}
	return f
}

// set shows a value; a fact without one is not shown.
func (f *fact) set(value string) {
	f.value = value
	f.row.SetVisible(value != "")
	f.row.Set(f.title, value)
}

// partStep is how much of an output is shown at once.
const partStep = 256 << 10

// partPane shows an output, or the input, in parts of what one can read at once.
type partPane struct {
	*history
	group  *adw.PreferencesGroup
	name   string
	output *ui.Output
	bar    *gtk.Box
	back   *gtk.Button
	on     *gtk.Button
	place  *gtk.Label

	scope  *ui.Scope
	entry  client.Entry
	starts []int64 // of the parts that were shown so far, the one that is shown last
	next   int64
}

func newPartPane(h *history, g *adw.PreferencesGroup, name string) *partPane {
	p := &partPane{history: h, group: g, name: name, output: ui.NewOutput(h.scope, g.Title()), bar: gtk.NewBox(gtk.OrientationHorizontal, 6),
		back: gtk.NewButtonWithLabel(i18n.T("Earlier")), on: gtk.NewButtonWithLabel(i18n.T("Later")), place: ui.NewLabel("", "dim-label", "numeric")}
	p.place.SetHExpand(true)
	p.place.SetWrap(true)
	p.bar.SetMarginTop(6)
	p.bar.Append(p.place)
	for _, b := range []*gtk.Button{p.back, p.on} {
		p.bar.Append(b)
	}
	ui.Name(p.back, i18n.T("Earlier part of: %s", g.Title()))
	ui.Name(p.on, i18n.T("Later part of: %s", g.Title()))
	g.Add(p.output)
	g.Add(p.bar)
	h.scope.Bind(p.on, p.on.ConnectClicked(func() {
		p.starts = append(p.starts, p.next)
		p.read()
	}))
	h.scope.Bind(p.back, p.back.ConnectClicked(func() {
		p.starts = p.starts[:max(len(p.starts)-1, 1)]
		p.read()
	}))
	return p
}

// begin shows the first part of what an entry has, or nothing.
func (p *partPane) begin(s *ui.Scope, d *client.Detail) {
	p.scope, p.entry, p.starts = s, d.Entry, []int64{0}
	p.output.Set("")
	p.bar.SetVisible(false)
	p.group.SetVisible(d.Parts[p.name] > 0)
	if d.Parts[p.name] > 0 {
		p.read()
	}
}

// part is a piece of a file, ready to be shown.
type part struct {
	pieces     []string
	next, size int64
}

func (p *partPane) read() {
	e, name, from := p.entry, p.name, p.starts[len(p.starts)-1]
	p.on.SetSensitive(false)
	p.back.SetSensitive(false)
	look(p.scope, func(ctx context.Context) (part, error) {
		ctx, stop := context.WithTimeout(ctx, readLimit)
		defer stop()
		b, size, err := p.queue.Part(ctx, e, name, from, partStep)
		if err != nil {
			return part{}, err
		}
		if from+int64(len(b)) < size { // a part ends with a line, where it has one
			if i := bytes.LastIndexByte(b, '\n'); i >= 0 {
				b = b[:i+1]
			}
		}
		return part{ui.Pieces(string(b), false), from + int64(len(b)), size}, nil
	}, func(got part, err error) {
		if err != nil {
			p.output.Set("")
			p.failed(err)
			return
		}
		p.output.SetPieces(got.pieces)
		p.next = got.next
		p.bar.SetVisible(from > 0 || got.next < got.size)
		p.place.SetText(i18n.T("%s to %s of %s", say.Size(uint64(from)), say.Size(uint64(got.next)), say.Size(uint64(got.size))))
		p.on.SetSensitive(got.next < got.size)
		p.back.SetSensitive(from > 0)
	})
}
