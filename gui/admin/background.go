//go:build gtk

package admin

import (
	"context"
	"errors"
	"fmt"

	"github.com/diamondburned/gotk4/pkg/gio/v2"
	"github.com/diamondburned/gotk4/pkg/glib/v2"

	"qvmremote/gui/autostart"
	"qvmremote/gui/words"
	"qvmremote/ui"
	"qvmremote/ui/i18n"
)

// atLogin is the program as a desktop starts it, to wait for requests.
var atLogin = autostart.Entry{
	ID: ID, Name: i18n.T("Qubes Remote: requests"), Comment: i18n.T("Tells you when a qube asks to run something in dom0"), Exec: "qvm-remote-admin --background",
}

// stay has the program go on without a window; closing its window hides it.
func (a *App) stay() {
	if !a.stays {
		a.stays = true
		a.App.Hold()
	}
}

// leave has it end with its window again.
func (a *App) leave() {
	if a.stays {
		a.stays = false
		a.App.Release()
	}
}

// haveItStay has the program that runs already stay.
func (a *App) haveItStay(ctx context.Context) error {
	a.App.ActivateAction("background", nil)
	if err := a.App.DBusConnection().FlushSync(ctx); err != nil {
		return fmt.Errorf("cannot have the program that runs already wait in the background: %w", err)
	}
	return nil
}

// addBackground are the actions that begin and end this: from another start, and
// from the menu, for each login to come as well.
func (a *App) addBackground() {
	a.Add("background", a.stay)
	choice := gio.NewSimpleActionStateful("stay", nil, glib.NewVariantBoolean(a.atLogin))
	choice.ConnectActivate(func(*glib.Variant) {
		on := !a.atLogin
		ui.Async(a.Scope, func(context.Context) func() {
			err := atLogin.Set(on)
			return func() {
				if err != nil {
					a.complain(words.Error(err))
					return
				}
				a.atLogin = on
				choice.SetState(glib.NewVariantBoolean(on))
				if on {
					a.stay()
				} else {
					a.leave()
				}
			}
		})
	})
	a.App.AddAction(choice)
}

// complain says what went wrong where a person sees it.
func (a *App) complain(text string) {
	if a.window != nil {
		a.window.Say(text)
		return
	}
	a.Complain(errors.New(text))
}
