package keys

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"qvmremote/daemon/watch"
	"qvmremote/queue"
)

// told reads from the watch until it has told want.
func told(t *testing.T, names <-chan string, want string) {
	t.Helper()
	late := time.After(time.Minute)
	for {
		select {
		case vm, ok := <-names:
			if !ok {
				t.Fatal("the watch ended")
			}
			if vm == want {
				return
			}
		case <-late:
			t.Fatalf("the watch never told %q", want)
		}
	}
}

func TestWatchTellsWhatChanged(t *testing.T) {
	t.Parallel()
	s := open(t)
	ctx, cancel := context.WithCancel(context.Background())
	names, err := s.Watch(ctx)
	must(t, err)
	must(t, s.Put("work", queue.GenerateKey(), Meta{}))
	told(t, names, "work")
	must(t, s.PutMeta("anon", Meta{Legacy: true}))
	told(t, names, "anon")
	must(t, s.PutNext("work", queue.GenerateKey()))
	told(t, names, "work")
	must(t, s.Remove("work"))
	told(t, names, "work")
	cancel()
	for range names { // ends only because the channel is closed
	}
}

// TestWatchTellsOfIncludedRules: any qube may include them.
func TestWatchTellsOfIncludedRules(t *testing.T) {
	t.Parallel()
	s := open(t)
	names, err := s.Watch(t.Context())
	must(t, err)
	included := filepath.Join(s.dir, rulesFolder)
	must(t, os.Mkdir(included, 0o700))
	told(t, names, "")
	for range 2 {
		must(t, os.WriteFile(filepath.Join(included, "few"), []byte("limit running 1\n"), 0o600))
		told(t, names, "")
	}
}

func TestWatchSurvivesTheFolder(t *testing.T) {
	t.Parallel()
	for name, lose := range map[string]func(dir string) error{
		"removed": os.RemoveAll,
		"renamed": func(dir string) error { return os.Rename(dir, dir+".old") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t)
			must(t, s.Put("work", queue.GenerateKey(), Meta{}))
			names, err := s.Watch(t.Context())
			must(t, err)
			must(t, lose(s.dir))
			told(t, names, "")
			must(t, os.Mkdir(s.dir, 0o700))
			told(t, names, "")
			must(t, s.Put("work", queue.GenerateKey(), Meta{}))
			told(t, names, "work")
		})
	}
}

func TestWatchAsksForARescanWhenEventsWereLost(t *testing.T) {
	t.Parallel()
	f := &follower{out: make(chan string), changed: map[string]bool{}}
	f.watchIncluded = func() (<-chan watch.Change, error) { return nil, os.ErrNotExist }
	changes := make(chan watch.Change)
	defer close(changes)
	go f.run(changes)
	changes <- watch.Change{}
	told(t, f.out, "")
}

func TestWatchHoldsFewNamesForASlowReader(t *testing.T) {
	t.Parallel()
	f := &follower{changed: map[string]bool{}}
	for i := range 10 * maxTold {
		f.change(watch.Change{Name: fmt.Sprintf("q%d.key", i)})
		if len(f.changed) > maxTold {
			t.Fatalf("%d names held", len(f.changed))
		}
	}
	if len(f.changed) != 1 || !f.changed[""] {
		t.Errorf("no rescan is asked for: %d names", len(f.changed))
	}
}
