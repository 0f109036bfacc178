//go:build gtk

package admin

import (
	"context"
	"strings"

	"github.com/diamondburned/gotk4-adwaita/pkg/adw"
	"github.com/diamondburned/gotk4/pkg/glib/v2"
	"github.com/diamondburned/gotk4/pkg/gtk/v4"

	"qvmremote/dbus"
	"qvmremote/gui/words"
	"qvmremote/queue"
	"qvmremote/ui"
	"qvmremote/ui/i18n"
)

type authoriseView struct {
	Dialog          *adw.Window
	Title           *adw.WindowTitle
	Cancel          *gtk.Button
	Next            *gtk.Button
	Steps           *gtk.Stack
	Search          *gtk.SearchEntry
	Qubes           *gtk.ListBox
	NoQubes         *gtk.Label
	Chosen          *gtk.Box
	Make            *gtk.CheckButton
	MakeRow         *adw.ActionRow
	Fetch           *gtk.CheckButton
	FetchRow        *adw.ActionRow
	Paste           *gtk.CheckButton
	PasteBox        *gtk.Box
	Key             *gtk.PasswordEntry
	KeyProblem      *gtk.Label
	WayNote         *gtk.Label
	Compared        *gtk.Box
	CompareText     *gtk.Label
	Fingerprint     *gtk.Label
	Same            *gtk.CheckButton
	Replace         *gtk.CheckButton
	Rules           *gtk.DropDown
	Time            *gtk.DropDown
	RulesNote       *gtk.Label
	Working         *adw.StatusPage
	Done            *adw.StatusPage
	ProblemRevealer *gtk.Revealer
	Problem         *gtk.Label
}

// authorise is the dialog that leads from "which qube" to a stored key. A qube
// is picked from those that Qubes OS has; a key is made here, read out of the
// qube or pasted, and its fingerprint compared, before anything is stored.
type authorise struct {
	authoriseView
	*desk
	scope *ui.Scope

	all    []dbus.AvailableQube
	shown  []dbus.AvailableQube // in the list's order
	rows   []*gtk.ListBoxRow    // the same
	chosen dbus.AvailableQube
	chips  []*ui.Chip // of what is chosen, one for each step after the choice
	key    queue.Key  // pasted
	print  string     // fingerprint that was fetched
	terms  *terms
}

// authorise opens the dialog, at the choice of the way where the qube is given.
func (w *window) authorise(qube string) {
	if !w.usable() {
		w.toast(i18n.T("The service cannot be asked now."))
		return
	}
	a := &authorise{desk: w.desk, scope: ui.NewScope(w.scope)}
	if err := ui.Fill(&a.authoriseView, "/org/qvmremote/Admin/ui/authorise.ui"); err != nil {
		w.toast(err.Error())
		return
	}
	for _, box := range []*gtk.Box{a.Chosen, a.Compared} {
		chip := ui.NewChip()
		box.Append(chip)
		a.chips = append(a.chips, chip)
	}
	a.terms = newTerms(a)
	ui.Transient(a.scope, a.Dialog, w.Top()) // it goes once nothing is connected
	a.connect()
	a.step("qube")
	a.load(qube)
	a.Dialog.Present()
}

func (a *authorise) connect() {
	s := a.scope
	s.Bind(a.Cancel, a.Cancel.ConnectClicked(s.Close))
	s.Bind(a.Next, a.Next.ConnectClicked(a.next))
	s.Bind(a.Search, a.Search.ConnectSearchChanged(a.filter))
	s.Bind(a.Qubes, a.Qubes.ConnectRowSelected(func(row *gtk.ListBoxRow) { a.choose(row) }))
	s.Bind(a.Qubes, a.Qubes.ConnectRowActivated(func(*gtk.ListBoxRow) { a.next() }))
	for _, b := range []*gtk.CheckButton{a.Make, a.Fetch, a.Paste, a.Same, a.Replace} {
		s.Bind(b, b.ConnectToggled(a.refresh))
	}
	s.Bind(a.Key, a.Key.ConnectChanged(a.refresh))
	s.Bind(a.Key, a.Key.ConnectActivate(a.next))
}

