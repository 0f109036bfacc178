package backup

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"qvmremote/client"
	"qvmremote/queue"
)

const pass = "correct horse battery"

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	must(t, err)
	return string(b)
}

// history is every file of the history, by its path there.
func (k *Keeper) history(t *testing.T) map[string]string {
	t.Helper()
	all := state(t, k.Client.Layout.History())
	delete(all, "")
	return all
}

func TestThereAndBack(t *testing.T) {
	t.Parallel()
	from := newKeeper(t, filepath.Join(t.TempDir(), "a"))
	from.lived(t)
	made, err := from.Create(t.Context(), pass)
	must(t, err)
	if made.Entries != 3 || !made.Keys || len(made.LeftOut) != 0 {
		t.Errorf("made %+v", made)
	}
	info, err := os.Stat(made.Path)
	must(t, err)
	if info.Mode().Perm() != 0o600 || info.Size() != made.Size {
		t.Errorf("mode %v, %d bytes; said %d", info.Mode(), info.Size(), made.Size)
	}
	to := keeperIn(filepath.Join(t.TempDir(), "b"))
	must(t, os.MkdirAll(filepath.Dir(to.Client.Layout.Root), 0o700))
	c, err := to.Check(t.Context(), made.Path)
	must(t, err)
	key, _ := from.Client.Key()
	if c.Entries != 3 || !c.Log || !c.Settings || !c.Keys || c.Qube != "work" || c.Key != key.Fingerprint() {
		t.Errorf("it holds %+v", c.About)
	}
	done, err := to.Restore(t.Context(), made.Path, Choice{Log: true, Settings: true, Keys: true, Passphrase: pass})
	must(t, err)
	if done.Added != 3 || done.Present != 0 || done.LogLines != 2 || !done.Settings || !done.Keys {
		t.Errorf("did %+v", done)
	}
	if d := cmp.Diff(from.history(t), to.history(t)); d != "" {
		t.Errorf("the history (-saved +restored):\n%s", d)
	}
	now, err := to.Client.Key()
	must(t, err)
	if !now.Equal(key) {
		t.Error("another key")
	}
	lines, err := to.Client.Log(10)
	must(t, err)
	if len(lines) != 2 || !strings.Contains(lines[0], "echo one") {
		t.Errorf("log %q", lines)
	}
	if got := read(t, filepath.Join(to.Settings, "client.conf")); got != "style dark\n" {
		t.Errorf("settings %q", got)
	}
	again, err := to.Restore(t.Context(), made.Path, Choice{Log: true, Keys: true, Passphrase: pass})
	must(t, err)
	if again.Added != 0 || again.Present != 3 || again.LogLines != 0 || again.Keys {
		t.Errorf("again did %+v", again)
	}
}

// TestADeletedCommandIsNotMissed: what one deleted is not in a backup, also while
// it can be undone, and nobody is told that something was left out.
func TestADeletedCommandIsNotMissed(t *testing.T) {
	t.Parallel()
	k := newKeeper(t, filepath.Join(t.TempDir(), "a"))
	k.lived(t)
	bin, err := k.Client.OpenBin(t.Context())
	must(t, err)
	t.Cleanup(func() { must(t, bin.Close(context.Background())) })
	days, err := k.Client.Days()
	must(t, err)
	entries, err := k.Client.Entries(days[0])
	must(t, err)
	deleted, err := bin.Delete(t.Context(), entries[:1])
	if err != nil || len(deleted) != 1 {
		t.Fatalf("%v, %v", deleted, err)
	}
	made, err := k.Create(t.Context(), "")
	if err != nil || made.Entries != 2 || len(made.LeftOut) != 0 {
		t.Errorf("made %+v, %v", made, err)
	}
}

