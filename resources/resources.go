//go:build gtk

// Package resources holds what the desktop programs show: views, styles and
// icons, as one GResource that `make resources` compiles from the files beside
// this one.
package resources

import (
	_ "embed" // of the compiled file
	"fmt"

	"github.com/diamondburned/gotk4/pkg/gio/v2"
	"github.com/diamondburned/gotk4/pkg/glib/v2"
)

//go:embed qvm-remote.gresource
var compiled []byte

// Register makes the resources known to GTK. It comes before the application.
func Register() error {
	r, err := gio.NewResourceFromData(glib.NewBytesWithGo(compiled))
	if err != nil {
		return fmt.Errorf("cannot read the program's own resources: %w", err)
	}
	gio.ResourcesRegister(r)
	return nil
}
