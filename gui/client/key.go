//go:build gtk

package client

import (
	"context"
	"errors"
	"fmt"

	"github.com/diamondburned/gotk4-adwaita/pkg/adw"
	"github.com/diamondburned/gotk4/pkg/gtk/v4"

	"qvmremote/client"
	"qvmremote/client/standing"
	"qvmremote/gui/say"
	"qvmremote/queue"
	"qvmremote/ui"
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
	for i, title := range []string{"Make a key", "Authorise this qube in dom0", "dom0 looks into this qube's queue"} {
		k.steps[i] = newStep(i+1, title)
		k.Guide.Add(k.steps[i].row)
	}
	k.test = gtk.NewButtonWithLabel("Test")
	k.test.SetVAlign(gtk.AlignCenter)
	ui.Name(k.test, "Test the connection")
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
		k.toast("Copied. dom0 accepts nothing by copying: it is to be typed there, or kept.")
	}))
	s.Bind(k.Generate, k.Generate.ConnectClicked(k.generate))
	s.Bind(k.Import, k.Import.ConnectClicked(k.importKey))
	k.report()
	return k, nil
}

func (k *keyPage) Widget() gtk.Widgetter { return k.Root }
func (k *keyPage) Shown()                {}
func (k *keyPage) Hidden()               { k.secret.hide() }
func (k *keyPage) Narrow(bool)           {}
func (k *keyPage) Inner() string         { return "" }
func (k *keyPage) Leave()                {}
func (k *keyPage) find()                 {}
func (k *keyPage) open(string)           {}
func (k *keyPage) close()                { k.scope.Close() }

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
		return "Looking…", ""
	case s.Trouble != nil:
		return "The queue cannot be used", sentence(s.Trouble)
	case s.KeyProblem != nil:
		return "The key cannot be used", sentence(s.KeyProblem)
	case !s.HasKey():
		return "No key yet", "A key proves to dom0 that a request comes from this qube."
	case s.Connected:
		return "Connected to dom0", "dom0 looks into this qube's queue."
	case s.Legacy && k.answered():
		return "dom0 answers", "It speaks version 1, of which nothing here shows when it looks into this qube's queue."
	case s.Legacy:
		return "Version 1: it cannot be seen", "Nothing shows whether a dom0 of version 1 looks into this qube's queue. Test asks it."
	case s.LastLook.IsZero():
		return "Waiting for dom0", "dom0 has not looked into this qube's queue yet."
	}
	return "Not connected", "dom0 last looked into this qube's queue " + say.When(s.LastLook) + "."
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
		k.Guide.SetTitle("Pair this qube with dom0")
		k.Guide.SetDescription("Once, in three steps. Until then dom0 takes nothing from this qube.")
	} else {
		k.Guide.SetTitle("Connection")
		k.Guide.SetDescription("")
	}
	k.steps[0].row.SetVisible(guides)
	k.steps[1].row.SetVisible(guides)
	k.steps[0].set(has, "It stays in this qube; dom0 gets a copy.", "Fingerprint "+s.Fingerprint)
	decides := "A person in dom0 decides."
	if s.Legacy {
		decides += " " + client.LegacyOptions
	}
	k.steps[1].set(paired, decides, "dom0 accepts requests with this key.")
	k.steps[2].set(has && looks, "It does once it runs and this qube is authorised.", "It does now. Test asks it whether it accepts this key.")
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
	k.fingerprint.Set("Fingerprint", s.Fingerprint)
	k.file.Set("Kept in", k.queue.Layout.Key()+" · since "+say.When(s.KeySince))
	k.secret.follow(s.Fingerprint)
	label := "New key…"
	if !has {
		label = "Make a key"
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
	with, named := "", k.now
	if k.now.Fingerprint != "" { // there is none of a damaged key
		with = " with the fingerprint " + k.now.Fingerprint
	}
	k.ask(k.scope, ui.Question{
		Heading: "Replace the key?",
		Body:    "dom0 knows this qube by the key" + with + ", and takes nothing with another one until it is authorised again. The old key is kept beside the new one.",
		Action:  "Replace", Harmful: true,
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
			k.toast("There is a new key. Now authorise this qube in dom0.")
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
	why := say.Sentence(queue.Plain(o.Sentence, 400))
	if !o.Signed {
		return "An answer without dom0's signature, so not confirmed by dom0, denies it. " + why
	}
	return "dom0 denies it. " + why
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
			k.toast("dom0 did not answer. It may not run, or not know this qube.")
		case err != nil:
			k.failed(err)
		case p.outcome.State == queue.StateDenied:
			k.doubt = true
			k.toast(denial(p.outcome))
		default:
			k.tested = p.key
			k.toast("dom0 answers, and accepts this key.")
		}
		k.report()
	})
}
