//go:build gtk

package admin

import (
	"context"
	"strings"

	"github.com/diamondburned/gotk4-adwaita/pkg/adw"
	"github.com/diamondburned/gotk4/pkg/gtk/v4"

	"qvmremote/dbus"
	"qvmremote/gui/words"
	"qvmremote/ui"
	"qvmremote/ui/i18n"
)

type rulesView struct {
	Dialog  *adw.Window
	Head    *gtk.Box
	Close   *gtk.Button
	Save    *gtk.Button
	Text    *gtk.TextView
	Trouble *gtk.Box
	Problem *gtk.Label
	Reload  *gtk.Button
	Notes   *gtk.Label
	Command *gtk.Entry
	Answer  *gtk.Box
	Verdict *gtk.Label
	By      *gtk.Label
	Why     *gtk.Box
}

// checkDelay is how long after the last key the service is asked what it thinks
// of the text, in milliseconds.
const checkDelay = 250

// rules is the dialog in which a qube's rules are read, edited, and tried. What
// is tried is what is written there, before it is saved.
type rules struct {
	rulesView
	*desk
	scope *ui.Scope
	name  string
	why   *ui.Output

	held   dbus.Policy // what was read
	loaded bool
	good   bool // the service has found no error in the text
	busy   bool
	asked  int      // number of the last check
	saved  []string // warnings from writing them
	forget func()
}

// editRules opens the dialog.
func (w *window) editRules(qube string) {
	if !w.usable() {
		w.toast(i18n.T("The service cannot be asked now."))
		return
	}
	r := &rules{desk: w.desk, scope: ui.NewScope(w.scope), name: qube, forget: func() {}}
	if err := ui.Fill(&r.rulesView, "/org/qvmremote/Admin/ui/rules.ui"); err != nil {
		w.toast(err.Error())
		return
	}
	r.why = ui.NewOutput(r.scope, i18n.T("Why"))
	r.why.SetHExpand(true)
	r.Why.Append(r.why)
	chip := ui.NewChip()
	chip.Set(qube, r.labels[qube])
	r.Head.Append(chip)
	ui.Transient(r.scope, r.Dialog, w.Top(), r.mayClose) // it goes once nothing is connected
	r.connect()
	r.load()
	r.Dialog.Present()
}

func (r *rules) connect() {
	s := r.scope
	s.Bind(r.Close, r.Close.ConnectClicked(r.Dialog.Close))
	s.Bind(r.Save, r.Save.ConnectClicked(r.save))
	s.Bind(r.Reload, r.Reload.ConnectClicked(func() { r.discard(i18n.T("What there is now is shown."), r.load) }))
	buffer := r.Text.Buffer()
	s.Bind(buffer, buffer.ConnectChanged(r.changed))
	s.Bind(r.Command, r.Command.ConnectChanged(r.changed))
	s.OnClose(func() { r.forget() })
}

// mayClose asks before what was written is lost.
func (r *rules) mayClose() bool {
	if !r.dirty() {
		return true
	}
	r.discard(i18n.T("The rules of %s stay as they are.", r.name), func() { ui.Soon(r.scope, r.scope.Close) })
	return false
}

func (r *rules) discard(then string, yes func()) {
	q := ui.Question{Heading: i18n.T("Discard what you wrote?"), Body: then, Action: i18n.T("Discard"), Harmful: true, Qube: r.name, Label: r.labels[r.name]}
	if err := ui.Ask(r.scope, &r.Dialog.Window, q, yes); err != nil {
		r.say(err.Error())
	}
}

// dirty: there is something to be saved.
func (r *rules) dirty() bool { return r.loaded && r.text() != ended(r.held.Text) }

// text is what is written, its last line ended.
func (r *rules) text() string {
	buffer := r.Text.Buffer()
	start, end := buffer.Bounds()
	return ended(buffer.Text(start, end, false))
}

// ended is text with its last line ended, as rules must be.
func ended(text string) string {
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	return text
}

func (r *rules) load() {
	act(r.desk, r.scope, func(ctx context.Context, c *dbus.Client) (dbus.Policy, error) { return c.Policy(ctx, r.name) },
		func(p dbus.Policy, err error) {
			if err != nil {
				r.say(i18n.T("The rules could not be read.") + " " + words.Error(err))
				return
			}
			r.held, r.loaded = p, true
			r.Text.Buffer().SetText(p.Text)
			r.Text.GrabFocus()
			r.Reload.SetVisible(false)
			r.refresh()
			r.check()
		})
}

// say shows a problem, "" none.
func (r *rules) say(problem string) {
	r.Problem.SetText(problem)
	r.Trouble.SetVisible(problem != "")
}

func (r *rules) changed() {
	r.good = false
	r.refresh()
	r.forget()
	r.forget = ui.After(r.scope, checkDelay, r.check)
}

// refresh lets save what is another text, without an error. What there is to say
// of the rules in force is said while they are what is shown.
func (r *rules) refresh() {
	r.Save.SetSensitive(r.good && !r.busy && r.dirty())
	r.Text.SetEditable(r.loaded && !r.busy)
	notes := words.Policy(r.held, r.saved)
	r.Notes.SetText(notes)
	r.Notes.SetVisible(notes != "" && r.loaded && !r.dirty())
}

// check asks what would become of the command by what is written.
func (r *rules) check() {
	if !r.loaded {
		return
	}
	r.asked++
	number, text, command := r.asked, r.text(), r.Command.Text()
	if strings.TrimSpace(text) == "" && r.held.Text != "" {
		r.say(i18n.T("Rules cannot be empty. To deny everything, write: deny **"))
		r.Answer.SetVisible(false)
		return
	}
	script := command
	if script == "" {
		script = "true" // the rules are looked at all the same
	}
	look(r.desk, r.scope, func(ctx context.Context, c *dbus.Client) (dbus.Explanation, error) {
		return c.Explain(ctx, r.name, text, script)
	}, func(e dbus.Explanation, err error) {
		if number != r.asked {
			return // something else is written by now
		}
		r.Answer.SetVisible(err == nil && command != "")
		r.good = err == nil
		r.refresh()
		if err != nil {
			r.say(words.Error(err))
			return
		}
		if !r.Reload.Visible() {
			r.say("")
		}
		verdict := words.Verdict(e)
		r.Verdict.SetText(verdict.Word)
		ui.SetTone(r.Verdict, string(verdict.Tone))
		r.By.SetText(words.VerdictBy(e))
		r.why.SetEscaped(strings.Join(words.Explained(e), "\n"), true)
	})
}

func (r *rules) save() {
	text := r.text()
	r.busy = true
	r.refresh()
	act(r.desk, r.scope, func(ctx context.Context, c *dbus.Client) ([]string, error) {
		return c.SetPolicy(ctx, r.name, text, r.held.Hash)
	}, func(warnings []string, err error) {
		r.busy, r.saved = false, warnings
		r.refresh()
		if err != nil {
			r.say(words.Error(err))
			r.compare()
			return
		}
		r.toast(i18n.T("The rules of %s are in force.", r.name))
		r.load()
	})
}

// compare offers to load what somebody else wrote meanwhile.
func (r *rules) compare() {
	look(r.desk, r.scope, func(ctx context.Context, c *dbus.Client) (dbus.Policy, error) { return c.Policy(ctx, r.name) },
		func(now dbus.Policy, err error) { r.Reload.SetVisible(err == nil && now.Hash != r.held.Hash) })
}
