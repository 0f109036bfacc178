//go:build gtk

package client

import (
	"fmt"
	"os"

	"qvmremote/client"
	"qvmremote/client/standing"
	"qvmremote/gui/program"
	"qvmremote/ui"
	"qvmremote/ui/i18n"
)

// ID is the application's id: of its name on the session bus, its desktop file
// and its icon.
const ID = "org.qvmremote.Client"

// Options are what the program is started with.
type Options struct {
	Page    string // to show first; "" for the one shown last
	Version string
}

// App is the running program.
type App struct {
	*program.Program
	options Options
	queue   *client.Client
	window  *window
	now     standing.Standing
	told    bool // now is known
	bell    standing.Bell
	notices []string // ids of those that the desktop shows
}

func identity(version string) program.Identity {
	return program.Identity{ID: ID, Command: "qvm-remote-gui", Title: "Qubes Remote", Version: version, Keep: "client", Instead: "qvm-remote",
		About: i18n.T("Asks dom0 to run commands, and shows what came of them.") + "\n\n" +
			i18n.T("What dom0 runs for this qube, its rules for this qube say. Where they allow everything, whoever has this qube's key has dom0.")}
}

// Run shows the program until it is closed. Where it is running already for
// this person, that one comes to the front, with the page asked for.
func Run(o Options) error {
	p, err := program.Begin(identity(o.Version))
	if err != nil {
		return err
	}
	a := &App{Program: p, options: o, bell: standing.NewBell()}
	defer a.Scope.Close()
	if a.App.IsRemote() {
		return a.BringForward(o.Page)
	}
	if err := a.openQueue(); err != nil {
		return err
	}
	a.Prefs.Notify = true // unless the person says otherwise
	a.ReadPrefs(a.Scope.Context())
	var failed error
	a.App.ConnectActivate(func() {
		if err := a.activate(); err != nil {
			failed = err
			a.App.Quit()
		}
	})
	a.App.ConnectShutdown(a.takeBack)
	a.addActions()
	paces := standing.DefaultPaces()
	paces.Asked = a.bell
	go standing.Follow(a.Scope.Context(), a.queue, paces, a.deliver)
	code := a.App.Run([]string{os.Args[0]})
	if a.window != nil {
		a.WritePrefs(a.Scope.Context())
		a.Complain(a.window.bin.finish(a.Scope.Context()))
	}
	if failed == nil && code != 0 {
		failed = fmt.Errorf("the program ended with code %d", code)
	}
	return failed
}

// openQueue names the queue, and touches no file.
func (a *App) openQueue() error {
	root, err := client.DefaultRoot()
	if err != nil {
		return err
	}
	a.queue = client.New(root)
	a.queue.Legacy, err = client.LegacyMode()
	return err
}

func (a *App) activate() error {
	if a.window == nil {
		w, err := newWindow(a)
		if err != nil {
			return err
		}
		a.window = w
		a.Look()
		if a.told {
			w.report(a.now)
		}
	}
	a.window.Present()
	return nil
}

// deliver is the one place where what the folder says comes to the main loop.
func (a *App) deliver(s standing.Standing) {
	ui.Turn(func() {
		a.now, a.told = s, true
		if a.window != nil {
			a.window.report(s)
		}
	})
}
