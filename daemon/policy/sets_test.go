package policy

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const sets = "../../packaging/policy"

// machine is a root with the package's sets and no policy; it returns the
// folder of the policies.
func machine(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	dir, share := filepath.Join(root, configured), filepath.Join(root, shipped)
	for _, d := range []string{dir, share} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range setNames(t) {
		text, err := os.ReadFile(filepath.Join(sets, name))
		if err != nil {
			t.Fatal(err)
		}
		put(t, filepath.Join(share, name), string(text))
	}
	return dir
}

func put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func setNames(t *testing.T) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(sets)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !strings.Contains(e.Name(), ".") {
			names = append(names, e.Name())
		}
	}
	return names
}

// TestReadyMadeSets: each set has no warning and does what the file beside it
// expects, which no other set spoils.
func TestReadyMadeSets(t *testing.T) {
	t.Parallel()
	names := setNames(t)
	if len(names) != 4 {
		t.Errorf("the sets are %q", names)
	}
	dir := machine(t)
	for _, name := range names {
		file := filepath.Join(sets, name+".expect")
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		list, err := Expectations(file, text)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range list {
			p, err := e.LoadFor(dir)
			if err != nil || e.Policy != name || len(p.Warnings()) > 0 {
				t.Fatalf("%s: %v, warnings %q", e.Policy, err, p.Warnings())
			}
			if wrong := e.Met(p); wrong != "" {
				t.Errorf("%s: %s", file, wrong)
			}
		}
	}
	put(t, filepath.Join(dir, "all.policy"), "include "+strings.Join(names, "\ninclude ")+"\n")
	if p, err := Load(dir, "all"); err != nil || len(p.Warnings()) > 0 {
		t.Errorf("all sets together: %v, %q", err, p.Warnings())
	}
}
