//go:build gtk

package client

import (
	"context"
	"path/filepath"
	"strings"

	"github.com/diamondburned/gotk4-adwaita/pkg/adw"
	"github.com/diamondburned/gotk4/pkg/gtk/v4"

	"qvmremote/client/transfer"
	"qvmremote/ui"
	"qvmremote/ui/i18n"
)

// direction is one of the two ways in which a file goes.
type direction struct {
	verb, here, there, hint, replace string

	named   string // the field of there, to a screen reader
	choose  gtk.FileChooserAction
	fetches bool
	move    func(t *transfer.Transfer, ctx context.Context, from, to string) (transfer.Result, error)
}

// form asks for what is moved one way.
type form struct {
	files   *files
	way     direction
	row     ui.Row // the file here
	path    string
	entry   *gtk.Entry // the path in dom0
	replace *gtk.Switch
	button  *gtk.Button
	chooser *gtk.FileChooserNative
}

func newForm(f *files, group *adw.PreferencesGroup, d direction) *form {
	o := &form{files: f, way: d, row: ui.NewRow(), entry: gtk.NewEntry(), replace: gtk.NewSwitch(), button: gtk.NewButtonWithLabel(d.verb)}
	choose := gtk.NewButtonWithLabel(i18n.T("Choose…"))
	choose.SetVAlign(gtk.AlignCenter)
	ui.Name(choose, i18n.T("%s: choose", d.here))
	o.row.AddSuffix(choose)
	o.entry.SetHExpand(true)
	o.entry.SetVAlign(gtk.AlignCenter)
	o.entry.SetPlaceholderText(d.hint)
	ui.Name(o.entry, d.named)
	remote, over, act := ui.NewRow(), ui.NewRow(), ui.NewRow()
	remote.Set(d.there, "")
	remote.AddSuffix(o.entry)
	over.Set(d.replace, "")
	o.replace.SetVAlign(gtk.AlignCenter)
	ui.Name(o.replace, d.replace)
	over.AddSuffix(o.replace)
	over.SetActivatableWidget(o.replace)
	o.button.SetVAlign(gtk.AlignCenter)
	act.AddSuffix(o.button)
	for _, r := range []ui.Row{o.row, remote, over, act} {
		group.Add(r)
	}
	s := f.scope
	s.Bind(choose, choose.ConnectClicked(o.pick))
	s.Bind(o.entry, o.entry.ConnectChanged(o.show))
	s.Bind(o.button, o.button.ConnectClicked(func() {
		f.begin(d, o.path, o.entry.Text(), o.replace.Active())
		o.replace.SetActive(false) // the yes was for this file alone
	}))
	o.show()
	return o
}

// pick asks for the file here.
func (o *form) pick() {
	c := gtk.NewFileChooserNative(o.way.here, o.files.over(), o.way.choose, i18n.T("Choose"), i18n.T("Cancel"))
	c.SetModal(true)
	if name := filepath.Base(o.entry.Text()); o.way.fetches && o.entry.Text() != "" {
		c.SetCurrentName(name)
	}
	o.chooser = c
	c.ConnectResponse(func(response int) {
		o.chooser = nil
		if response == int(gtk.ResponseAccept) && c.File() != nil {
			o.path = c.File().Path()
			o.show()
		}
	})
	c.Show()
}

// show shows what was chosen, and whether that is enough.
func (o *form) show() {
	text := o.path
	if text == "" {
		text = i18n.T("None yet")
	}
	o.row.Set(o.way.here, text)
	there := o.entry.Text()
	o.button.SetSensitive(o.files.usable() && o.path != "" && strings.HasPrefix(there, "/") && !o.files.moves(o.way, o.path, there))
}