// TestNothingIsWrittenOver: what is here stays, and is in the safety archive.
func TestNothingIsWrittenOver(t *testing.T) {
	t.Parallel()
	k := newKeeper(t, t.TempDir())
	k.lived(t)
	made, err := k.Create(t.Context(), pass)
	must(t, err)
	out := filepath.Join(k.Client.Layout.HistoryOf(morning, "20261120-080000-1-0000000a"), "out")
	must(t, os.WriteFile(out, []byte("mine\n"), 0o600))
	must(t, os.RemoveAll(k.Client.Layout.HistoryOf(morning, "20261120-080000-1-0000000a.b")))
	old, err := k.Client.Key()
	must(t, err)
	_, err = k.Client.GenerateKey(true)
	must(t, err)
	before := state(t, filepath.Dir(k.Dir))
	for _, ch := range []Choice{{Keys: true, Passphrase: pass}, {Keys: true, Passphrase: "wrong passphrase"}, {Keys: true}} {
		want := error(client.ErrKeyExists)
		if ch.Passphrase != pass {
			want = ErrPassphrase
		}
		if _, err := k.Restore(t.Context(), made.Path, ch); !errors.Is(err, want) {
			t.Errorf("%+v: %v, want %v", ch, err, want)
		}
	}
	unchanged(t, before, filepath.Dir(k.Dir))
	done, err := k.Restore(t.Context(), made.Path, Choice{Keys: true, Passphrase: pass, ReplaceKey: true})
	must(t, err)
	if done.Added != 1 || done.Present != 2 || read(t, out) != "mine\n" {
		t.Errorf("did %+v, and the file says %q", done, read(t, out))
	}
	if now, _ := k.Client.Key(); !now.Equal(old) {
		t.Error("the key was not restored")
	}
	if c, err := k.Check(t.Context(), done.Safety); err != nil || c.Entries != 2 || c.Keys {
		t.Errorf("the safety archive holds %d entries, keys %v: %v", c.Entries, c.Keys, err)
	}
}

// TestWithoutASafetyArchiveNothingIsRestored: its folder cannot be made.
func TestWithoutASafetyArchiveNothingIsRestored(t *testing.T) {
	t.Parallel()
	home, k, made := saved(t)
	must(t, os.RemoveAll(k.Client.Layout.HistoryOf(morning, "20261120-080000-1-0000000a")))
	given := filepath.Join(home, "given")
	must(t, os.Rename(made.Path, given))
	must(t, os.Remove(k.Dir))
	must(t, os.WriteFile(k.Dir, nil, 0o600))
	before := state(t, home)
	_, err := k.Restore(t.Context(), given, Choice{Log: true, Settings: true})
	if err == nil || !strings.Contains(err.Error(), "nothing was restored, for what is here could not be saved first") {
		t.Errorf("says %v", err)
	}
	unchanged(t, before, home)
}

// TestLinksInTheData: none is followed, neither to save nor to restore.
func TestLinksInTheData(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	outside := filepath.Join(home, "outside")
	must(t, os.MkdirAll(outside, 0o700))
	must(t, os.WriteFile(filepath.Join(outside, "secret"), []byte("SECRET"), 0o600))
	k := newKeeper(t, home)
	k.lived(t)
	whole, err := k.Create(t.Context(), "")
	must(t, err)
	first := k.Client.Layout.HistoryOf(morning, "20261120-080000-1-0000000a")
	must(t, os.Remove(filepath.Join(first, "out")))
	must(t, os.Symlink(filepath.Join(outside, "secret"), filepath.Join(first, "out")))
	must(t, os.Symlink(outside, filepath.Join(k.Client.Layout.History(), "2026-01-02")))
	must(t, os.Symlink(outside, k.Client.Layout.HistoryOf(morning, "20261120-080000-1-0000000e")))
	must(t, os.Remove(k.Client.Layout.AuditLog()))
	must(t, os.Symlink(filepath.Join(outside, "secret"), k.Client.Layout.AuditLog()))
	made, err := k.Create(t.Context(), "")
	must(t, err)
	if len(made.LeftOut) != 4 || made.Entries != 2 {
		t.Errorf("made %+v", made)
	}
	c, err := k.Check(t.Context(), made.Path)
	must(t, err)
	if c.Log {
		t.Error("the log was followed")
	}
	// A day that is a link now: its requests are not written through it.
	day := filepath.Join(k.Client.Layout.History(), "2026-11-21")
	must(t, os.RemoveAll(day))
	must(t, os.Symlink(outside, day))
	before := state(t, outside)
	if _, err := k.Restore(t.Context(), whole.Path, Choice{}); err == nil {
		t.Error("restored through a link")
	}
	unchanged(t, before, outside)
}

func TestArchivesOfOneSecond(t *testing.T) {
	t.Parallel()
	k := newKeeper(t, t.TempDir())
	k.lived(t)
	now := k.Client.Now()
	k.Client.Now = func() time.Time { return now }
	seen := map[string]bool{}
	for range 3 {
		made, err := k.Create(t.Context(), "")
		must(t, err)
		seen[made.Path] = true
	}
	must(t, os.WriteFile(filepath.Join(k.Dir, "other.tar.gz"), nil, 0o600))
	list, err := k.List()
	must(t, err)
	if len(seen) != 3 || len(list) != 3 || !strings.HasSuffix(list[0].Name, "-3.tar.gz") || !list[0].Made.Equal(now.Truncate(time.Second)) {
		t.Errorf("made %v, listed %+v", seen, list)
	}
}

