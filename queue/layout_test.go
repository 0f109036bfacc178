package queue

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestLayoutPaths(t *testing.T) {
	t.Parallel()
	l := Layout{Root: "/home/user/.qvm-remote"}
	for got, want := range map[string]string{
		l.Key(): "auth.key", l.Name(): "name", l.AuditLog(): "audit.log", l.History(): "history",
		l.HistoryOf(time.Date(2026, 11, 3, 0, 0, 0, 0, time.UTC), "x"): "history/2026-11-03/x",
		l.AgentLock(): "queue/agent.lock", l.LastLook(): "queue/last-look",
		l.Body("x"): "queue/pending/x", l.Header("x"): "queue/pending/x.auth", l.Stdin("x"): "queue/stdin/x",
		l.Running("x"): "queue/running/x", l.Cancel("x"): "queue/cancel/x", l.Result("x", Exit): "queue/results/x.exit",
		l.Result("x", Denied): "queue/results/x.denied", l.Result("x", Out): "queue/results/x.out",
	} {
		if got != filepath.Join(l.Root, want) {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

var layoutFolders = []string{"", "history", "queue", "queue/pending", "queue/running", "queue/results", "queue/cancel", "queue/stdin"}

func checkModes(t *testing.T, root string) {
	t.Helper()
	for _, d := range layoutFolders {
		info, err := os.Lstat(filepath.Join(root, d))
		must(t, err)
		if !info.IsDir() || info.Mode().Perm() != 0o700 {
			t.Errorf("%q has mode %v", d, info.Mode())
		}
	}
}

func TestLayoutMake(t *testing.T) {
	t.Parallel()
	l := Layout{Root: filepath.Join(t.TempDir(), FolderName)}
	must(t, l.Make())
	checkModes(t, l.Root)
	must(t, Publish(l.Body("x"), []byte("hostname\n")))
	must(t, l.Make())
	if b, err := os.ReadFile(l.Body("x")); err != nil || string(b) != "hostname\n" {
		t.Errorf("a second Make left %q, %v", b, err)
	}
}

// An older tree was left open: its folders are closed and so are its files,
// the key above all.
func TestLayoutRepairsModes(t *testing.T) {
	t.Parallel()
	l := Layout{Root: filepath.Join(t.TempDir(), FolderName)}
	must(t, l.Make())
	outside := filepath.Join(t.TempDir(), "outside")
	must(t, os.WriteFile(outside, nil, 0o644))
	files := []string{l.Key(), l.AuditLog(), l.Body("x"), l.Result("x", Out)}
	for _, p := range files {
		must(t, os.WriteFile(p, nil, 0o600))
		must(t, os.Chmod(p, 0o666))
	}
	must(t, os.Chmod(outside, 0o644))
	must(t, os.Symlink(outside, l.Body("link")))
	for _, d := range layoutFolders {
		must(t, os.Chmod(filepath.Join(l.Root, d), 0o777))
	}
	must(t, l.Make())
	checkModes(t, l.Root)
	for _, p := range files {
		if mode := modeOf(t, p); mode != 0o600 {
			t.Errorf("%s has mode %o", p, mode)
		}
	}
	if mode := modeOf(t, outside); mode != 0o644 {
		t.Errorf("a symlink was followed: its target has mode %o", mode)
	}
}

// A key left readable in a folder that is already closed.
func TestLayoutClosesTheKey(t *testing.T) {
	t.Parallel()
	l := Layout{Root: filepath.Join(t.TempDir(), FolderName)}
	must(t, l.Make())
	must(t, os.WriteFile(l.Key(), nil, 0o600))
	must(t, os.Chmod(l.Key(), 0o644))
	must(t, l.Make())
	if mode := modeOf(t, l.Key()); mode != 0o600 {
		t.Errorf("the key has mode %o", mode)
	}
}

func TestLayoutRefusesWhatIsNoFolder(t *testing.T) {
	t.Parallel()
	for _, d := range layoutFolders {
		elsewhere := t.TempDir()
		must(t, os.Chmod(elsewhere, 0o755))
		for kind, put := range map[string]func(string) error{
			"symlink": func(p string) error { return os.Symlink(elsewhere, p) },
			"file":    func(p string) error { return os.WriteFile(p, []byte("mine"), 0o644) },
		} {
			root := filepath.Join(t.TempDir(), FolderName)
			p := filepath.Join(root, d)
			must(t, os.MkdirAll(filepath.Dir(p), 0o700))
			must(t, put(p))
			if err := (Layout{Root: root}).Make(); err == nil || !strings.Contains(err.Error(), p) {
				t.Errorf("a %s as %q: %v", kind, d, err)
			}
		}
		onlyNames(t, elsewhere)
		if mode := modeOf(t, elsewhere); mode != 0o755 {
			t.Errorf("%q: a symlink was followed: its target has mode %o", d, mode)
		}
	}
	missing := filepath.Join(t.TempDir(), "no", "home")
	if err := (Layout{Root: missing}).Make(); err == nil {
		t.Error("made a queue in a home that is not there")
	}
}

func TestMigrate(t *testing.T) {
	t.Parallel()
	exists := func(p string) bool { _, err := os.Lstat(p); return err == nil }
	for _, c := range []struct {
		name  string
		setup func(t *testing.T, old, now string)
		moved bool
	}{
		{"only the old one", func(t *testing.T, old, now string) { must(t, os.Mkdir(old, 0o755)) }, true},
		{"both", func(t *testing.T, old, now string) { must(t, os.Mkdir(old, 0o700)); must(t, os.Mkdir(now, 0o700)) }, false},
		{"neither", func(*testing.T, string, string) {}, false},
		{"the new one is a symlink", func(t *testing.T, old, now string) {
			must(t, os.Mkdir(old, 0o700))
			must(t, os.Symlink("/nowhere", now))
		}, false},
		{"the old one is a symlink", func(t *testing.T, old, now string) { must(t, os.Symlink(t.TempDir(), old)) }, false},
		{"the old one is a file", func(t *testing.T, old, now string) { must(t, os.WriteFile(old, nil, 0o600)) }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			home := t.TempDir()
			old, now := filepath.Join(home, OldFolderName), filepath.Join(home, FolderName)
			c.setup(t, old, now)
			hadOld, hadNew := exists(old), exists(now)
			if hadOld {
				if info, _ := os.Lstat(old); info.IsDir() {
					must(t, os.WriteFile(filepath.Join(old, "auth.key"), []byte(keyText), 0o644))
				}
			}
			must(t, Migrate(home))
			must(t, Migrate(home))
			if c.moved {
				l := Layout{Root: now}
				must(t, l.Make())
				if b, err := ReadSmall(l.Key(), 100); exists(old) || err != nil || string(b) != keyText || modeOf(t, l.Key()) != 0o600 {
					t.Errorf("after the move: old there %v, key %v, %v", exists(old), len(b), err)
				}
			} else if exists(old) != hadOld || exists(now) != hadNew {
				t.Errorf("old %v → %v, new %v → %v", hadOld, exists(old), hadNew, exists(now))
			}
		})
	}
	if err := Migrate(filepath.Join(t.TempDir(), "missing")); err != nil {
		t.Errorf("a home that is not there: %v", err)
	}
}

// What cannot be renamed is said, not passed over: the key is in there.
func TestMigrateSaysWhatFailed(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(file, nil, 0o600))
	if err := Migrate(file); err == nil {
		t.Error("a home that is a file passed")
	}
	if os.Getuid() == 0 {
		t.Skip("root may rename anything")
	}
	home := t.TempDir()
	must(t, os.Mkdir(filepath.Join(home, OldFolderName), 0o700))
	must(t, os.Chmod(home, 0o500))
	t.Cleanup(func() { _ = os.Chmod(home, fs.FileMode(0o700)) })
	if err := Migrate(home); err == nil || !strings.Contains(err.Error(), OldFolderName) {
		t.Errorf("a home that cannot be written: %v", err)
	}
}
