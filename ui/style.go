//go:build gtk

package ui

import (
	"github.com/diamondburned/gotk4-adwaita/pkg/adw"
	"github.com/diamondburned/gotk4/pkg/gdk/v4"
	"github.com/diamondburned/gotk4/pkg/gtk/v4"
)

// Style is how the program looks: as the system says, or as the person says,
// since dom0's desktop may have nothing to say.
type Style struct {
	contrast *gtk.CSSProvider
	strong   bool
}

// Set changes the scheme, one of "system", "light" and "dark", and whether
// borders and text are as strong as they can be. Where the system itself wants
// high contrast, it stays.
func (s *Style) Set(scheme string, highContrast bool) {
	schemes := map[string]adw.ColorScheme{"light": adw.ColorSchemeForceLight, "dark": adw.ColorSchemeForceDark}
	adw.StyleManagerGetDefault().SetColorScheme(schemes[scheme])
	if highContrast == s.strong {
		return
	}
	s.strong = highContrast
	display := gdk.DisplayGetDefault()
	if s.contrast == nil {
		s.contrast = gtk.NewCSSProvider()
		s.contrast.LoadFromResource("/org/qvmremote/ui/contrast.css")
	}
	if highContrast {
		gtk.StyleContextAddProviderForDisplay(display, s.contrast, uint(gtk.STYLE_PROVIDER_PRIORITY_APPLICATION)+1)
	} else {
		gtk.StyleContextRemoveProviderForDisplay(display, s.contrast)
	}
}