// load asks for the qubes there are; first is one that is chosen already.
func (a *authorise) load(first string) {
	act(a.desk, a.scope, func(ctx context.Context, c *dbus.Client) ([]dbus.AvailableQube, error) { return c.AvailableQubes(ctx) },
		func(qubes []dbus.AvailableQube, err error) {
			if err != nil {
				a.NoQubes.SetText(i18n.T("The qubes could not be listed.") + " " + words.Error(err))
				return
			}
			a.all = qubes
			a.NoQubes.SetText(i18n.T("There is no such qube."))
			a.filter()
			for _, q := range qubes {
				if q.Name == first {
					a.take(q)
					a.step("way")
				}
			}
		})
}

// filter shows the qubes whose names have what is searched for.
func (a *authorise) filter() {
	for _, row := range a.rows {
		a.Qubes.Remove(row)
	}
	a.shown, a.rows = nil, nil
	for _, q := range a.all {
		if strings.Contains(strings.ToLower(q.Name), strings.ToLower(a.Search.Text())) {
			row := availableRow(q)
			a.shown, a.rows = append(a.shown, q), append(a.rows, row)
			a.Qubes.Append(row)
		}
	}
	a.refresh()
}

func availableRow(q dbus.AvailableQube) *gtk.ListBoxRow {
	row, chip := ui.NewRow(), ui.NewChip()
	chip.SetColour(q.Label)
	row.AddPrefix(chip)
	row.Set(q.Name, words.Available(q))
	if q.HasKey {
		pill := ui.NewPill()
		pill.Set(i18n.T("has a key"), "quiet")
		row.AddSuffix(pill)
	}
	row.SetActivatable(true)
	ui.Name(row, i18n.T("%s, label %s, %s", q.Name, q.Label, words.Available(q)))
	return &row.ListBoxRow
}

func (a *authorise) choose(row *gtk.ListBoxRow) {
	if row != nil && row.Index() >= 0 && row.Index() < len(a.shown) {
		a.take(a.shown[row.Index()])
	} else {
		a.chosen = dbus.AvailableQube{}
	}
	a.refresh()
}

// take is that q was chosen.
func (a *authorise) take(q dbus.AvailableQube) {
	a.chosen = q
	for _, chip := range a.chips {
		chip.Set(q.Name, q.Label)
	}
	running := q.PowerState == "Running"
	a.MakeRow.SetSensitive(running)
	a.FetchRow.SetSensitive(running)
	a.WayNote.SetText(i18n.T("%s is not running. To make or fetch its key, start it first.", q.Name))
	a.WayNote.SetVisible(!running)
	if !running {
		a.Paste.SetActive(true)
	}
}

func (a *authorise) step(name string) {
	a.Steps.SetVisibleChildName(name)
	a.ProblemRevealer.SetRevealChild(false)
	a.refresh()
	a.focus()
}

// focus puts the focus on what one does first. The step before had it, and GTK
// gave it to the fingerprint, all selected.
func (a *authorise) focus() {
	first := map[string]gtk.Widgetter{"qube": a.Search, "way": a.Next, "compare": a.Next, "done": a.Next}[a.Steps.VisibleChildName()]
	switch {
	case a.Same.IsVisible() && a.Steps.VisibleChildName() == "compare":
		first = a.Same
	case a.Paste.Active() && a.Steps.VisibleChildName() == "way":
		first = a.Key
	}
	if first != nil {
		a.Dialog.SetFocus(first)
	}
	a.Fingerprint.SelectRegion(0, 0)
}

// refresh has the button say what it does next, and work when it can.
func (a *authorise) refresh() {
	label, ready := i18n.T("Next"), false
	switch a.Steps.VisibleChildName() {
	case "qube":
		ready = a.chosen.Name != ""
	case "way":
		ready = a.refreshWay()
	case "compare":
		label = i18n.T("Authorise")
		ready = (a.Make.Active() || a.Same.Active()) && (!a.Replace.Visible() || a.Replace.Active())
	case "done":
		label, ready = i18n.T("Close"), true
	}
	a.Next.SetLabel(label)
	a.Next.SetSensitive(ready)
	a.Cancel.SetVisible(a.Steps.VisibleChildName() != "done")
}

