package rules

import (
	"os"
	"path/filepath"
	"testing"
)

// load parses this module.
func load(t *testing.T) *Tree {
	t.Helper()
	root, err := Root()
	if err != nil {
		t.Fatal(err)
	}
	tree, err := Load(root)
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

// sample writes files into a module of their own and parses it: each rule is
// shown to find what it is there to find.
func sample(t *testing.T, files map[string]string) *Tree {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		p := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(p), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	tree, err := Load(root)
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

// report fails the test with each fault.
func report(t *testing.T, faults []string) {
	t.Helper()
	for _, f := range faults {
		t.Error(f)
	}
}

// finds fails unless the rule found exactly n faults in a sample.
func finds(t *testing.T, n int, faults []string) {
	t.Helper()
	if len(faults) != n {
		t.Errorf("found %d faults, want %d: %q", len(faults), n, faults)
	}
}
