//go:build gtk

package admin

import (
	"errors"
	"fmt"
	"os"

	"github.com/diamondburned/gotk4-adwaita/pkg/adw"
	coreglib "github.com/diamondburned/gotk4/pkg/core/glib"
	"github.com/diamondburned/gotk4/pkg/gio/v2"
	"github.com/diamondburned/gotk4/pkg/glib/v2"
	"github.com/diamondburned/gotk4/pkg/gtk/v4"

	"qvmremote/gui/link"
	"qvmremote/gui/prefs"
	"qvmremote/resources"
	"qvmremote/ui"
)

// ID is the application's id: of its name on the session bus, its desktop file
// and its icon.
const ID = "org.qvmremote.Admin"

// Options are what the program is started with.
type Options struct {
	Address string // of the bus; "" for the system bus
	Page    string // to show first; "" for the one shown last
	Version string
	// Background is to wait for requests without a window, until one is wanted.
	Background bool
}

// Pages are the names that Options.Page may have.
func Pages() []string {
	var names []string
	for _, p := range pages {
		names = append(names, p.name)
	}
	return names
}

// App is the running program.
type App struct {
	options  Options
	app      *adw.Application
	scope    *ui.Scope
	link     *link.Link
	window   *window
	style    ui.Style
	prefs    prefs.Prefs
	file     string // where prefs are kept, "" for nowhere
	lastSeen link.Report
	asked    map[uint64]bool // requests that wait and are known
	stays    bool            // it goes on without a window
	atLogin  bool            // it is started then
}

// Run shows the program until it is closed. Where it is running already for
// this person, that one comes to the front, with the page asked for.
func Run(o Options) error {
	if !gtk.InitCheck() {
		return errors.New("there is no display to show a window on; qvm-remote-dom0 does the same in a terminal")
	}
	if err := resources.Register(); err != nil {
		return err
	}
	gtk.WindowSetDefaultIconName(ID)
	a := &App{options: o, app: adw.NewApplication(ID, gio.ApplicationFlagsNone), scope: ui.NewScope(nil), asked: map[uint64]bool{}}
	defer a.scope.Close()
	if err := a.app.Register(a.scope.Context()); err != nil {
		return fmt.Errorf("cannot register with the session: %w", err)
	}
	switch {
	case a.app.IsRemote() && o.Background:
		return a.haveItStay(a.scope.Context())
	case a.app.IsRemote():
		return a.bringForward()
	}
	a.readPrefs()
	var failed error
	quiet := o.Background // the first activation is the start itself
	a.app.ConnectActivate(func() {
		if quiet {
			quiet = false
			a.stay()
			return
		}
		if err := a.activate(); err != nil {
			failed = err
			a.app.Quit()
		}
	})
	a.addActions()
	a.link = link.New(o.Address, a.deliver)
	go a.link.Run(a.scope.Context())
	code := a.app.Run([]string{os.Args[0]})
	a.writePrefs()
	if failed == nil && code != 0 {
		failed = fmt.Errorf("the program ended with code %d", code)
	}
	return failed
}

// bringForward has the program that runs already show the page.
func (a *App) bringForward() error {
	if a.options.Page != "" {
		a.app.ActivateAction("show", glib.NewVariantString(a.options.Page))
	}
	// Run activates the other one, and sends what waits to be sent.
	if code := a.app.Run([]string{os.Args[0]}); code != 0 {
		return fmt.Errorf("cannot bring the window forward: the program ended with code %d", code)
	}
	return nil
}

func (a *App) activate() error {
	if a.window == nil {
		w, err := newWindow(a)
		if err != nil {
			return err
		}
		a.window = w
		a.style.Set(a.prefs.Style, a.prefs.HighContrast)
		a.window.report(a.lastSeen)
	}
	a.window.Present()
	return nil
}

// deliver is the one place where what the bus says comes to the main loop.
func (a *App) deliver(r link.Report, taken func()) {
	coreglib.IdleAdd(func() {
		defer taken()
		a.lastSeen = r
		a.tellRequests(r.Snapshot)
		if a.window != nil {
			a.window.report(r)
		}
	})
}

func (a *App) readPrefs() {
	a.prefs = prefs.Default()
	path, err := prefs.Path("admin")
	if err == nil {
		a.file = path
		a.prefs, err = prefs.Load(path)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "qvm-remote-admin:", err)
	}
	if a.atLogin, err = atLogin.On(); err != nil {
		fmt.Fprintln(os.Stderr, "qvm-remote-admin:", err)
	}
}

func (a *App) writePrefs() {
	if a.file == "" || a.window == nil {
		return
	}
	if err := a.prefs.Save(a.file); err != nil {
		fmt.Fprintln(os.Stderr, "qvm-remote-admin:", err)
	}
}
