package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"qvmremote/test/debian"
)

// newer is a Debian with the newest GTK and libadwaita that the program must
// look right on. It is run there as it was built here, on the oldest.
var newer = debian.Kind{
	Name:     "gtk",
	Packages: []string{"libgtk-4-1", "libadwaita-1-0", "libgirepository-1.0-1", "librsvg2-common", "adwaita-icon-theme", "fontconfig", "fonts-dejavu-core"},
}

// newerFolder is where its pictures lie, below those of this machine.
const newerFolder = "gtk-4.18"

// openNewer makes the Debian; an error is why it cannot be had here.
func openNewer(ctx context.Context) (debian.Tree, error) {
	if os.Geteuid() != 0 {
		return debian.Tree{}, errors.New("it takes root")
	}
	release, err := os.ReadFile("/etc/os-release")
	if err != nil || !strings.Contains("\n"+string(release), "\nID=debian\n") {
		return debian.Tree{}, errors.New("this is no Debian")
	}
	for _, program := range []string{"mmdebstrap", "unshare"} {
		if _, err := exec.LookPath(program); err != nil {
			return debian.Tree{}, fmt.Errorf("%w; `make setup-system` installs it", err)
		}
	}
	return debian.Open(ctx, newer)
}
