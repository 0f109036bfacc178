//go:build gtk

package client

import "fmt"

// accelerators are all keys that do something anywhere in the program.
// resources/client/shortcuts.ui shows them by the names of the actions.
func accelerators() map[string][]string {
	keys := map[string][]string{
		"app.quit":      {"<Control>q"},
		"win.shortcuts": {"<Control>question", "F1"},
		"win.find":      {"<Control>f"},
		"win.back":      {"<Alt>Left"},
		"win.run":       {"<Control>Return", "<Control>KP_Enter"},
		"win.new-tab":   {"<Control>t"},
		"win.close-tab": {"<Control>w"},
		"win.menu":      {"F10"},
	}
	for i, p := range places() {
		keys["win.page::"+p.name] = []string{fmt.Sprintf("<Control>%d", i+1)}
	}
	return keys
}

func (a *App) addActions() {
	a.Accelerators(accelerators())
	a.Add("quit", func() {
		if a.window != nil {
			a.window.quit()
		} else {
			a.App.Quit()
		}
	})
	a.Add("about", func() { a.ShowAbout(a.window.Top()) })
	a.AddShow(func(page string) {
		if a.window != nil {
			a.window.Show(page)
		}
	})
	a.addEnded()
	a.AddStyle()
	a.Toggle("notify", &a.Prefs.Notify, func() {})
}
