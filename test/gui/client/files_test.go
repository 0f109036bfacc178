//go:build gtk

package client

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"qvmremote/test/desktop"
	"qvmremote/test/life"
)

// sends begins to send a file, and returns the button that did.
func (s *scene) sends(t *testing.T, local, remote string) *desktop.Node {
	t.Helper()
	s.Desktop.ChooseFile(t, s.app, "File: choose*", local)
	s.app.Find(t, "text box", "Send: its path in dom0").SetText(t, remote)
	send := s.app.Find(t, "button", "Send")
	send.AwaitState(t, desktop.Sensitive, true)
	send.Press(t)
	return send
}

// TestTwentyMegabytesThereAndBack, with the checksum of what was sent.
func TestTwentyMegabytesThereAndBack(t *testing.T) {
	t.Parallel()
	s := open(t, life.Options{}, "files")
	// dom0's side of it is a program in the PATH of commands.
	if err := os.Symlink(programs.Dom0, filepath.Join(s.Dom0Bin(), "qvm-remote-dom0")); err != nil {
		t.Fatal(err)
	}
	data := bytes.Repeat([]byte("twenty megabytes of this\n"), 20<<20/25)
	dir := t.TempDir()
	local, back, remote := filepath.Join(dir, "local"), filepath.Join(dir, "back"), filepath.Join(s.Dom0(), "root", "remote")
	if err := os.WriteFile(local, data, 0o600); err != nil {
		t.Fatal(err)
	}
	send := s.sends(t, local, remote)
	s.app.Find(t, "label", fmt.Sprintf("*%x", sha256.Sum256(data)))
	if got, err := os.ReadFile(remote); err != nil || !bytes.Equal(got, data) {
		t.Errorf("dom0 has %d other bytes, %v", len(got), err)
	}
	// Nothing is replaced unasked.
	send.Press(t)
	s.app.Find(t, "label", "There is a file of that name already*")

	s.app.Find(t, "text box", "Fetch: its path in dom0").SetText(t, remote)
	s.app.Find(t, "button", "Save it as: choose*").Press(t)
	s.app.Find(t, "button", "Choose")
	s.app.Focused(t).SetText(t, back)
	s.Desktop.Key(t, "Return")
	s.app.Gone(t, "button", "Choose")
	s.app.Find(t, "", "*"+back)
	fetch := s.app.Find(t, "button", "Fetch")
	fetch.AwaitState(t, desktop.Sensitive, true)
	fetch.Press(t)
	desktop.Await(t, "the file is back", func() bool {
		got, err := os.ReadFile(back)
		return err == nil && bytes.Equal(got, data)
	})
}
