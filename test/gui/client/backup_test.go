//go:build gtk

package client

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"qvmremote/client"
	"qvmremote/client/dom0test"
	"qvmremote/gui/prefs"
	"qvmremote/queue"
	"qvmremote/test/desktop"
	"qvmremote/test/executable"
	"qvmremote/test/life"
)

// home is the folder of the qube's account.
func (s *scene) home() string { return s.QubePath(qube, "home") }

func (s *scene) folder() string { return filepath.Join(s.home(), "qvm-remote-backups") }

// archives are the names in the folder of backups.
func (s *scene) archives(t *testing.T, pattern string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(s.folder(), pattern))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// where is the folder of a past request.
func (s *scene) where(e client.Entry) string {
	return filepath.Join(s.Layout(qube).Root, "history", e.Day, e.ID)
}

// press presses a button once it can be.
func (s *scene) press(t *testing.T, button string) {
	t.Helper()
	b := s.app.Find(t, "button", button)
	b.AwaitState(t, desktop.Sensitive, true)
	b.Press(t)
}

// backsUp makes a backup and returns its path.
func (s *scene) backsUp(t *testing.T) string {
	t.Helper()
	s.press(t, "Create backup")
	s.app.Find(t, "label", "Saved *")
	made := s.archives(t, "qvm-remote-backup-*.tar.gz")
	if len(made) != 1 {
		t.Fatalf("there are %q", made)
	}
	return made[0]
}

