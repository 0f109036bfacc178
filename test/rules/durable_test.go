package rules

import (
	"go/ast"
	"slices"
	"strings"
	"testing"
)

// fileChanges are the calls that change what is on dom0's disk. What decides
// something is changed through daemon/disk only, which fsyncs and has a crash
// point at each step.
var fileChanges = map[string][]string{
	"os": {"Rename", "Remove", "RemoveAll", "WriteFile", "Create", "CreateTemp", "Mkdir", "MkdirAll",
		"MkdirTemp", "Truncate", "Link", "Symlink"},
	"syscall": {"Rename", "Unlink", "Fsync", "Fdatasync", "Ftruncate", "Truncate", "Mkdir", "Link"},
	"golang.org/x/sys/unix": {"Rename", "Renameat", "Renameat2", "Unlink", "Unlinkat", "Fsync", "Fdatasync",
		"Ftruncate", "Truncate", "Mkdir", "Mkdirat", "Link", "Linkat"},
	"": {"Sync", "Truncate"}, // of an *os.File
}

// exempt lists calls of fileChanges that decide nothing, or are made lasting in
// another way, as "folder function call", each with the reason. One that no
// code needs any more is a fault too.
var exempt = map[string]string{
	"daemon Executor.makeFolders os.MkdirAll": "empty folders decide nothing; they are made again at the next start",
	"daemon/keys Open os.MkdirAll":            "the same",
	"daemon/spool Open os.MkdirAll":           "the same",
	"daemon/settings Source.edit os.MkdirAll": "the same",

	"daemon/burn List.read .Truncate": "cuts off half a line; the fsync that makes it last follows through daemon/disk",

	"daemon request.final .Sync":   "of a spool.Output, which goes through daemon/disk",
	"daemon status.loop os.Remove": "the status file is on tmpfs and for display",

	"daemon/audit Log.checkReserve .Truncate":      "the reserve's content decides nothing; its size is measured anew",
	"daemon/audit Log.giveReserve .Truncate":       "the same",
	"daemon/audit Log.giveReserve .Sync":           "frees blocks; failure is harmless",
	"daemon/audit writeBlocks .Sync":               "blocks of the reserve; its size is measured anew",
	"daemon/audit start.begin .Truncate":           "hashes of no record; a start computes them again",
	"daemon/audit start.store .Truncate":           "surplus hashes; a start computes them again",
	"daemon/spool Spool.Create os.Mkdir":           "what a crash loses of a request is never used again; SaveResult syncs the folder",
	"daemon/spool Spool.Reopen os.Mkdir":           "the same",
	"daemon/mirror createLog os.MkdirAll":          "a copy for people decides nothing",
	"daemon/audit start.rewriteTree os.CreateTemp": "becomes the tree by disk.Sync and disk.Rename only",
	"daemon/audit start.rewriteTree os.Remove":     "a temporary file that did not become the tree",

	"cmd/qvm-remote-dom0 edit.run os.MkdirTemp": "an editor's copy; it becomes the policy by disk.Replace only",
	"cmd/qvm-remote-dom0 edit.run os.WriteFile": "the same",
	"cmd/qvm-remote-dom0 edit.run os.RemoveAll": "the same",

	"daemon/run makeFolder os.Mkdir":              "below /run: gone with a boot, swept at a start",
	"daemon/run placeScript os.WriteFile":         "the same",
	"daemon/run job.removeAll os.RemoveAll":       "the same",
	"daemon/run Runner.sweepFolders os.RemoveAll": "the same",
	"daemon/run prepareGroup os.Mkdir":            "a cgroup, no file",
	"daemon/run Runner.newGroup os.Mkdir":         "the same",
	"daemon/run Runner.newGroup os.Remove":        "the same",
}

