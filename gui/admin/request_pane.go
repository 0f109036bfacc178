//go:build gtk

package admin

import (
	"context"
	"slices"
	"time"

	"github.com/diamondburned/gotk4-adwaita/pkg/adw"

	"qvmremote/dbus"
	"qvmremote/gui/guard"
	"qvmremote/gui/words"
	"qvmremote/ui"
	"qvmremote/ui/i18n"
)

// requestPane is one request: the bytes that would run, and what is decided about
// them.
type requestPane struct {
	*requests
	scope *ui.Scope // of the look at this request
	now   dbus.Request
	open  bool

	chip   *ui.Chip
	left   ui.Pill
	script *ui.Output
	input  *ui.Output
	change *ui.Output // to what was approved last
	facts  rows[words.Fact]

	read   bool   // or it cannot be
	hash   string // of the bytes that are shown
	sound  bool   // all of them are shown, and are what the service says they are
	busy   bool   // a decision is under way
	guard  *guard.Guard
	forget func() // the look at the guard that is due
}

func newRequestPane(q *requests) *requestPane {
	p := &requestPane{requests: q, scope: ui.NewScope(q.scope), chip: ui.NewChip(), left: ui.NewPill(), guard: guard.New(time.Now), forget: func() {}}
	p.chip.AddCSSClass("title-2")
	p.chip.SetHExpand(true)
	p.Head.Append(p.chip)
	p.Head.Append(p.left)
	for group, o := range map[*adw.PreferencesGroup]**ui.Output{q.Script: &p.script, q.Input: &p.input, q.Difference: &p.change} {
		*o = ui.NewOutput(q.scope, group.Title())
		group.Add(*o)
	}
	p.facts = rows[words.Fact]{group: q.Facts, make: func() shownRow[words.Fact] { return newFactRow(q.desk, q.scope) }}
	p.listen()
	return p
}

// reading is what was read of a request, as it is shown.
type reading struct {
	script, input, change []string // pieces
	whole                 bool     // nothing is left out
	hash                  string
	facts                 []words.Fact
}

// maxInput is how much of an input is shown, in bytes: it may be as long as 64 MiB.
// A script is shown whole, however long.
const (
	maxInput       = 4 << 20
	maxInputPieces = 200_000
	maxPieces      = 4 << 20
)

// readRequest reads and cuts all there is to see of a request.
func readRequest(ctx context.Context, c *dbus.Client, r dbus.Request) (reading, error) {
	script, stdin, hash, err := c.RequestBytes(ctx, r)
	if err != nil {
		return reading{}, err
	}
	change, known, err := c.Difference(ctx, r.Number)
	if err != nil {
		return reading{}, err
	}
	v := reading{hash: hash, facts: words.RequestFacts(r, script, stdin, hash, words.LastApproved(known, change))}
	var all, most bool
	v.script, all = ui.Exact(string(script), maxPieces)
	v.input, most = ui.Exact(string(stdin[:min(len(stdin), maxInput)]), maxInputPieces)
	v.whole = all && most && len(stdin) <= maxInput
	v.change = ui.Pieces(words.Change(change), true)
	return v, nil
}

// begin opens a request.
func (p *requestPane) begin(r dbus.Request) {
	p.scope.Close()
	p.scope = ui.NewScope(p.requests.scope)
	p.now, p.open, p.busy = r, true, false
	p.guard.Hide()
	p.blank()
	p.chip.Set(r.Qube, p.labels[r.Qube])
	p.One.VAdjustment().SetValue(0)
	p.One.GrabFocus() // not what decides
	act(p.desk, p.scope, func(ctx context.Context, c *dbus.Client) (reading, error) { return readRequest(ctx, c, r) }, p.show)
	p.refresh()
}

// blank shows no bytes.
func (p *requestPane) blank() {
	p.read, p.hash, p.sound = false, "", false
	p.say("")
	p.More.SetActive(false)
	for _, o := range []*ui.Output{p.script, p.input, p.change} {
		o.Set("")
	}
	p.facts.show(nil)
	for _, group := range []*adw.PreferencesGroup{p.Script, p.Input, p.Difference, p.Facts} {
		group.SetVisible(false)
	}
	p.Reading.SetVisible(true)
	p.Spinner.SetSpinning(true)
}

// show shows what was read. What cannot be shown can still be denied.
func (p *requestPane) show(v reading, err error) {
	p.read = true
	p.Reading.SetVisible(false)
	p.Spinner.SetSpinning(false)
	if err != nil {
		p.say(i18n.T("What it would run cannot be read.") + " " + words.Error(err))
		p.see()
		return
	}
	p.hash = v.hash
	p.sound = v.whole && v.hash == p.now.Sha256
	switch {
	case v.hash != p.now.Sha256:
		p.say(i18n.T("These are not the bytes that the service has a hash of, so they cannot be approved. Deny the request, and look at the record for what happened."))
	case !v.whole:
		p.say(i18n.T("Its input is too long to be shown whole, so it cannot be approved here. See all of it with: %s", words.ApproveCommand(p.now)))
	}
	p.script.SetPieces(v.script)
	p.input.SetPieces(v.input)
	p.change.SetPieces(v.change)
	p.facts.show(v.facts)
	p.Script.SetVisible(true)
	p.Input.SetVisible(p.now.StdinSize >= 0)
	p.Difference.SetVisible(len(v.change) > 0)
	p.Facts.SetVisible(true)
	p.see()
}

// say shows a problem, "" none.
func (p *requestPane) say(problem string) {
	if problem != "" {
		p.Problem.SetText(problem)
	}
	p.ProblemRevealer.SetRevealChild(problem != "")
}

// report is what waits now.
func (p *requestPane) report(all []dbus.Request) {
	if !p.open {
		return
	}
	p.left.Set(words.Left(p.now.Expires, time.Now()), leftTone(p.now))
	waits := slices.ContainsFunc(all, func(r dbus.Request) bool { return r.Number == p.now.Number })
	if !waits && !p.busy {
		p.toast(i18n.T("The request of %s waits no more: it was decided elsewhere, given up, or its time was over.", p.now.Qube))
		p.end()
	}
}

// end goes back to the list.
func (p *requestPane) end() {
	p.scope.Close()
	p.open = false
	p.guard.Hide()
	p.blank()
	p.refresh()
	p.showAll()
	p.window.Refresh()
}
