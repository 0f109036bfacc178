package rules

import (
	"fmt"
	"strings"
	"testing"
)

// arrow says what the packages below Folder may import besides the standard
// library and each other: folders of this module, and modules of others. The
// longest Folder that fits a package is the one that counts.
type arrow struct {
	Folder string
	Ours   []string
	Theirs []string
}

var arrows = []arrow{
	{Folder: "queue"},
	{Folder: "client", Ours: []string{"queue"},
		Theirs: []string{"golang.org/x/sys", "golang.org/x/term"}},
	// Only what saves keys may encrypt them.
	{Folder: "client/backup", Ours: []string{"queue", "client"}, Theirs: []string{"filippo.io/age", "golang.org/x/sys"}},
	// dbus/wire, and nothing else of dbus: systemd's units are reached over the
	// same bus, on which anybody may write to us.
	{Folder: "daemon", Ours: []string{"queue", "dbus/wire"},
		Theirs: []string{"github.com/coreos/go-systemd/v22", "github.com/fsnotify/fsnotify",
			"github.com/godbus/dbus/v5", "golang.org/x/mod", "golang.org/x/sys"}},
	// What decides is pure: no bus, no daemon. Only it reads scripts as bash does.
	{Folder: "daemon/policy", Ours: []string{"queue", "daemon/settings", "daemon/trusted"}, Theirs: []string{"mvdan.cc/sh/v3/syntax"}},
	{Folder: "dbus", Ours: []string{"queue"}, Theirs: []string{"github.com/godbus/dbus/v5"}},
	{Folder: "dbus/wire", Theirs: []string{"github.com/godbus/dbus/v5", "golang.org/x/sys"}},
	{Folder: "dbus/service", Ours: []string{"queue", "dbus", "daemon"},
		Theirs: []string{"github.com/godbus/dbus/v5", "github.com/rogpeppe/go-internal/diff", "golang.org/x/sys"}},
	{Folder: "ui", Ours: []string{"queue"}, Theirs: []string{"C", "github.com/diamondburned"}},
	{Folder: "ui/pieces", Ours: []string{"queue"}},
	{Folder: "ui/i18n", Theirs: []string{"github.com/leonelquinteros/gotext"}},
	{Folder: "resources", Theirs: []string{"github.com/diamondburned"}},
	{Folder: "resources/po", Ours: []string{"ui/i18n"}},
	// What has no widgets can be tested everywhere, with the race detector.
	{Folder: "gui", Ours: []string{"queue", "dbus", "ui/i18n"}},
	{Folder: "gui/program", Ours: []string{"gui/prefs", "ui", "resources"}, Theirs: []string{"github.com/diamondburned"}},
	{Folder: "gui/frames", Ours: []string{"ui"}, Theirs: []string{"github.com/diamondburned"}},
	{Folder: "gui/admin", Ours: []string{"queue", "dbus", "gui/autostart", "gui/frames", "gui/guard", "gui/link", "gui/program", "gui/save", "gui/say", "gui/timeline", "gui/words", "ui"},
		Theirs: []string{"github.com/diamondburned"}},
	// A qube has no bus of ours, and nothing of dom0's.
	{Folder: "gui/client", Ours: []string{"queue", "client", "gui/frames", "gui/program", "gui/save", "gui/say", "ui"}, Theirs: []string{"github.com/diamondburned"}},
	{Folder: "cmd/qvm-remote-admin", Ours: []string{"queue", "gui/admin"}, Theirs: []string{"github.com/spf13/cobra"}},
	{Folder: "cmd/qvm-remote-gui", Ours: []string{"queue", "gui/client"}, Theirs: []string{"github.com/spf13/cobra"}},
	{Folder: "cmd/qvm-remote", Ours: []string{"queue", "client"},
		Theirs: []string{"github.com/spf13/cobra", "golang.org/x/sys", "golang.org/x/term"}},
	{Folder: "cmd/qvm-remote-dom0", Ours: []string{"queue", "daemon", "dbus"},
		Theirs: []string{"github.com/godbus/dbus/v5", "github.com/coreos/go-systemd/v22", "github.com/spf13/cobra", "golang.org/x/sys", "golang.org/x/term"}},
}