// directChanges lists calls of fileChanges in the daemon, less the exempt.
func directChanges(t *Tree, exempt map[string]string) []string {
	var faults []string
	used := map[string]bool{}
	for _, f := range t.Files {
		if f.Test() || f.Dir() == "daemon/disk" || !Under(f.Dir(), "daemon", "cmd/qvm-remote-dom0") {
			continue
		}
		for _, c := range f.Calls() {
			if !changesFile(c) {
				continue
			}
			key := strings.Join([]string{f.Dir(), DeclName(c.In), c.Pkg + "." + c.Name}, " ")
			if _, ok := exempt[key]; ok {
				used[key] = true
				continue
			}
			faults = append(faults, t.At(f, c)+": use daemon/disk, or add to exempt with the reason: "+key)
		}
	}
	for key := range exempt {
		folder, _, _ := strings.Cut(key, " ")
		if !used[key] && has(t, folder) {
			faults = append(faults, "exempt, but no such call: "+key)
		}
	}
	return faults
}

func has(t *Tree, folder string) bool {
	return slices.ContainsFunc(t.Files, func(f *File) bool { return f.Dir() == folder })
}

func changesFile(c Call) bool {
	if c.Pkg == "" && !onFile(c) {
		return false
	}
	for _, name := range fileChanges[c.Pkg] {
		if c.Name == name {
			return true
		}
	}
	return false
}

// onFile tells file.Sync() and file.Truncate(n) from methods of the same names
// of other types, time.Time.Truncate above all.
func onFile(c Call) bool {
	switch c.Name {
	case "Sync":
		return len(c.Args) == 0
	case "Truncate":
		duration := false
		for _, a := range c.Args {
			ast.Inspect(a, func(n ast.Node) bool {
				if id, ok := n.(*ast.Ident); ok && id.Name == "time" {
					duration = true
				}
				return true
			})
		}
		return !duration
	}
	return false
}

func TestDaemonChangesFilesThroughDisk(t *testing.T) {
	t.Parallel()
	report(t, directChanges(load(t), exempt))
}

func TestDirectChangesAreFound(t *testing.T) {
	t.Parallel()
	tree := sample(t, map[string]string{
		"daemon/keys/a.go": `package keys
			import ("os"; "time"; "golang.org/x/sys/unix"; "qvmremote/daemon/disk")
			func (s *Store) put(f *os.File) {
				os.Rename("a", "b"); unix.Fsync(3); f.Sync(); f.Truncate(4)
				time.Now().Truncate(time.Second); disk.Sync("keys.put", f)
			}
			func scratch() { os.RemoveAll("x") }`,
		"daemon/disk/a.go": `package disk; import "os"; func r() { os.Rename("a", "b") }`,
		"client/a.go":      `package client; import "os"; func r() { os.Rename("a", "b") }`,
	})
	finds(t, 5, directChanges(tree, nil))
	finds(t, 5, directChanges(tree, map[string]string{
		"daemon/keys scratch os.RemoveAll": "", "daemon/keys gone os.Remove": "",
	}))
}

// TestNoPanic: a daemon that panics takes running commands along.
func TestNoPanic(t *testing.T) {
	t.Parallel()
	report(t, panics(load(t)))
}

func TestPanicsAreFound(t *testing.T) {
	t.Parallel()
	finds(t, 2, panics(sample(t, map[string]string{
		"daemon/a.go":      `package daemon; func f() { panic("x") }`,
		"queue/a.go":       `package queue; var f = func() { panic("x") }`,
		"daemon/a_test.go": `package daemon; func g() { panic("x") }`,
	})))
}

func panics(t *Tree) []string {
	var faults []string
	for _, f := range t.Files {
		if f.Test() || !Under(f.Dir(), "daemon", "queue", "cmd/qvm-remote-dom0") {
			continue
		}
		for _, c := range f.Calls() {
			if c.Pkg == "." && c.Name == "panic" {
				faults = append(faults, t.At(f, c)+": return an error instead of panicking")
			}
		}
	}
	return faults
}
