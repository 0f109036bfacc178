package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"qvmremote/daemon/audit"
	"qvmremote/queue"
	"qvmremote/queue/piece"
	"qvmremote/test/executable"
	"qvmremote/test/smalldisk"
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

// inside is the path of a file in the qube's home as the qube sees it.
func (q *qube) inside(path string) string {
	q.t.Helper()
	out, err := q.Command(context.Background(), "sh", "-c", `printf %s "$HOME"`).Output()
	must(q.t, err)
	return string(out) + "/" + strings.TrimPrefix(strings.TrimPrefix(path, q.Home()), "/")
}

// TestAFileOfTwentyMegabytesEachWay: no size is too large for push and pull.
func TestAFileOfTwentyMegabytesEachWay(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "work")
	q, share := h.of("work"), h.serveFiles()
	h.quick()
	local := filepath.Join(q.Home(), "disk.img")
	sent := noise(t, local, twenty)
	r := q.run("push", q.inside(local), share+"/")
	if r.code != 0 || !strings.Contains(r.err, "20971520 bytes") {
		t.Fatalf("push: %+v", r)
	}
	h.equal(filepath.Join(share, "disk.img"), sent)
	h.only(share, "disk.img")
	back := filepath.Join(q.Home(), "back.img")
	if r := q.run("pull", filepath.Join(share, "disk.img"), q.inside(back)); r.code != 0 {
		t.Fatalf("pull: %+v", r)
	}
	h.equal(back, sent)
	// neither goes over a file that is there, unless asked
	other := noise(t, filepath.Join(q.Home(), "other"), 10)
	for _, args := range [][]string{{"push", q.inside("other"), filepath.Join(share, "disk.img")}, {"pull", filepath.Join(share, "disk.img"), q.inside(back)}} {
		if r := q.run(args...); r.code != queue.ExitUsage || !strings.Contains(r.err, "exists") || !strings.Contains(r.err, "--force") {
			t.Errorf("%q over a file: %+v", args, r)
		}
	}
	h.equal(filepath.Join(share, "disk.img"), sent)
	if r := q.run("push", "--force", q.inside("other"), filepath.Join(share, "disk.img")); r.code != 0 {
		t.Errorf("with --force: %+v", r)
	}
	h.equal(filepath.Join(share, "disk.img"), other)
	if r := q.run("-q", "pull", filepath.Join(share, "disk.img"), q.inside(back)+"2"); r != (ran{}) {
		t.Errorf("with -q: %+v", r)
	}
	h.verified()
}

// serveFiles puts dom0's program where a command of a qube finds it, and makes a
// folder in dom0. While there is a file hold.N beside that, a piece with the
// word N waits for the file go.N; each leaves a line in steps.
func (h *house) serveFiles() (share string) {
	h.t.Helper()
	dir := h.t.TempDir()
	script := fmt.Sprintf(`#!/bin/bash
cd %s || exit 1
echo "$*" >> steps
for w; do [ -e "hold.$w" ] && { echo > "held.$w"; until [ -e "go.$w" ]; do sleep 0.02; done; }; done
cd / && exec %s "$@"
`, dir, programs.dom0)
	must(h.t, executable.Write(filepath.Join(h.Dom0Bin(), "qvm-remote-dom0"), []byte(script)))
	share = filepath.Join(dir, "share")
	must(h.t, os.Mkdir(share, 0o700))
	return share
}

// holdPiece makes requests with that word wait; wait waits until one does.
func (h *house) holdPiece(share, offset string) (wait, release func()) {
	h.t.Helper()
	dir := filepath.Dir(share)
	write(h.t, filepath.Join(dir, "hold."+offset), "")
	return func() {
			h.t.Helper()
			await(h.t, "the piece at "+offset, func() bool { return exists(filepath.Join(dir, "held."+offset)) })
		}, func() {
			h.t.Helper()
			must(h.t, os.Remove(filepath.Join(dir, "hold."+offset)))
			write(h.t, filepath.Join(dir, "go."+offset), "")
		}
}

// steps counts the requests that moved a piece beginning at offset.
func (h *house) steps(share, word, offset string) (n int) {
	h.t.Helper()
	b, err := os.ReadFile(filepath.Join(filepath.Dir(share), "steps"))
	must(h.t, err)
	for line := range strings.SplitSeq(string(b), "\n") {
		f := strings.Fields(line)
		if len(f) > 3 && f[0] == word && (word == "file-put" && f[4] == offset || word == "file-get" && f[2] == offset && f[3] != "0") {
			n++
		}
	}
	return n
}

