package settings

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"qvmremote/daemon/watch"
)

// until reads updates until one is as wanted.
func until(t *testing.T, updates <-chan Update, what string, ok func(Update) bool) Update {
	t.Helper()
	late := time.After(time.Minute)
	for {
		select {
		case u, open := <-updates:
			if !open {
				t.Fatal("the watch ended")
			}
			if ok(u) {
				return u
			}
		case <-late:
			t.Fatalf("never: %s", what)
		}
	}
}

func names(vms ...string) func(Update) bool {
	return func(u Update) bool { return u.Err == nil && slices.Equal(u.Settings.VMs, vms) }
}

func TestWatchTakesGoodFilesOnly(t *testing.T) {
	t.Parallel()
	src := file(t, "QVM_REMOTE_VMS=a\n")
	last, _, err := src.Load()
	must(t, err)
	updates, err := src.Watch(t.Context(), last)
	must(t, err)

	_, _, err = src.AddVM("b")
	must(t, err)
	until(t, updates, "a qube more", names("a", "b"))

	must(t, os.WriteFile(src.Path, []byte("QVM_REMOTE_VMS=\"c\nQVM_REMOTE_STOP_WAIT=1\n"), 0o600))
	u := until(t, updates, "the fault", func(u Update) bool { return u.Err != nil })
	if !slices.Equal(u.Settings.VMs, []string{"a", "b"}) || u.Settings.StopWait != 30 || !strings.Contains(u.Err.Error(), ":1") {
		t.Errorf("a broken file changed the settings: %+v", u)
	}

	must(t, os.WriteFile(src.Path, []byte("QVM_REMOTE_VMS=a b\n"), 0o600))
	until(t, updates, "mended, although the settings are the same", names("a", "b"))

	must(t, os.WriteFile(src.Path+".swp", []byte("QVM_REMOTE_VMS=z\n"), 0o600))
	must(t, os.Rename(src.Path+".swp", src.Path))
	until(t, updates, "replaced by an editor", names("z"))
}

func TestWatchSeesWhatChangedBeforeIt(t *testing.T) {
	t.Parallel()
	src := file(t, "QVM_REMOTE_VMS=b\n")
	updates, err := src.Watch(t.Context(), Default())
	must(t, err)
	until(t, updates, "the file as it is", names("b"))
}

func TestWatchSurvivesTheFolderAndAnOverflow(t *testing.T) {
	t.Parallel()
	src := Source{Path: filepath.Join(t.TempDir(), "qubes", "remote.conf")}
	dir := filepath.Dir(src.Path)
	_, _, err := src.AddVM("a")
	must(t, err)
	updates, err := src.Watch(t.Context(), Default())
	must(t, err)
	until(t, updates, "the beginning", names("a"))
	must(t, os.Rename(dir, dir+".old"))
	_, _, err = src.AddVM("b")
	must(t, err)
	until(t, updates, "the new folder's file", names("b"))

	f := &follower{src: src, out: make(chan Update), told: Update{Settings: Default()}}
	changes := make(chan watch.Change)
	defer close(changes)
	go f.run(changes)
	changes <- watch.Change{}
	until(t, f.out, "read again after events were lost", names("b"))
}
