//go:build gtk

package resources_test

import (
	"path/filepath"
	"testing"

	"github.com/diamondburned/gotk4/pkg/gio/v2"
	"github.com/diamondburned/gotk4/pkg/gtk/v4"

	"qvmremote/test/stage"
)

func TestMain(m *testing.M) { stage.Main(m) }

// TestEveryViewLoadsAlone: it needs neither another one nor the program, and GTK
// has nothing to say about it.
func TestEveryViewLoadsAlone(t *testing.T) {
	stage.Enter(t)
	views, err := filepath.Glob("*/*.ui")
	if err != nil || len(views) == 0 {
		t.Fatalf("there are no views: %v", err)
	}
	for _, view := range views {
		b := gtk.NewBuilder()
		if err := b.AddFromFile(view); err != nil {
			t.Errorf("%s: %v", view, err)
			continue
		}
		stage.Settle()
		if said := stage.Warned(); said != "" {
			t.Errorf("%s: GTK warns:\n%s", view, said)
		}
		for _, o := range b.Objects() {
			if w, ok := o.Cast().(interface{ Destroy() }); ok {
				w.Destroy()
			}
		}
	}
}

// TestEveryStyleIsUnderstood: GTK passes over what it does not understand, and
// says so on the log alone.
func TestEveryStyleIsUnderstood(t *testing.T) {
	stage.Enter(t)
	styles, err := filepath.Glob("*/*.css")
	if err != nil || len(styles) == 0 {
		t.Fatalf("there are no styles: %v", err)
	}
	for _, style := range styles {
		gtk.NewCSSProvider().LoadFromFile(gio.NewFileForPath(style))
		if said := stage.Warned(); said != "" {
			t.Errorf("%s: GTK warns:\n%s", style, said)
		}
	}
}