// TestAKilledPushIsGoneOnWith: nothing looks whole until it is, and what dom0
// has is not sent again.
func TestAKilledPushIsGoneOnWith(t *testing.T) {
	once(t)
	t.Parallel()
	h := newHouse(t, "work")
	q, share := h.of("work"), h.serveFiles()
	h.quick()
	local, there := filepath.Join(q.Home(), "disk.img"), filepath.Join(share, "disk.img")
	sent := noise(t, local, twenty)
	wait, release := h.holdPiece(share, "8388608")
	g := q.begin("push", q.inside(local), there)
	wait()
	must(t, g.cmd.Process.Kill())
	<-g.done
	if exists(there) {
		t.Error("half of it looks whole")
	}
	release()
	// what was under way when the qube's program died ends, or is in its way
	await(t, "the second piece to be there", func() bool {
		parts, err := filepath.Glob(filepath.Join(share, ".*.part"))
		must(t, err)
		info, err := os.Stat(strings.Join(parts, ""))
		return err == nil && info.Size() == 2*piece.Max
	})
	await(t, "the push to go on", func() bool {
		r := q.run("push", q.inside(local), there)
		if r.code != 0 && !strings.Contains(r.err, "under way") {
			t.Fatalf("%+v", r)
		}
		return r.code == 0
	})
	h.equal(there, sent)
	h.only(share, "disk.img")
	if first, second := h.steps(share, "file-put", "0"), h.steps(share, "file-put", "8388608"); first != 1 || second != 1 {
		t.Errorf("the first piece was sent %d times, the second %d times", first, second)
	}
}

// TestAPullGoesOnWhenDom0ComesBack: its daemon is killed half way.
func TestAPullGoesOnWhenDom0ComesBack(t *testing.T) {
	once(t)
	t.Parallel()
	h := newHouse(t, "work")
	q, share := h.of("work"), h.serveFiles()
	d := h.quick()
	there, local := filepath.Join(share, "disk.img"), filepath.Join(q.Home(), "disk.img")
	sent := noise(t, there, twenty)
	wait, release := h.holdPiece(share, "16777216")
	g := q.begin("pull", there, q.inside(local))
	wait()
	d.kill()
	release()
	h.quick()
	if r := g.end(); r.code != queue.ExitInterrupted || !strings.Contains(r.err, "go on from there") {
		t.Errorf("interrupted: %+v", r)
	}
	if exists(local) {
		t.Error("half of it looks whole")
	}
	if r := q.run("pull", there, q.inside(local)); r.code != 0 {
		t.Fatalf("again: %+v", r)
	}
	h.equal(local, sent)
	if n := h.steps(share, "file-get", "0"); n != 1 {
		t.Errorf("the first piece came %d times", n)
	}
}

// TestSmallLimitsMakeSmallPieces: dom0 cuts output, and takes no larger input.
func TestSmallLimitsMakeSmallPieces(t *testing.T) {
	once(t)
	t.Parallel()
	h := newHouse(t, "work")
	h.configure("QVM_REMOTE_VMS=work", "QVM_REMOTE_MAX_OUTPUT=1M", "QVM_REMOTE_MAX_STDIN=1M")
	q, share := h.of("work"), h.serveFiles()
	h.quick()
	local, there := filepath.Join(q.Home(), "f"), filepath.Join(share, "f")
	sent := noise(t, local, 3_000_000)
	for _, args := range [][]string{{"push", q.inside(local), there}, {"pull", there, q.inside(local) + "2"}} {
		if r := q.run(args...); r.code != 0 {
			t.Fatalf("%q: %+v", args, r)
		}
	}
	h.equal(there, sent)
	h.equal(local+"2", sent)
}

func TestCtrlCEndsATransferInDom0(t *testing.T) {
	once(t)
	t.Parallel()
	h := newHouse(t, "work")
	q, share := h.of("work"), h.serveFiles()
	h.quick()
	there, local := filepath.Join(share, "f"), filepath.Join(q.Home(), "f")
	noise(t, there, 1000)
	wait, _ := h.holdPiece(share, "1000")
	g := q.begin("pull", there, q.inside(local))
	wait()
	g.interrupt()
	if r := g.end(); r.code != queue.ExitCancelled || !strings.Contains(r.err, "goes on from here") {
		t.Errorf("%+v", r)
	}
	if exists(local) {
		t.Error("there is a file")
	}
	if n := h.named(q.Name, audit.Final); n != 2 {
		t.Errorf("%d requests have ended", n)
	}
}

func TestASourceThatChangesIsFoundOut(t *testing.T) {
	once(t)
	t.Parallel()
	h := newHouse(t, "work")
	q, share := h.of("work"), h.serveFiles()
	h.quick()
	there, local := filepath.Join(share, "log"), filepath.Join(q.Home(), "log")
	noise(t, there, 9<<20)
	wait, release := h.holdPiece(share, "1048576")
	g := q.begin("pull", there, q.inside(local))
	wait()
	f, err := os.OpenFile(there, os.O_APPEND|os.O_WRONLY, 0)
	must(t, err)
	_, err = f.WriteString("one more line\n")
	must(t, errors.Join(err, f.Close()))
	release()
	if r := g.end(); r.code != queue.ExitUsage || !strings.Contains(r.err, "changed while it was read") {
		t.Errorf("%+v", r)
	}
	if left, err := filepath.Glob(filepath.Join(q.Home(), ".qvm-remote-*")); err != nil || exists(local) || len(left) > 0 {
		t.Errorf("left: %q, %v", left, err)
	}
}

