package rules

import (
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"

	"golang.org/x/mod/modfile"
)

// maxDaemonModules is how many modules of others may be named by the code that
// runs as root in dom0.
const maxDaemonModules = 8

func goMod(t *testing.T, root string) *modfile.File {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	m, err := modfile.Parse("go.mod", data, nil)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// bindings is the module of GTK's bindings, which takes clang and minutes.
const bindings = "github.com/diamondburned/gotk4/pkg"

// TestLanguageFloor: the Go that the oldest supported build chroots have, and
// no line that makes go fetch another one.
func TestLanguageFloor(t *testing.T) {
	t.Parallel()
	m := goMod(t, load(t).Root)
	if m.Module.Mod.Path != Module {
		t.Errorf("module %s, want %s", m.Module.Mod.Path, Module)
	}
	if m.Go == nil || m.Go.Version != "1.24.0" {
		t.Errorf("go.mod says %+v, want go 1.24.0", m.Go)
	}
	if m.Toolchain != nil {
		t.Errorf("go.mod has a toolchain line: %s", m.Toolchain.Name)
	}
	for _, r := range m.Replace {
		// docs/gotk4.md: no version of the bindings is fit for use as it is.
		if r.Old.Path != bindings || r.New.Path != "./build/gotk4" {
			t.Errorf("go.mod replaces %s", r.Old.Path)
		}
	}
}

// TestDaemonHasFewDependencies counts the modules that non-test code reachable
// from the daemon's packages and program imports.
func TestDaemonHasFewDependencies(t *testing.T) {
	t.Parallel()
	tree := load(t)
	m := goMod(t, tree.Root)
	used := map[string]bool{}
	for _, f := range tree.Files {
		if f.Test() || !Under(f.Dir(), "daemon", "queue", "cmd/qvm-remote-dom0") {
			continue
		}
		for _, p := range f.Imports() {
			if !standard(p) && !Under(p, Module) {
				used[moduleOf(m, p)] = true
			}
		}
	}
	var names []string
	for n := range used {
		names = append(names, n)
	}
	sort.Strings(names)
	if len(names) > maxDaemonModules {
		t.Errorf("the daemon uses %d modules, at most %d: %v", len(names), maxDaemonModules, names)
	}
}

// moduleOf names the module of go.mod that holds package p, or p itself.
func moduleOf(m *modfile.File, p string) string {
	best := ""
	for _, r := range m.Require {
		if Under(p, r.Mod.Path) && len(r.Mod.Path) > len(best) {
			best = r.Mod.Path
		}
	}
	if best == "" {
		return p
	}
	return best
}

// TestDependenciesAreExplained: docs/dependencies.md has a row for every
// direct requirement with its version, and none for what is gone.
func TestDependenciesAreExplained(t *testing.T) {
	t.Parallel()
	root := load(t).Root
	rows := map[string]string{}
	for _, line := range strings.Split(readText(t, root, "docs/dependencies.md"), "\n") {
		cells := strings.Split(line, "|")
		if len(cells) < 4 {
			continue
		}
		name := strings.Trim(strings.TrimSpace(cells[1]), "`")
		if strings.Contains(name, ".") && strings.Contains(name, "/") {
			rows[name] = strings.TrimSpace(cells[2])
		}
	}
	for _, r := range goMod(t, root).Require {
		version, ok := rows[r.Mod.Path]
		delete(rows, r.Mod.Path)
		switch {
		case !ok && !r.Indirect:
			t.Errorf("docs/dependencies.md does not explain %s", r.Mod.Path)
		case ok && version != r.Mod.Version:
			t.Errorf("docs/dependencies.md says %s %s, go.mod %s", r.Mod.Path, version, r.Mod.Version)
		}
	}
	for name := range rows {
		t.Errorf("docs/dependencies.md explains %s, which go.mod does not require", name)
	}
}
