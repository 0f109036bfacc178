package backup

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// told is what Follow told once.
type told struct {
	newest []Listed
	older  int
}

// TestAFolderIsFollowed from before it is there: each archive by its label, and
// one that has none with the reason.
func TestAFolderIsFollowed(t *testing.T) {
	k := newKeeper(t, t.TempDir())
	k.lived(t)
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	lists := make(chan told, 100)
	ended := make(chan error, 1)
	go func() {
		ended <- k.Follow(ctx, 2, func(newest []Listed, older int) { lists <- told{newest, older} })
	}()
	until := func(what string, so func(told) bool) told {
		t.Helper()
		for {
			select {
			case l := <-lists:
				if so(l) {
					return l
				}
			case <-ctx.Done():
				t.Fatalf("%s: never told", what)
			}
		}
	}
	until("nothing yet", func(l told) bool { return len(l.newest) == 0 && l.older == 0 })
	made, err := k.Create(ctx, "a long enough one")
	must(t, err)
	one := until("a backup", func(l told) bool { return len(l.newest) == 1 }).newest[0]
	if one.Path != made.Path || one.Problem != nil || one.Entries != 3 || !one.Keys || one.Qube != "work" {
		t.Errorf("it is told as %+v", one)
	}
	must(t, os.WriteFile(filepath.Join(k.Dir, "qvm-remote-backup-20200101-000000.tar.gz"), []byte("none"), 0o600))
	old := until("one that is none", func(l told) bool { return len(l.newest) == 2 }).newest[1]
	if !errors.Is(old.Problem, ErrNoBackup) || old.Keys || old.Entries != 0 {
		t.Errorf("it is told as %+v", old)
	}
	must(t, os.WriteFile(filepath.Join(k.Dir, "qvm-remote-backup-20190101-000000.tar.gz"), nil, 0o600))
	until("an older one", func(l told) bool { return len(l.newest) == 2 && l.older == 1 })
	must(t, os.RemoveAll(k.Dir))
	until("nothing again", func(l told) bool { return len(l.newest) == 0 && l.older == 0 })
	stop()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("it ended with %v", err)
	}
}

// TestWhatARestoreWouldAdd is what it adds.
func TestWhatARestoreWouldAdd(t *testing.T) {
	_, k, made := saved(t)
	c, err := k.Check(t.Context(), made.Path)
	must(t, err)
	missing := func(k *Keeper, want int) {
		t.Helper()
		if n, err := k.Missing(c); err != nil || n != want {
			t.Errorf("%d are missing, %v; want %d", n, err, want)
		}
	}
	missing(k, 0)
	missing(keeperIn(t.TempDir()), 3)
	must(t, os.RemoveAll(k.Client.Layout.HistoryOf(morning, "20261120-080000-1-0000000a")))
	missing(k, 1)
	done, err := k.Restore(t.Context(), made.Path, Choice{})
	if err != nil || done.Added != 1 {
		t.Errorf("it added %d, %v", done.Added, err)
	}
	missing(k, 0)
}
