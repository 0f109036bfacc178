package rules

import (
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
	"testing"
)

func readText(t *testing.T, root, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// documents maps the path of every .md file of the module to its text.
func documents(t *testing.T, root string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if p != root && (d.Name() == "testdata" || d.Name()[0] == '.') {
				return fs.SkipDir
			}
			return nil
		}
		if strings.HasSuffix(p, ".md") {
			rel, err := filepath.Rel(root, p)
			if err != nil {
				return err
			}
			all[filepath.ToSlash(rel)] = readText(t, root, filepath.ToSlash(rel))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

var targetLine = regexp.MustCompile(`(?m)^([a-z][a-z-]*):(?:[^=]|$)`)

// targets lists the targets of the Makefile.
func targets(t *testing.T, root string) map[string]bool {
	t.Helper()
	all := map[string]bool{}
	for _, m := range targetLine.FindAllStringSubmatch(readText(t, root, "Makefile"), -1) {
		all[m[1]] = true
	}
	return all
}

func TestMakeHelpListsEveryTarget(t *testing.T) {
	t.Parallel()
	root := load(t).Root
	if _, err := exec.LookPath("make"); err != nil {
		t.Skip("no make here")
	}
	cmd := exec.Command("make", "-s", "help")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "MAKEFLAGS=", "MAKELEVEL=")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("make help: %v\n%s", err, out)
	}
	listed := map[string]bool{}
	for _, line := range strings.Split(string(out), "\n") {
		if f := strings.Fields(line); len(f) > 2 && f[0] == "make" {
			listed[f[1]] = true
		}
	}
	for name := range targets(t, root) {
		if !listed[name] {
			t.Errorf("make help does not say what %s does", name)
		}
	}
	for _, name := range []string{"help", "setup", "build", "demo", "test", "test-core", "floor", "lint",
		"vuln", "bench", "fuzz", "cover", "clean"} {
		if !listed[name] {
			t.Errorf("make %s is gone", name)
		}
	}
}

func TestReadmeHasItsTwoCommands(t *testing.T) {
	t.Parallel()
	root := load(t).Root
	readme := readText(t, root, "README.md")
	for _, command := range []string{"make demo", "make test"} {
		if !strings.Contains(readme, "\n"+command+"\n") && !strings.Contains(readme, "\n"+command+" ") {
			t.Errorf("README.md does not show %q on a line of its own", command)
		}
	}
	if !strings.Contains(readText(t, root, ".ci/run"), "make test\n") {
		t.Error(".ci/run does not call the README's test command")
	}
}

var makeCommand = regexp.MustCompile("(?m)(?:`|^\\$ |^)make ([a-z][a-z-]*)[` \n]")

func TestDocumentsNameRealTargets(t *testing.T) {
	t.Parallel()
	root := load(t).Root
	known := targets(t, root)
	for name, text := range documents(t, root) {
		for _, m := range makeCommand.FindAllStringSubmatch(text, -1) {
			if !known[m[1]] {
				t.Errorf("%s: there is no `make %s`", name, m[1])
			}
		}
	}
}

var (
	link     = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	codePath = regexp.MustCompile("`((?:(?:cmd|client|daemon|gui|ui|resources|test|docs|packaging|\\.ci)/[A-Za-z0-9._/-]*)|queue/[a-z_]+\\.go)`")
)

// TestDocumentsNameRealFiles: relative links, and folders and files of this
// repository in backquotes, are there. (Other names that begin with queue/ are
// those of the folder in a qube.)
func TestDocumentsNameRealFiles(t *testing.T) {
	t.Parallel()
	root := load(t).Root
	var missing []string
	for name, text := range documents(t, root) {
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			target, _, _ := strings.Cut(m[1], "#")
			if target == "" || strings.Contains(target, ":") {
				continue
			}
			if !exists(root, path.Join(path.Dir(name), target)) {
				missing = append(missing, name+" links to "+m[1]+", which is not there")
			}
		}
		for _, m := range codePath.FindAllStringSubmatch(text, -1) {
			if !exists(root, m[1]) {
				missing = append(missing, name+" names "+m[1]+", which is not there")
			}
		}
	}
	sort.Strings(missing)
	report(t, missing)
}

func exists(root, name string) bool {
	_, err := os.Stat(filepath.Join(root, filepath.FromSlash(name)))
	return err == nil
}

// TestArchitectureNamesEveryPackage: who looks for a package's place finds it
// there.
func TestArchitectureNamesEveryPackage(t *testing.T) {
	t.Parallel()
	tree := load(t)
	text := readText(t, tree.Root, "docs/architecture.md")
	seen := map[string]bool{}
	for _, f := range tree.Files {
		dir := f.Dir()
		if seen[dir] || !Under(dir, "queue", "client", "daemon", "cmd", "gui", "ui", "resources") {
			continue
		}
		seen[dir] = true
		if !strings.Contains(text, "`"+dir+"`") {
			t.Errorf("docs/architecture.md does not name %s", dir)
		}
	}
}

var testName = regexp.MustCompile("`(Test[A-Z][A-Za-z0-9]*)`")

// TestDocumentsNameRealTests: a promise shown by a test that is gone is none.
func TestDocumentsNameRealTests(t *testing.T) {
	t.Parallel()
	tree := load(t)
	known := map[string]bool{}
	for _, f := range tree.Files {
		for _, d := range f.AST.Decls {
			known[DeclName(d)] = true
		}
	}
	for name, text := range documents(t, tree.Root) {
		for _, m := range testName.FindAllStringSubmatch(text, -1) {
			if !known[m[1]] {
				t.Errorf("%s: there is no %s", name, m[1])
			}
		}
	}
}
