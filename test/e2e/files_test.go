package e2e

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"qvmremote/queue"
)

// noise makes a file of n bytes that no compression and no zero page helps with.
func noise(t *testing.T, path string, n int) []byte {
	t.Helper()
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{byte(n), byte(len(path))}).Read(b)
	must(t, os.MkdirAll(filepath.Dir(path), 0o755))
	must(t, os.WriteFile(path, b, 0o600))
	return b
}

func (h *house) equal(path string, want []byte) {
	h.t.Helper()
	got, err := os.ReadFile(path)
	must(h.t, err)
	if !bytes.Equal(got, want) {
		h.t.Errorf("%s has %d bytes, and they are not the %d that were sent", path, len(got), len(want))
	}
}

// only fails the test unless the folder holds just these.
func (h *house) only(folder string, names ...string) {
	h.t.Helper()
	entries, err := os.ReadDir(folder)
	must(h.t, err)
	var have []string
	for _, e := range entries {
		have = append(have, e.Name())
	}
	if strings.Join(have, " ") != strings.Join(names, " ") {
		h.t.Errorf("%s holds %q, want %q", folder, have, names)
	}
}

const twenty = 20 << 20

// TestAFileOfTwentyMegabytesEachWay: no size is too large for push and pull.
func TestAFileOfTwentyMegabytesEachWay(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "work")
	q := h.of("work")
	h.serveFiles()
	h.quick()
	share := t.TempDir()
	local := filepath.Join(q.Home(), "disk.img")
	sent := noise(t, local, twenty)
	r := q.run("push", local, share+"/")
	if r.code != 0 || !strings.Contains(r.err, "20971520 bytes") {
		t.Fatalf("push: %+v", r)
	}
	h.equal(filepath.Join(share, "disk.img"), sent)
	h.only(share, "disk.img")
	back := filepath.Join(q.Home(), "back.img")
	if r := q.run("pull", filepath.Join(share, "disk.img"), back); r.code != 0 {
		t.Fatalf("pull: %+v", r)
	}
	h.equal(back, sent)
	// neither goes over a file that is there, unless asked
	other := noise(t, filepath.Join(q.Home(), "other"), 10)
	for _, args := range [][]string{{"push", filepath.Join(q.Home(), "other"), filepath.Join(share, "disk.img")}, {"pull", filepath.Join(share, "disk.img"), back}} {
		if r := q.run(args...); r.code != queue.ExitUsage || !strings.Contains(r.err, "exists") || !strings.Contains(r.err, "--force") {
			t.Errorf("%q over a file: %+v", args, r)
		}
	}
	h.equal(filepath.Join(share, "disk.img"), sent)
	if r := q.run("push", "--force", filepath.Join(q.Home(), "other"), filepath.Join(share, "disk.img")); r.code != 0 {
		t.Errorf("with --force: %+v", r)
	}
	h.equal(filepath.Join(share, "disk.img"), other)
	h.verified()
}

// serveFiles puts dom0's program where a command of a qube finds it.
func (h *house) serveFiles() {
	h.t.Helper()
	must(h.t, os.Symlink(programs.dom0, filepath.Join(h.Dom0Bin(), "qvm-remote-dom0")))
}