// TestAKeyIsNeverInTheClear: not in the archive, unpacked or not.
func TestAKeyIsNeverInTheClear(t *testing.T) {
	t.Parallel()
	k := newKeeper(t, t.TempDir())
	k.lived(t)
	key, err := k.Client.Key()
	must(t, err)
	for _, p := range []string{"", pass} {
		made, err := k.Create(t.Context(), p)
		must(t, err)
		if b := unpacked(t, made.Path); strings.Contains(b, string(key.Reveal()[:12])) {
			t.Error("the key is in the archive")
		}
	}
	if _, err := k.Create(t.Context(), "short"); !errors.Is(err, ErrShortPassphrase) {
		t.Errorf("a short passphrase: %v", err)
	}
}

// TestTwoRestoresAtOnce: one works, the other says so at once.
func TestTwoRestoresAtOnce(t *testing.T) {
	t.Parallel()
	home, k, made := saved(t)
	must(t, os.RemoveAll(filepath.Join(k.Client.Layout.History(), "2026-11-20")))
	locked, release := make(chan struct{}), make(chan struct{})
	k.step = func(what string) {
		if what == "locked" {
			close(locked)
			<-release
		}
	}
	ended := make(chan error, 1)
	go func() {
		_, err := k.Restore(t.Context(), made.Path, Choice{})
		ended <- err
	}()
	<-locked
	if _, err := keeperIn(home).Restore(t.Context(), made.Path, Choice{}); !errors.Is(err, ErrBusy) {
		t.Errorf("the second one: %v", err)
	}
	close(release)
	must(t, <-ended)
	if n := len(k.Client.History(10)); n != 3 {
		t.Errorf("%d requests", n)
	}
}

// TestTheLogKeepsItsLines: lines join in the order of their times, once each,
// and what the log has stays, whatever it looks like.
func TestTheLogKeepsItsLines(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	root, err := openFolder(dir)
	must(t, err)
	defer root.close()
	must(t, os.WriteFile(filepath.Join(dir, "audit.log"), []byte("[2026-03-01T10:00:00+01:00] now\n"), 0o600))
	must(t, os.WriteFile(filepath.Join(dir, "audit.log.1"), []byte("garbage\n[2026-02-01T10:00:00+00:00] old\n[2026-02-01T10:00:00+00:00] old\n"), 0o600))
	n, err := mergeLog(root, []byte("[2026-02-15T10:00:00+00:00] between\nno line\n"),
		[]byte("[2026-03-01T10:00:00+01:00] now\n[2026-01-01T10:00:00+00:00] first\n"))
	must(t, err)
	want := "garbage\n[2026-01-01T10:00:00+00:00] first\n[2026-02-01T10:00:00+00:00] old\n[2026-02-01T10:00:00+00:00] old\n[2026-02-15T10:00:00+00:00] between\n"
	if got := read(t, filepath.Join(dir, "audit.log.1")); got != want || n != 2 {
		t.Errorf("%d lines added:\n%s", n, got)
	}
	// Renamed over meanwhile, as when the log begins anew: nothing is lost.
	ok, err := root.exchange("audit.log.1", []byte("what was read before\n"), []byte("merged\n"))
	if must(t, err); ok || read(t, filepath.Join(dir, "audit.log.1")) != want {
		t.Error("a log that was another one was replaced")
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".*")); len(left) != 0 {
		t.Errorf("left %q", left)
	}
}

// TestWhatDoesNotFitIsNamed: entries that could not be restored are left out,
// and the others are saved.
func TestWhatDoesNotFitIsNamed(t *testing.T) {
	t.Parallel()
	k := newKeeper(t, t.TempDir())
	k.lived(t)
	dir := k.request(t, morning, "20261120-090000-1-0000000f", "true\n", nil)
	must(t, os.WriteFile(filepath.Join(dir, "command"), []byte("other\n"), 0o600))
	dir = k.request(t, morning, "20261120-090000-1-000000ff", "true\n", nil)
	must(t, os.WriteFile(filepath.Join(dir, "result"), make([]byte, queue.MaxHeader+1), 0o600))
	made, err := k.Create(t.Context(), "")
	must(t, err)
	if made.Entries != 3 || len(made.LeftOut) != 2 {
		t.Errorf("made %+v", made)
	}
	if _, err := k.Check(t.Context(), made.Path); err != nil {
		t.Error(err)
	}
	k.limits.total = 20<<10 + 4<<10 // of which the keys may need some
	if made, err = k.Create(t.Context(), ""); err != nil || len(made.LeftOut) != 2 {
		t.Errorf("with little room: %+v, %v", made, err)
	}
	k.limits.members = 8
	if made, err = k.Create(t.Context(), ""); err != nil || made.Entries != 1 {
		t.Errorf("with room for few: %+v, %v", made, err)
	}
}
