package rules

import (
	"os/exec"
	"strings"
	"testing"
)

// TestClientsDoNotLinkTheDaemon: whoever imports the D-Bus client gets nothing
// of the daemon with it, by whatever way; only dbus/service may.
func TestClientsDoNotLinkTheDaemon(t *testing.T) {
	t.Parallel()
	const format = `{{$p := .ImportPath}}{{range .Deps}}{{$p}} {{.}}` + "\n" + `{{end}}`
	cmd := exec.Command("go", "list", "-f", format, "./dbus/...")
	cmd.Dir = load(t).Root
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	found := false
	for _, line := range strings.Split(strings.TrimSpace(string(out)), "\n") {
		who, what, _ := strings.Cut(line, " ")
		found = found || who == Module+"/dbus"
		if who != Module+"/dbus/service" && Under(what, Module+"/daemon") {
			t.Errorf("%s links %s", who, what)
		}
	}
	if !found {
		t.Error("go list names no package dbus")
	}
}