// everything is each file below the account's folder, with its mode and content.
func (s *scene) everything(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(s.home(), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		all[path] = info.Mode().String()
		if !info.Mode().IsRegular() {
			return nil
		}
		text, err := os.ReadFile(path)
		all[path] += string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestABackupIsMadeAndRestored: what was deleted is back, what was there is saved.
func TestABackupIsMadeAndRestored(t *testing.T) {
	t.Parallel()
	s := prepare(t, life.Options{Stopped: true})
	gone := s.past(t, dom0test.Past{Number: 1, Script: "echo the-lost", State: queue.StateExit, Out: "lost\n"})
	s.past(t, dom0test.Past{Number: 2, Script: "echo the-kept", State: queue.StateExit})
	s.left(t, func(p *prefs.Prefs) { p.Width = 1111 })
	s.launch(t, "--page", "backup")
	s.app.Find(t, "", "No backup here yet")
	path := s.backsUp(t)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the backup has mode %v, %v", info.Mode(), err)
	}
	name := filepath.Base(path)
	a, err := s.Client(t.Context(), qube, "backup", "check", name)
	if err != nil || a.Code != 0 || !strings.Contains(a.Out, "commands  2\n") || !strings.Contains(a.Out, "keys      no\n") {
		t.Errorf("backup check: %+v, %v", a, err)
	}
	s.app.Find(t, "list item", name)
	s.press(t, "Check: "+name)
	s.app.Find(t, "label", name+" is whole.*")

	if err := os.RemoveAll(s.where(gone)); err != nil {
		t.Fatal(err)
	}
	s.press(t, "Restore: "+name)
	dialog := s.app.Find(t, "dialog", "Restore a backup")
	dialog.Find(t, "label", "*It adds 1 command to the history. Already here, and left as they are: 1.*")
	dialog.Find(t, "button", "Cancel*").Press(t)
	s.app.Gone(t, "dialog", "Restore a backup")
	if _, err := os.Stat(s.where(gone)); err == nil {
		t.Fatal("Cancel restored it")
	}
	s.left(t, func(p *prefs.Prefs) { p.Width = 999 })
	s.press(t, "Restore: "+name)
	dialog = s.app.Find(t, "dialog", "Restore a backup")
	dialog.Find(t, "switch", "Settings of this program").Press(t)
	dialog.Find(t, "button", "Restore*").Press(t)
	said := s.app.Find(t, "label", "Added 1 command to the history*").Name
	if text, err := os.ReadFile(filepath.Join(s.where(gone), "command")); err != nil || !strings.Contains(string(text), "the-lost") {
		t.Errorf("what was deleted is not back: %q, %v", text, err)
	}
	safety := s.archives(t, "qvm-remote-pre-restore-*.tar.gz")
	if len(safety) != 1 || !strings.Contains(said, safety[0]) {
		t.Errorf("what was here before is in %q, and the page says %q", safety, said)
	}
	s.app.Find(t, "button", "Restore: qvm-remote-pre-restore-*")
	// The settings are the restored ones also after the program has ended.
	s.Desktop.Key(t, "ctrl+q")
	if err := s.run.Wait(t); err != nil {
		t.Errorf("the program ended with %v", err)
	}
	p, err := prefs.Load(filepath.Join(s.Config(), "qvm-remote", "client.conf"), prefs.Default())
	if err != nil || p.Width != 1111 {
		t.Errorf("the settings are not those of the backup: %+v, %v", p, err)
	}
}

// forged is an archive with one member that no backup has.
func forged(t *testing.T, path, member string, change func(*tar.Header)) {
	t.Helper()
	const text = "echo x\n"
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	manifest := fmt.Sprintf("qvm-remote-backup 1\nmade 2026-11-28T08:00:00Z\nqube work\nkey none\nsha256:%x %d %s\nend 1\n", sha256.Sum256([]byte(text)), len(text), member)
	for _, m := range [][2]string{{"MANIFEST", manifest}, {member, text}} {
		h := &tar.Header{Typeflag: tar.TypeReg, Name: m[0], Size: int64(len(m[1])), Mode: 0o600, Format: tar.FormatUSTAR,
			ModTime: time.Date(2026, 11, 28, 8, 0, 0, 0, time.UTC)}
		if m[0] == member {
			change(h)
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if h.Size > 0 {
			_, _ = io.WriteString(w, m[1])
		}
	}
	_, _ = w.Close(), z.Close()
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestAnArchiveThatLeadsOutIsRefused, and nothing here is another than before.
func TestAnArchiveThatLeadsOutIsRefused(t *testing.T) {
	t.Parallel()
	s := prepare(t, life.Options{Stopped: true})
	s.past(t, dom0test.Past{Number: 1, Script: "echo here", State: queue.StateExit})
	if err := os.Mkdir(s.folder(), 0o700); err != nil {
		t.Fatal(err)
	}
	above, link := "qvm-remote-backup-20261101-080000.tar.gz", "qvm-remote-backup-20261102-080000.tar.gz"
	forged(t, filepath.Join(s.folder(), above), "history/../../evil", func(*tar.Header) {})
	forged(t, filepath.Join(s.folder(), link), "history/2026-01-01/x/command", func(h *tar.Header) {
		h.Typeflag, h.Linkname, h.Size = tar.TypeSymlink, "/etc/passwd", 0
	})
	s.launch(t, "--page", "backup")
	s.app.Find(t, "button", "Restore: "+above)
	before := s.everything(t)
	for name, says := range map[string]string{above: "leads out of the folder. Nothing here was changed.", link: "is a symlink. Nothing here was changed."} {
		s.press(t, "Restore: "+name)
		s.app.Find(t, "label", name+": refused: *")
		s.app.Find(t, "label", "*"+says)
		if now := s.everything(t); !maps.Equal(before, now) {
			t.Errorf("%s: it has changed what is here", name)
		}
		s.press(t, "Dismiss*")
	}
	if len(s.app.FindAll(t, "dialog", "Restore a backup")) != 0 {
		t.Error("it asks all the same")
	}
}

// TestAKeyGoesThereAndBack, encrypted: a wrong passphrase opens nothing.
func TestAKeyGoesThereAndBack(t *testing.T) {
	t.Parallel()
	s := open(t, life.Options{Stopped: true}, "backup")
	before := s.keyFile(t)
	s.app.Find(t, "switch", "With the key, encrypted").AwaitState(t, desktop.Sensitive, true)
	s.app.Find(t, "switch", "With the key, encrypted").Press(t)
	create := s.app.Find(t, "button", "Create backup")
	create.AwaitState(t, desktop.Sensitive, false)
	s.app.Find(t, "text box", "Passphrase").SetText(t, "a long enough one")
	s.app.Find(t, "text box", "Passphrase, once more").SetText(t, "another")
	s.app.Find(t, "", "The two differ.")
	create.AwaitState(t, desktop.Sensitive, false)
	s.app.Find(t, "text box", "Passphrase, once more").SetText(t, "a long enough one")
	path := s.backsUp(t)
	packed, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	if plain, err := io.ReadAll(z); err != nil || bytes.Contains(plain, []byte(strings.TrimSpace(before))) {
		t.Errorf("the key can be read in the backup, %v", err)
	}
	if _, err := s.theirs().GenerateKey(true); err != nil {
		t.Fatal(err)
	}
	other := s.keyFile(t)
	name := filepath.Base(path)
	s.app.Find(t, "", "*with the key, encrypted")
	// The page learns of the other key by itself; only then it can ask about it.
	s.turn(t, "Key")
	key, err := queue.ParseKey([]byte(other))
	if err != nil {
		t.Fatal(err)
	}
	s.app.Find(t, "label", key.Fingerprint())
	s.turn(t, "Backup")
	s.press(t, "Restore: "+name)
	dialog := s.app.Find(t, "dialog", "Restore a backup")
	dialog.Find(t, "switch", "Key").Press(t)
	dialog.Find(t, "", "In place of this qube's*")
	dialog.Find(t, "text box", "Passphrase of the backup").SetText(t, "not this one")
	dialog.Find(t, "button", "Restore*").Press(t)
	s.app.Find(t, "label", "The passphrase does not open*")
	if s.keyFile(t) != other || len(s.archives(t, "qvm-remote-pre-restore-*")) != 0 {
		t.Fatal("a wrong passphrase has changed something")
	}
	dialog = s.app.Find(t, "dialog", "Restore a backup")
	dialog.Find(t, "text box", "Passphrase of the backup").SetText(t, "a long enough one")
	dialog.Find(t, "button", "Restore*").Press(t)
	s.app.Find(t, "label", "*Restored the key.*")
	if s.keyFile(t) != before {
		t.Error("it is another key")
	}
	if old, err := os.ReadFile(s.Layout(qube).Key() + ".old"); err != nil || string(old) != other {
		t.Errorf("the other key is not kept: %v", err)
	}
}

func git(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", args...)
	cmd.Env = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("git %q: %v", args, err)
	}
	return string(out)
}

// TestTheHistoryGoesToARepositoryAndBack, and the key does not.
func TestTheHistoryGoesToARepositoryAndBack(t *testing.T) {
	t.Parallel()
	s := prepare(t, life.Options{Stopped: true})
	e := s.past(t, dom0test.Past{Number: 3, Script: "echo pushed", State: queue.StateExit, Out: "THE-OUTPUT\n"})
	repository := filepath.Join(t.TempDir(), "history.git")
	git(t, "init", "--quiet", "--bare", repository)
	s.launch(t, "--page", "backup")
	s.app.Find(t, "text box", "Address of the repository").SetText(t, repository)
	s.press(t, "Push")
	dialog := s.app.Find(t, "dialog", "Push to this repository?")
	if git(t, "-C", repository, "for-each-ref") != "" {
		t.Error("it pushed before it asked")
	}
	dialog.Find(t, "button", "Push*").Press(t)
	s.app.Find(t, "label", "Pushed 1 command to "+repository+".")
	all := git(t, "-C", repository, "cat-file", "--batch-all-objects", "--batch")
	if !strings.Contains(all, "echo pushed") || strings.Contains(all, "THE-OUTPUT") {
		t.Errorf("the repository has:\n%q", all)
	}
	key := strings.TrimSpace(s.keyFile(t))
	for i := 0; i+16 <= len(key); i++ {
		if strings.Contains(all, key[i:i+16]) {
			t.Fatal("a part of the key is in the repository")
		}
	}
	if err := os.RemoveAll(s.where(e)); err != nil {
		t.Fatal(err)
	}
	s.press(t, "Pull")
	s.app.Find(t, "label", "Added 1 command to the history*")
	if text, err := os.ReadFile(filepath.Join(s.where(e), "command")); err != nil || !strings.Contains(string(text), "echo pushed") {
		t.Errorf("it is not back: %q, %v", text, err)
	}
	// The address is kept for the command line too.
	if kept, err := os.ReadFile(filepath.Join(s.Config(), "qvm-remote", "backup-url")); err != nil || string(kept) != repository+"\n" {
		t.Errorf("the address that is kept: %q, %v", kept, err)
	}
}

// TestAPullIsGivenUp: what it started is gone.
func TestAPullIsGivenUp(t *testing.T) {
	t.Parallel()
	s := prepare(t, life.Options{Stopped: true})
	mark := filepath.Join(t.TempDir(), "pid")
	script := filepath.Join(t.TempDir(), "ssh")
	if err := executable.Write(script, []byte("#!/bin/sh\necho $$ >"+mark+".tmp\nmv "+mark+".tmp "+mark+"\nexec sleep 600\n")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(s.home(), ".gitconfig"), []byte("[core]\n\tsshCommand = "+script+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.launch(t, "--page", "backup")
	s.app.Find(t, "text box", "Address of the repository").SetText(t, "me@example.org:history")
	s.press(t, "Pull")
	var pid int
	desktop.Await(t, "git has begun", func() bool {
		text, err := os.ReadFile(mark)
		if err != nil {
			return false
		}
		_, err = fmt.Sscan(string(text), &pid)
		return err == nil
	})
	s.app.Find(t, "button", "Create backup").AwaitState(t, desktop.Sensitive, false)
	s.press(t, "Cancel*")
	s.app.Find(t, "label", "It was given up. Nothing here was changed.")
	desktop.Await(t, "what it started is gone", func() bool { return syscall.Kill(pid, 0) != nil })
	s.app.Find(t, "button", "Create backup").AwaitState(t, desktop.Sensitive, true)
}
