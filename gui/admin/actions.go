//go:build gtk

package admin

// accelerators are all keys that do something anywhere in the program.
// resources/admin/shortcuts.ui shows them by the names of the actions.
var accelerators = map[string][]string{
	"app.quit":           {"<Control>q"},
	"win.shortcuts":      {"<Control>question", "F1"},
	"win.search":         {"<Control>f"},
	"win.back":           {"<Alt>Left"},
	"win.pause":          {"<Control>p"},
	"win.authorise":      {"<Control>n"},
	"win.page::overview": {"<Control>1"},
	"win.page::qubes":    {"<Control>2"},
	"win.page::requests": {"<Control>3"},
	"win.page::activity": {"<Control>4"},
	"win.close":          {"<Control>w"},
	"win.menu":           {"F10"},
}

func (a *App) addActions() {
	a.Accelerators(accelerators)
	a.Add("quit", func() {
		if a.window != nil {
			a.window.remember()
		}
		a.App.Quit()
	})
	a.Add("about", func() { a.ShowAbout(a.window.Top()) })
	a.AddShow(func(page string) {
		if a.window != nil {
			a.window.Show(page)
		}
	})
	a.AddStyle()
	a.Toggle("notify", &a.Prefs.Notify, func() {})
	a.Toggle("ask", &a.Prefs.Ask, func() {})
	a.addBackground()
	a.addRequestActions()
}
