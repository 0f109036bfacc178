//go:build gtk

package client

import (
	"context"
	"errors"
	"fmt"

	"github.com/diamondburned/gotk4-adwaita/pkg/adw"
	"github.com/diamondburned/gotk4/pkg/glib/v2"
	"github.com/diamondburned/gotk4/pkg/gtk/v4"

	"qvmremote/client"
	"qvmremote/client/standing"
	"qvmremote/gui/say"
	"qvmremote/queue"
	"qvmremote/ui"
	"qvmremote/ui/i18n"
)

// keyView is resources/client/key.ui.
type keyView struct {
	Root      *gtk.ScrolledWindow
	StateIcon *gtk.Image
	State     *gtk.Label
	StateLine *gtk.Label
	Guide     *adw.PreferencesGroup
	LineBox   *gtk.Box
	Line      *gtk.Label
	CopyLine  *gtk.Button
	Facts     *adw.PreferencesGroup
	Buttons   *gtk.Box
	Generate  *gtk.Button
	Import    *gtk.Button
}

// keyPage is the key: what dom0 knows this qube by. Without one it is the guide
// through pairing.
type keyPage struct {
	keyView
	*desk
	window *window
	scope  *ui.Scope

	steps             [3]step
	fingerprint, file ui.Row
	secret            *secret
	test              *gtk.Button
	shown             string // fingerprint of the key that was there last
	tested            string // of the key that dom0 answered to
	doubt             bool   // dom0 may not know the key, though it looks
}

func newKey(w *window) (page, error) {
	k := &keyPage{desk: w.desk, window: w, scope: ui.NewScope(w.scope)}
	if err := ui.Fill(&k.keyView, "/org/qvmremote/Client/ui/key.ui"); err != nil {
		return nil, err
	}
	for i, title := range []string{i18n.T("Make a key"), i18n.T("Authorise this qube in dom0"), i18n.T("dom0 looks into this qube's queue")} {
		k.steps[i] = newStep(i+1, title)
		k.Guide.Add(k.steps[i].row)
	}
	k.test = gtk.NewButtonWithLabel(i18n.T("Test"))
	k.test.SetVAlign(gtk.AlignCenter)
	ui.Name(k.test, i18n.T("Test the connection"))
	k.steps[2].row.AddSuffix(k.test)
	k.fingerprint, k.file = ui.NewRow(), ui.NewRow()
	k.fingerprint.AddCSSClass("property")
	k.file.AddCSSClass("property")
	k.Facts.Add(k.fingerprint)
	k.Facts.Add(k.file)
	k.secret = newSecret(k)
	s := k.scope
	s.Bind(k.test, k.test.ConnectClicked(k.ping))
	s.Bind(k.CopyLine, k.CopyLine.ConnectClicked(func() {
		k.CopyLine.Clipboard().SetText(k.Line.Text())
		k.toast(i18n.T("Copied. dom0 accepts nothing by copying: it is to be typed there, or kept."))
	}))
	s.Bind(k.Generate, k.Generate.ConnectClicked(k.generate))
	s.Bind(k.Import, k.Import.ConnectClicked(k.importKey))
	k.report()
	return k, nil
}

func (k *keyPage) Widget() gtk.Widgetter { return k.Root }
func (k *keyPage) Shown()                {}
func (k *keyPage) Hidden()               { k.secret.hide() }
func (k *keyPage) Inner() string         { return "" }
func (k *keyPage) Leave()                {}
func (k *keyPage) find()                 {}
func (k *keyPage) open(string)           {}
func (k *keyPage) close()                { k.scope.Close() }

// Narrow has the buttons above each other: in some languages they are too long to
// stand side by side.
func (k *keyPage) Narrow(narrow bool) {
	k.Buttons.SetOrientation(gtk.OrientationHorizontal)
	if narrow {
		k.Buttons.SetOrientation(gtk.OrientationVertical)
	}
}

// report shows how the qube stands.
func (k *keyPage) report() {
	s := k.now
	l := linkLook(s)
	k.StateIcon.SetFromIconName(l.Icon)
	ui.SetTone(k.StateIcon, string(l.Tone))
	title, line := k.standing()
	k.State.SetText(title)
	ui.SetText(k.StateLine, line, 400)
	k.showSteps()
	k.showKey()
}

// standing is what the page says above all.
func (k *keyPage) standing() (title, line string) {
	s := k.now
	switch {
	case !k.told:
		return i18n.T("Looking…"), ""
	case s.Trouble != nil:
		return i18n.T("The queue cannot be used"), sentence(s.Trouble)
	case s.KeyProblem != nil:
		return i18n.T("The key cannot be used"), sentence(s.KeyProblem)
	case !s.HasKey():
		return i18n.T("No key yet"), i18n.T("A key proves to dom0 that a request comes from this qube.")
	case s.Connected:
		return i18n.T("Connected to dom0"), i18n.T("dom0 looks into this qube's queue.")
	case s.Legacy && k.answered():
		return i18n.T("dom0 answers"), i18n.T("It speaks version 1, of which nothing here shows when it looks into this qube's queue.")
	case s.Legacy:
		return i18n.T("Version 1: it cannot be seen"), i18n.T("Nothing shows whether a dom0 of version 1 looks into this qube's queue. Test asks it.")
	case s.LastLook.IsZero():
		return i18n.T("Waiting for dom0"), i18n.T("dom0 has not looked into this qube's queue yet.")
	}
	return i18n.T("Not connected"), i18n.T("dom0 last looked into this qube's queue %s.", say.When(s.LastLook))
}

// answered reports whether dom0 answered to the key that there is.
func (k *keyPage) answered() bool { return k.now.HasKey() && k.tested == k.now.Fingerprint }