func (a *authorise) refreshWay() bool {
	a.PasteBox.SetVisible(a.Paste.Active())
	if !a.Paste.Active() {
		return true
	}
	text := strings.TrimSpace(a.Key.Text())
	key, err := queue.ParseKey([]byte(text))
	switch {
	case text == "":
		a.KeyProblem.SetText(i18n.T("It is not shown here unless you ask, and goes to nobody but the service."))
	case err != nil:
		a.KeyProblem.SetText(i18n.T("This is not a key: 64 digits from 0 to 9 and a to f are expected."))
	default:
		a.key = key
		a.KeyProblem.SetText(i18n.T("Fingerprint: %s", key.Fingerprint()))
	}
	return text != "" && err == nil
}

func (a *authorise) next() {
	if !a.Next.Sensitive() {
		return
	}
	switch a.Steps.VisibleChildName() {
	case "qube":
		a.step("way")
	case "way":
		a.compare()
	case "compare":
		a.store()
	case "done":
		a.scope.Close()
	}
}

// compare shows the fingerprint that a person compares, where there is one.
func (a *authorise) compare() {
	a.Same.SetActive(false)
	a.Replace.SetActive(false)
	a.Replace.SetVisible(a.chosen.HasKey)
	a.Same.SetVisible(!a.Make.Active())
	a.Fingerprint.SetVisible(!a.Make.Active())
	a.terms.offer(a.chosen.Name)
	switch {
	case a.Make.Active():
		a.CompareText.SetText(i18n.T("dom0 makes a key and places it in %s. It passes no bus and no command line.", a.chosen.Name))
		a.step("compare")
	case a.Paste.Active():
		a.showPrint(a.key.Fingerprint())
	default:
		a.fetch()
	}
}

func (a *authorise) showPrint(fingerprint string) {
	a.print = fingerprint
	a.CompareText.SetText(i18n.T("Run “qvm-remote status” in %s and compare. Nothing vouches for this key but the qube itself.", a.chosen.Name))
	a.Fingerprint.SetText(fingerprint)
	a.step("compare")
}

func (a *authorise) fetch() {
	name := a.chosen.Name
	a.work(i18n.T("Reading the key of %s", name))
	act(a.desk, a.scope, func(ctx context.Context, c *dbus.Client) (string, error) { return c.FetchKey(ctx, name) },
		func(fingerprint string, err error) {
			if err != nil {
				a.fail("way", err)
				return
			}
			a.showPrint(fingerprint)
		})
}

func (a *authorise) work(what string) {
	a.Working.SetTitle(glib.MarkupEscapeText(what, -1))
	a.step("working")
}

// fail goes back to a step and says there what went wrong.
func (a *authorise) fail(step string, err error) {
	a.step(step)
	a.Problem.SetText(words.Error(err))
	a.ProblemRevealer.SetRevealChild(true)
}

// stored is what the service answered.
type stored struct {
	fingerprint string
	warnings    []string
}

func (a *authorise) store() {
	name, key, print := a.chosen.Name, a.key, a.print
	o := a.terms.options()
	o.Replace = a.chosen.HasKey && a.Replace.Active()
	order := func(ctx context.Context, c *dbus.Client) (s stored, err error) {
		s.fingerprint = print
		s.warnings, err = c.ConnectQube(ctx, name, print, o)
		return s, err
	}
	switch {
	case a.Make.Active():
		order = func(ctx context.Context, c *dbus.Client) (s stored, err error) {
			s.fingerprint, s.warnings, err = c.GenerateKey(ctx, name, o)
			return s, err
		}
	case a.Paste.Active():
		order = func(ctx context.Context, c *dbus.Client) (s stored, err error) {
			s.fingerprint, s.warnings, err = c.AuthorizeQube(ctx, name, key, o)
			return s, err
		}
	}
	a.work(i18n.T("Authorising %s", name))
	act(a.desk, a.scope, order, a.finish)
}

func (a *authorise) finish(s stored, err error) {
	if err != nil {
		if words.IsOtherKey(err) {
			a.chosen.HasKey = true
			a.Replace.SetVisible(true)
		}
		a.fail("compare", err)
		return
	}
	a.key = queue.Key{}
	a.Key.SetText("")
	text := words.Authorised(a.chosen.Name, s.fingerprint, a.now.Manager.State, s.warnings)
	a.Done.SetTitle(glib.MarkupEscapeText(i18n.T("%s is authorised", a.chosen.Name), -1))
	a.Done.SetDescription(glib.MarkupEscapeText(text, -1))
	a.step("done")
}
