package watch

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"
)

// until reads changes until one is want.
func until(t *testing.T, changes <-chan Change, want Change) {
	t.Helper()
	late := time.After(time.Minute)
	for {
		select {
		case c, ok := <-changes:
			if !ok {
				t.Fatal("the watch ended")
			}
			if c == want {
				return
			}
		case <-late:
			t.Fatalf("never told: %+v", want)
		}
	}
}

func touch(t *testing.T, dir, name string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestFolderTellsUntilItsContextEnds(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(context.Background())
	changes, err := Folder(ctx, dir+"/")
	if err != nil {
		t.Fatal(err)
	}
	touch(t, dir, "a")
	until(t, changes, Change{Name: "a"})
	if err := os.Rename(filepath.Join(dir, "a"), filepath.Join(dir, "b")); err != nil {
		t.Fatal(err)
	}
	until(t, changes, Change{Name: "b"})
	cancel()
	for range changes { // ends only because the channel is closed
	}
	if _, err := Folder(t.Context(), filepath.Join(dir, "missing")); err == nil {
		t.Error("a folder that is not there is watched")
	}
}

func TestFolderSurvivesItsLoss(t *testing.T) {
	t.Parallel()
	for name, lose := range map[string]func(dir string) error{
		"removed": os.RemoveAll,
		"renamed": func(dir string) error { return os.Rename(dir, dir+".old") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "d")
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			changes, err := Folder(t.Context(), dir)
			if err != nil {
				t.Fatal(err)
			}
			if err := lose(dir); err != nil {
				t.Fatal(err)
			}
			until(t, changes, Change{Lost: true})
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			until(t, changes, Change{})
			touch(t, dir, "a")
			until(t, changes, Change{Name: "a"})
		})
	}
}

func TestFolderTellsThatEventsWereLost(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	w, err := fsnotify.NewWatcher()
	if err != nil {
		t.Fatal(err)
	}
	f := &folder{dir: dir, w: w, out: make(chan Change)}
	go f.run(t.Context())
	w.Errors <- fsnotify.ErrEventOverflow
	until(t, f.out, Change{})
	touch(t, dir, "a")
	until(t, f.out, Change{Name: "a"})
}