func (k *keyPage) showSteps() {
	s := k.now
	has := s.HasKey()
	looks := s.Connected || s.Legacy && k.answered()
	paired := looks && k.answered()
	// Another program may have made or imported a key, too.
	k.doubt = k.doubt || has && k.shown != "" && k.shown != s.Fingerprint
	k.shown = s.Fingerprint
	k.doubt = k.doubt && !paired || k.told && !has
	guides := !looks || k.doubt
	k.Guide.SetVisible(k.told && s.Trouble == nil)
	if guides {
		k.Guide.SetTitle(glib.MarkupEscapeText(i18n.T("Pair this qube with dom0"), -1))
		k.Guide.SetDescription(glib.MarkupEscapeText(i18n.T("Once, in three steps. Until then dom0 takes nothing from this qube."), -1))
	} else {
		k.Guide.SetTitle(glib.MarkupEscapeText(i18n.T("Connection"), -1))
		k.Guide.SetDescription("")
	}
	k.steps[0].row.SetVisible(guides)
	k.steps[1].row.SetVisible(guides)
	k.steps[0].set(has, i18n.T("It stays in this qube; dom0 gets a copy."), i18n.T("Fingerprint %s", s.Fingerprint))
	decides := i18n.T("A person in dom0 decides.")
	if s.Legacy {
		decides += " " + i18n.Known(client.LegacyOptions)
	}
	k.steps[1].set(paired, decides, i18n.T("dom0 accepts requests with this key."))
	k.steps[2].set(has && looks, i18n.T("It does once it runs and this qube is authorised."), i18n.T("It does now. Test asks it whether it accepts this key."))
	k.test.SetSensitive(has && (s.Connected || s.Legacy))
	k.LineBox.SetVisible(has && guides && !paired && s.Trouble == nil)
	k.Line.SetText(authoriseLine(s.Qube, s.Legacy))
}

// authoriseLine is what is typed in dom0.
func authoriseLine(qube string, legacy bool) string {
	return fmt.Sprintf("qvm-run -p %s 'qvm-remote key show' | %s", client.NameInDom0(qube), client.AuthorizeLine(qube, legacy, "--policy ask"))
}

func (k *keyPage) showKey() {
	s := k.now
	has := s.HasKey()
	k.Facts.SetVisible(has)
	k.fingerprint.Set(i18n.T("Fingerprint"), s.Fingerprint)
	k.file.Set(i18n.T("Kept in"), k.queue.Layout.Key()+" · "+i18n.T("since %s", say.When(s.KeySince)))
	k.secret.follow(s.Fingerprint)
	label := i18n.T("New key…")
	if !has {
		label = i18n.T("Make a key")
	}
	k.Generate.SetLabel(label)
	if has {
		k.Generate.RemoveCSSClass("suggested-action")
	} else {
		k.Generate.AddCSSClass("suggested-action")
	}
	k.Buttons.SetSensitive(k.told && s.Trouble == nil)
}

// generate makes a key; one that is there is replaced only after a question.
func (k *keyPage) generate() {
	if !k.now.HasKey() && k.now.KeyProblem == nil {
		k.makeKey(false, k.now)
		return
	}
	named := k.now
	text := i18n.T("dom0 knows this qube by the key, and takes nothing with another one until it is authorised again. " +
		"The old key is kept beside the new one.")
	if named.Fingerprint != "" { // there is none of a damaged key
		text = i18n.T("dom0 knows this qube by the key with the fingerprint %s, and takes nothing with another one until it is authorised again. "+
			"The old key is kept beside the new one.", named.Fingerprint)
	}
	k.ask(k.scope, ui.Question{
		Heading: i18n.T("Replace the key?"), Body: text, Action: i18n.T("Replace"), Harmful: true,
	}, func() { k.makeKey(true, named) })
}

// makeKey makes one; where it replaces, only the one that was named.
func (k *keyPage) makeKey(replace bool, named standing.Standing) {
	k.do(k.scope, k.Generate, func(context.Context) error {
		err := k.queue.Prepare()
		if err == nil && replace {
			err = unmoved(k.queue, named)
		}
		if err == nil {
			_, err = k.queue.GenerateKey(replace)
		}
		return err
	}, func(err error) {
		if err == nil {
			k.distrust()
			k.toast(i18n.T("There is a new key. Now authorise this qube in dom0."))
		}
	})
}

// distrust is after the key became another one, which dom0 may not know.
func (k *keyPage) distrust() {
	k.doubt, k.tested = true, ""
	k.report()
}

// pinged is what asking dom0 found.
type pinged struct {
	outcome client.Outcome
	key     string // fingerprint of the key at that time
}

// denial says that dom0 denies a command, and where that lacks its signature,
// which anybody in this qube could have written, says that too.
func denial(o client.Outcome) string {
	why := reasonOf(o)
	if !o.Signed {
		return i18n.T("An answer without dom0's signature, so not confirmed by dom0, denies it.") + " " + why
	}
	return i18n.T("dom0 denies it.") + " " + why
}

// ping asks dom0 whether it accepts the key. It starts nothing there.
func (k *keyPage) ping() {
	k.test.SetSensitive(false)
	key := k.now.Fingerprint
	look(k.scope, func(ctx context.Context) (pinged, error) {
		o, err := k.queue.Ping(ctx)
		return pinged{o, key}, err
	}, func(p pinged, err error) {
		switch {
		case errors.Is(err, client.ErrNotTaken):
			k.toast(i18n.T("dom0 did not answer. It may not run, or not know this qube."))
		case err != nil:
			k.failed(err)
		case p.outcome.State == queue.StateDenied:
			k.doubt = true
			k.toast(denial(p.outcome))
		default:
			k.tested = p.key
			k.toast(i18n.T("dom0 answers, and accepts this key."))
		}
		k.report()
	})
}
