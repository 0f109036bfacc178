//go:build gtk

// Command sample is a small GTK program for the desktop's own tests: it prints
// a line for whatever a person does to it.
package main

import (
	_ "embed" // of the window
	"fmt"
	"os"
	"runtime"

	"github.com/diamondburned/gotk4-adwaita/pkg/adw"
	"github.com/diamondburned/gotk4/pkg/gdk/v4"
	"github.com/diamondburned/gotk4/pkg/gio/v2"
	"github.com/diamondburned/gotk4/pkg/gtk/v4"
)

//go:embed sample.ui
var view string

func main() {
	runtime.LockOSThread() // GTK belongs to the thread that initialised it
	app := adw.NewApplication("org.example.Sample", gio.ApplicationFlagsNone)
	app.ConnectActivate(func() { show(app) })
	os.Exit(app.Run(os.Args[:1]))
}

func show(app *adw.Application) {
	b := gtk.NewBuilderFromString(view, len(view))
	window := b.GetObject("window").Cast().(*adw.ApplicationWindow)
	window.SetApplication(&app.Application)
	window.ConnectCloseRequest(func() bool { fmt.Println("closed"); return false })

	keys := gtk.NewEventControllerKey()
	keys.SetPropagationPhase(gtk.PhaseCapture)
	stack := b.GetObject("stack").Cast().(*gtk.Stack)
	keys.ConnectKeyPressed(func(value, _ uint, state gdk.ModifierType) bool {
		fmt.Println("key", gdk.KeyvalName(value), uint(state))
		if state == gdk.ControlMask && value == '2' {
			stack.SetVisibleChildName("second")
			return true
		}
		return false
	})
	window.AddController(keys)

	dialog := b.GetObject("dialog").Cast().(interface {
		gtk.Widgetter
		Present()
	})
	b.GetObject("ask").Cast().(*gtk.Button).ConnectClicked(func() { dialog.Present() })
	b.GetObject("dialog").Connect("response", func(response string) { fmt.Println("answered", response) })
	b.GetObject("wink").Cast().(*gtk.Button).ConnectClicked(func() { fmt.Println("winked") })
	word := b.GetObject("word").Cast().(*gtk.Entry)
	word.ConnectChanged(func() { fmt.Printf("typed %q\n", word.Text()) })
	entry := b.GetObject("entry").Cast().(*gtk.Entry)
	entry.ConnectChanged(func() { fmt.Printf("wrote %q\n", entry.Text()) })
	b.GetObject("switch").NotifyProperty("active", func() { fmt.Println("lights") })
	b.GetObject("check").NotifyProperty("active", func() { fmt.Println("agreed") })
	list := b.GetObject("list").Cast().(*gtk.ListBox)
	list.ConnectRowActivated(func(row *gtk.ListBoxRow) { fmt.Println("opened", row.Index()) })
	list.ConnectRowSelected(func(row *gtk.ListBoxRow) { fmt.Println("selected", row.Index()) })
	window.Present()
}