func arrowOf(dir string) (arrow, bool) {
	var best arrow
	found := false
	for _, a := range arrows {
		if Under(dir, a.Folder) && (!found || len(a.Folder) > len(best.Folder)) {
			best, found = a, true
		}
	}
	return best, found
}

// standard reports whether p is in the standard library, the way go does.
func standard(p string) bool {
	first, _, _ := strings.Cut(p, "/")
	return p != "C" && first != Module && !strings.Contains(first, ".")
}

// wrongArrows lists imports against the table. Tests may import what they need.
func wrongArrows(t *Tree) []string {
	var faults []string
	for _, f := range t.Files {
		if f.Test() || Under(f.Dir(), "test") {
			continue
		}
		a, ok := arrowOf(f.Dir())
		if !ok {
			faults = append(faults, f.Path+": no rule says what this folder may import; add one to arrows")
			continue
		}
		for _, p := range f.Imports() {
			if !a.allows(p) {
				faults = append(faults, fmt.Sprintf("%s: %s may not import %s", f.Path, a.Folder, p))
			}
		}
	}
	return faults
}

func (a arrow) allows(p string) bool {
	if standard(p) || Under(p, a.Theirs...) {
		return true
	}
	ours, ok := strings.CutPrefix(p, Module+"/")
	return ok && Under(ours, append([]string{a.Folder}, a.Ours...)...)
}

func TestArrowsPointOneWay(t *testing.T) {
	t.Parallel()
	report(t, wrongArrows(load(t)))
}

func TestArrowsFindWhatIsWrong(t *testing.T) {
	t.Parallel()
	faults := wrongArrows(sample(t, map[string]string{
		"queue/a.go":          `package queue; import ("os"; "golang.org/x/sys/unix")`,
		"client/a.go":         `package client; import ("qvmremote/queue"; "qvmremote/daemon")`,
		"client/cobra.go":     `package client; import "github.com/spf13/cobra"`,
		"daemon/a.go":         `package daemon; import ("qvmremote/daemon/disk"; "golang.org/x/mod/sumdb/tlog"; "qvmremote/test/sim")`,
		"daemon/cgo.go":       `package daemon; import "C"`,
		"daemon/a_test.go":    `package daemon; import "qvmremote/test/sim"`,
		"cmd/qvm-remote/a.go": `package main; import ("qvmremote/client"; "github.com/spf13/cobra")`,
		"other/a.go":          `package other`,
	}))
	finds(t, 6, faults)
}

// TestBindingsHaveTheirTag: without the tag gtk everything builds on any
// machine, and the bindings' folder need not be there.
func TestBindingsHaveTheirTag(t *testing.T) {
	t.Parallel()
	report(t, untagged(load(t)))
	finds(t, 1, untagged(sample(t, map[string]string{
		"ui/a.go":  "//go:build gtk\n\npackage ui; import \"github.com/diamondburned/gotk4/pkg/gtk/v4\"",
		"gui/a.go": "package gui; import \"github.com/diamondburned/gotk4/pkg/gtk/v4\"",
	})))
}

// untagged lists the files that need the bindings in every build.
func untagged(t *Tree) []string {
	var faults []string
	for _, f := range t.Files {
		tagged := false
		for _, group := range f.AST.Comments {
			for _, c := range group.List {
				tagged = tagged || strings.HasPrefix(c.Text, "//go:build gtk")
			}
		}
		for _, p := range f.Imports() {
			if !tagged && !Under(p, Module+"/ui/pieces", Module+"/ui/i18n", Module+"/resources/po") && Under(p, "github.com/diamondburned", Module+"/ui", Module+"/gui/admin", Module+"/gui/client", Module+"/gui/frames", Module+"/gui/program", Module+"/resources") {
				faults = append(faults, f.Path+" imports "+p+" without the tag gtk")
			}
		}
	}
	return faults
}

// TestNoMathRand: nothing here may be guessable, so no other source of
// randomness than crypto/rand is at hand.
func TestNoMathRand(t *testing.T) {
	t.Parallel()
	for _, f := range load(t).Files {
		if f.Test() || Under(f.Dir(), "test") {
			continue
		}
		for _, p := range f.Imports() {
			if Under(p, "math/rand") {
				t.Errorf("%s imports %s", f.Path, p)
			}
		}
	}
}
