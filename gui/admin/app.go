//go:build gtk

package admin

import (
	"fmt"
	"os"

	"qvmremote/gui/link"
	"qvmremote/gui/program"
	"qvmremote/ui"
	"qvmremote/ui/i18n"
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
	*program.Program
	options  Options
	link     *link.Link
	window   *window
	lastSeen link.Report
	asked    map[uint64]bool // requests that wait and are known
	stays    bool            // it goes on without a window
	atLogin  bool            // it is started then
}

func identity(version string) program.Identity {
	return program.Identity{ID: ID, Command: "qvm-remote-admin", Title: "Qubes Remote", Version: version, Keep: "admin", Instead: "qvm-remote-dom0",
		About: i18n.T("Lets chosen qubes run commands in dom0, and keeps a record of each one.\n\n" +
			"A qube that is authorised here can do everything: dom0 is only as safe as that qube.")}
}

// Run shows the program until it is closed. Where it is running already for
// this person, that one comes to the front, with the page asked for.
func Run(o Options) error {
	p, err := program.Begin(identity(o.Version))
	if err != nil {
		return err
	}
	a := &App{Program: p, options: o, asked: map[uint64]bool{}}
	defer a.Scope.Close()
	switch {
	case a.App.IsRemote() && o.Background:
		return a.haveItStay(a.Scope.Context())
	case a.App.IsRemote():
		return a.BringForward(o.Page)
	}
	a.ReadPrefs(a.Scope.Context())
	a.readAtLogin()
	var failed error
	quiet := o.Background // the first activation is the start itself
	a.App.ConnectActivate(func() {
		if quiet {
			quiet = false
			a.stay()
			return
		}
		if err := a.activate(); err != nil {
			failed = err
			a.App.Quit()
		}
	})
	a.addActions()
	a.link = link.New(o.Address, a.deliver)
	go a.link.Run(a.Scope.Context())
	code := a.App.Run([]string{os.Args[0]})
	if a.window != nil {
		a.WritePrefs(a.Scope.Context())
	}
	if failed == nil && code != 0 {
		failed = fmt.Errorf("the program ended with code %d", code)
	}
	return failed
}

func (a *App) activate() error {
	if a.window == nil {
		w, err := newWindow(a)
		if err != nil {
			return err
		}
		a.window = w
		a.Look()
		a.window.report(a.lastSeen)
	}
	a.window.Present()
	return nil
}

// deliver is the one place where what the bus says comes to the main loop.
func (a *App) deliver(r link.Report, taken func()) {
	ui.Turn(func() {
		defer taken()
		a.lastSeen = r
		a.tellRequests(r.Snapshot)
		if a.window != nil {
			a.window.report(r)
		}
	})
}

func (a *App) readAtLogin() {
	var err error
	a.atLogin, err = atLogin.On()
	a.Complain(err)
}