// TestThePolicyNamesTheFolder: a transfer is plain commands, so rules hold each
// word of it.
func TestThePolicyNamesTheFolder(t *testing.T) {
	once(t)
	t.Parallel()
	h := newHouse(t, "work")
	q, share := h.of("work"), h.serveFiles()
	inbox, secret := filepath.Join(filepath.Dir(share), "in"), filepath.Join(filepath.Dir(share), "secret")
	must(t, os.Mkdir(inbox, 0o700))
	noise(t, filepath.Join(share, "a file"), 2000)
	must(t, os.Mkdir(filepath.Join(share, "below"), 0o700))
	for _, path := range []string{secret, filepath.Join(share, "below", "f"), filepath.Join(inbox, "old")} {
		noise(t, path, 20)
	}
	must(t, os.Symlink(secret, filepath.Join(share, "link")))
	q.rules("allow qvm-remote-dom0 file-get " + share + "/* * *\nallow qvm-remote-dom0 file-put " + inbox + "/* 0..1000 * *\n")
	h.quick()
	home := strings.TrimSuffix(q.inside(""), "/")
	noise(t, filepath.Join(q.Home(), "small"), 1000)
	noise(t, filepath.Join(q.Home(), "large"), 1001)
	for _, c := range []struct {
		code int
		says string
		args []string
	}{
		{0, "2000 bytes", []string{"pull", share + "/a file", home + "/got"}},
		{0, "1000 bytes", []string{"push", home + "/small", inbox + "/new"}},
		{126, "no-rule", []string{"pull", secret, home + "/x"}},
		{126, "no-rule", []string{"pull", share + "/../secret", home + "/x"}},
		{126, "no-rule", []string{"pull", share + "/below/f", home + "/x"}},
		{126, "no-rule", []string{"pull", share + "/ä", home + "/x"}},
		{126, "no-rule", []string{"pull", inbox + "/old", home + "/x"}},
		{126, "no-rule", []string{"push", home + "/small", share + "/new"}},
		{126, "no-rule", []string{"push", home + "/large", inbox + "/large"}},
		{126, "no-rule", []string{"push", "--force", home + "/small", inbox + "/old"}},
		{1, "symbolic link", []string{"pull", share + "/link", home + "/x"}},
		{1, "exists", []string{"push", home + "/small", inbox + "/old"}},
	} {
		if r := q.run(c.args...); r.code != c.code || !strings.Contains(r.err, c.says) {
			t.Errorf("%q: %+v", c.args, r)
		}
	}
	h.only(inbox, "new", "old")
	h.only(share, "a file", "below", "link")
	if exists(q.Home() + "/x") {
		t.Error("something came")
	}
}

// TestAPathIsAWord: whatever it holds, it is the name of a file and no more.
func TestAPathIsAWord(t *testing.T) {
	once(t)
	t.Parallel()
	h := newHouse(t, "work")
	q, share := h.of("work"), h.serveFiles()
	h.quick()
	local := filepath.Join(q.Home(), "f")
	sent := noise(t, local, 100)
	for _, name := range []string{"a b", "$(touch mark)", "it's; touch mark", "--overwrite", "-", "ä\n", "*"} {
		if r := q.run("push", q.inside(local), share+"/"+name); r.code != 0 || strings.Contains(r.err, "\x1b") {
			t.Errorf("%q: %+v", name, r)
			continue
		}
		h.equal(filepath.Join(share, name), sent)
		must(t, os.Remove(filepath.Join(share, name)))
	}
	h.only(share)
	if exists(h.marker("mark")) {
		t.Error("a path was run")
	}
}

func TestAFileThatDoesNotFitIsRefusedAtOnce(t *testing.T) {
	once(t)
	t.Parallel()
	h := newHouse(t, "work")
	q, share := h.of("work"), h.serveFiles()
	smalldisk.Mount(t, share, 16)
	h.quick()
	local := filepath.Join(q.Home(), "disk.img")
	noise(t, local, twenty)
	if r := q.run("push", q.inside(local), share+"/"); r.code != queue.ExitUsage || !strings.Contains(r.err, "dom0's disk has no room") {
		t.Errorf("%+v", r)
	}
	h.only(share)
	if n := h.steps(share, "file-put", "0"); n != 0 {
		t.Errorf("%d pieces were sent", n)
	}
}
