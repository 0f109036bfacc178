package repository

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"qvmremote/client"
	"qvmremote/client/backup"
	"qvmremote/queue"
	"qvmremote/test/executable"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// newQube makes a qube with a key and a home of its own.
func newQube(t *testing.T, name string) *Repository {
	t.Helper()
	home := t.TempDir()
	c := client.New(filepath.Join(home, queue.FolderName))
	c.Database = func(context.Context, string) (string, error) { return name, nil }
	must(t, c.Prepare())
	_, err := c.GenerateKey(false)
	must(t, err)
	k, err := backup.New(c)
	must(t, err)
	k.Dir, k.Settings = filepath.Join(home, "backups"), filepath.Join(home, "config")
	r, err := New(k)
	must(t, err)
	r.Work = filepath.Join(home, "cache")
	return r
}

var morning = time.Date(2026, 11, 20, 8, 0, 0, 0, time.Local)

// request puts one that ended into the history.
func (r *Repository) request(t *testing.T, at time.Time, id, command string) {
	t.Helper()
	c := r.Keeper.Client
	key, err := c.Key()
	must(t, err)
	q := queue.Request{Kind: queue.KindScript, ID: id, Qube: "work", Issued: at.Unix(), Expires: at.Unix() + 300, Timeout: 300,
		Body: queue.SumOf([]byte(command)), Stdin: queue.SumOf([]byte("INPUT"))}
	dir := c.Layout.HistoryOf(at, id)
	must(t, os.MkdirAll(dir, 0o700))
	for name, text := range map[string]string{"request": string(q.Sign(key.RequestKey())), "command": command, "exit": "0\n",
		"out": "OUTPUT\n", "err": "ERRORS\n", "stdin": "INPUT", "meta": "duration_ms=5\n"} {
		must(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
}

func (r *Repository) log(t *testing.T, lines string) {
	t.Helper()
	must(t, os.WriteFile(r.Keeper.Client.Layout.AuditLog(), []byte(lines), 0o600))
}

// in runs git in a repository as a person would, with a configuration of none.
func in(t *testing.T, dir, input string, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", append([]string{"-C", dir, "-c", "user.name=t", "-c", "user.email=t@t"}, args...)...)
	cmd.Stdin = strings.NewReader(input)
	cmd.Env = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null")
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		errors.As(err, &exit)
		t.Fatalf("git %q: %v\n%s", args, err, exit.Stderr)
	}
	return strings.TrimSpace(string(out))
}

func bare(t *testing.T) string {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("no git here")
	}
	dir := filepath.Join(t.TempDir(), "bare")
	must(t, os.Mkdir(dir, 0o700))
	in(t, dir, "", "init", "--quiet", "--bare")
	return dir
}

// files lists what the branch has.
func files(t *testing.T, dir string) []string {
	t.Helper()
	return strings.Fields(in(t, dir, "", "ls-tree", "-r", "--name-only", Branch))
}

// history is each file of a qube's history with its content.
func (r *Repository) history(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	root := r.Keeper.Client.Layout.History()
	paths, err := filepath.Glob(filepath.Join(root, "*", "*", "*"))
	must(t, err)
	for _, p := range paths {
		b, err := os.ReadFile(p)
		must(t, err)
		all[strings.TrimPrefix(p, root)] = string(b)
	}
	return all
}

const (
	idA = "20261120-080000-1-0000000a"
	idB = "20261120-090000-1-0000000b"
)

// TestPushAndPull: what comes back is what may leave, and a second qube's
// history joins the first one's.
func TestPushAndPull(t *testing.T) {
	t.Parallel()
	dir := bare(t)
	a, b := newQube(t, "work"), newQube(t, "other")
	a.request(t, morning, idA, "echo a\n")
	a.request(t, a.Keeper.Client.Now(), "20991120-080000-1-0000000c", "could still run\n")
	a.log(t, "[2026-11-20T08:00:00+00:00] line\n")
	if _, err := a.Push(t.Context(), dir, false); !errors.Is(err, ErrNotTold) {
		t.Errorf("before anybody was told: %v", err)
	}
	if out := in(t, dir, "", "for-each-ref"); out != "" {
		t.Errorf("pushed all the same: %s", out)
	}
	p, err := a.Push(t.Context(), dir, true)
	must(t, err)
	if p.Entries != 1 || p.Open != 1 || len(p.LeftOut) != 0 {
		t.Errorf("pushed %+v", p)
	}
	first := in(t, dir, "", "rev-parse", Branch)
	if p, err = a.Push(t.Context(), "", false); err != nil || p.Entries != 0 || in(t, dir, "", "rev-parse", Branch) != first {
		t.Errorf("once more, with nothing new: %+v, %v", p, err)
	}
	b.request(t, morning, idB, "echo b\n")
	_, err = b.Push(t.Context(), "file://"+dir, true)
	must(t, err)
	if n := in(t, dir, "", "rev-list", "--count", Branch); n != "2" {
		t.Errorf("%s commits", n)
	}
	want := "history/2026-11-20/" + idA + "/command history/2026-11-20/" + idA + "/exit history/2026-11-20/" + idA + "/meta history/2026-11-20/" + idA + "/request " +
		"history/2026-11-20/" + idB + "/command history/2026-11-20/" + idB + "/exit history/2026-11-20/" + idB + "/meta history/2026-11-20/" + idB + "/request " +
		"qubes/other/about qubes/other/audit.log qubes/work/about qubes/work/audit.log"
	if got := strings.Join(files(t, dir), " "); got != want {
		t.Errorf("the branch has\n%s\nwant\n%s", got, want)
	}
	if who := in(t, dir, "", "log", "--format=%an %ae %cn %ce", "-1", Branch); who != strings.Repeat("qvm-remote qvm-remote@localhost ", 2)[:63] {
		t.Errorf("committed by %s", who)
	}
	c := newQube(t, "work")
	done, err := c.Pull(t.Context(), dir, true)
	must(t, err)
	if done.Added != 2 || done.LogLines != 1 || done.Safety == "" {
		t.Errorf("pulled %+v", done)
	}
	got := c.history(t)
	for _, name := range []string{"command", "request", "exit", "meta"} {
		path := "/2026-11-20/" + idA + "/" + name
		if got[path] != a.history(t)[path] {
			t.Errorf("%s came back as %q", path, got[path])
		}
	}
	if len(got) != 8 {
		t.Errorf("the history has %q", slices.Sorted(maps.Keys(got)))
	}
	if done, err = a.Pull(t.Context(), "", false); err != nil || done.Added != 1 || done.Present != 1 {
		t.Errorf("the first one pulled %+v, %v", done, err)
	}
}

// TestNoSecretLeavesTheQube: no key and no part of one, whatever has it; no
// input, no output.
func TestNoSecretLeavesTheQube(t *testing.T) {
	t.Parallel()
	dir := bare(t)
	r := newQube(t, "work")
	key, err := r.Keeper.Client.Key()
	must(t, err)
	text := string(key.Reveal())
	r.request(t, morning, idA, "echo a\n")
	r.request(t, morning, idB, "echo "+strings.ToUpper(text[20:36])+"\n")
	r.log(t, "[2026-11-20T08:00:00+00:00] fine\n[2026-11-20T08:00:00+00:00] cmd=echo "+text+"\n")
	p, err := r.Push(t.Context(), dir, true)
	must(t, err)
	if p.Entries != 1 || len(p.LeftOut) != 1 {
		t.Errorf("pushed %+v", p)
	}
	all := strings.ToLower(in(t, dir, "", "log", "-p", "--format=%B", Branch))
	for i := 0; i+keyPart <= len(text); i++ {
		if strings.Contains(all, text[i:i+keyPart]) {
			t.Fatal("a part of the key was pushed")
		}
	}
	for _, word := range []string{"OUTPUT", "ERRORS", "INPUT"} {
		if strings.Contains(all, strings.ToLower(word)) {
			t.Errorf("%s was pushed", word)
		}
	}
	if !strings.Contains(all, "key "+key.Fingerprint()) || !strings.Contains(all, "fine") {
		t.Errorf("pushed\n%s", all)
	}
}

// TestBranchesThatAreRefused: nothing is pulled from them, and nothing changes.
func TestBranchesThatAreRefused(t *testing.T) {
	t.Parallel()
	good := "history/2026-11-20/x/command"
	for what, c := range map[string]struct{ mode, kind, path, says string }{
		"symlink":     {"120000", "blob", good, "is a symlink"},
		"submodule":   {"160000", "commit", good, "is a submodule"},
		"executable":  {"100755", "blob", good, "is no plain file"},
		"key":         {"100644", "blob", "history/2026-11-20/x/auth.key", "is no name"},
		"other file":  {"100644", "blob", "README.md", "is no name"},
		"log":         {"100644", "blob", "log/audit.log", "is no name that belongs into this branch"},
		"settings":    {"100644", "blob", "settings/client.conf", "is no name that belongs into this branch"},
		"encrypted":   {"100644", "blob", "key.age", "is no name that belongs into this branch"},
		"qube's name": {"100644", "blob", "qubes/dom0/audit.log", "is no file of a qube"},
		"large":       {"100644", "blob", "history/2026-11-20/x/exit", "has 25 bytes, at most 16"},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			dir := bare(t)
			blob := in(t, dir, "/etc/passwd, or any text.", "hash-object", "-w", "--stdin")
			if c.kind == "commit" {
				blob = strings.Repeat("1", 40)
			}
			tree := nest(t, dir, c.mode, c.kind, blob, strings.Split(c.path, "/"))
			in(t, dir, "", "update-ref", "refs/heads/"+Branch, in(t, dir, "", "commit-tree", "-m", "x", tree))
			refusedPull(t, dir, c.says)
		})
	}
}

// nest makes the trees above one object.
func nest(t *testing.T, dir, mode, kind, object string, path []string) string {
	t.Helper()
	for i := len(path) - 1; i >= 0; i-- {
		object = in(t, dir, fmt.Sprintf("%s %s %s\t%s\n", mode, kind, object, path[i]), "mktree", "--missing")
		mode, kind = "040000", "tree"
	}
	return object
}

func refusedPull(t *testing.T, dir, says string) {
	t.Helper()
	r := newQube(t, "work")
	r.request(t, morning, idA, "echo a\n")
	before := r.history(t)
	_, err := r.Pull(t.Context(), dir, true)
	if err == nil || !strings.Contains(err.Error(), says) {
		t.Errorf("says %v, want %q", err, says)
	}
	if _, err := r.Push(t.Context(), dir, true); err == nil {
		t.Error("pushed onto it")
	}
	if !maps.Equal(before, r.history(t)) {
		t.Error("the history changed")
	}
	if _, err := os.Lstat(r.Keeper.Dir); err == nil {
		t.Error("an archive was made for nothing")
	}
	if left, _ := os.ReadDir(r.Work); len(left) != 1 {
		t.Errorf("left %v", left)
	}
}

// TestMalformedTrees: names that leave the folder, and names twice.
func TestMalformedTrees(t *testing.T) {
	t.Parallel()
	for what, names := range map[string][]string{"above": {".."}, "twice": {"x", "x"}, "git": {".git"}, "slash": {"a/b"}} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			dir := bare(t)
			blob := in(t, dir, "x", "hash-object", "-w", "--stdin")
			var tree bytes.Buffer
			for _, n := range names {
				tree.WriteString("100644 " + n + "\x00")
				for i := 0; i < len(blob); i += 2 {
					var b byte
					_, err := fmt.Sscanf(blob[i:i+2], "%02x", &b)
					must(t, err)
					tree.WriteByte(b)
				}
			}
			id := in(t, dir, tree.String(), "hash-object", "-w", "-t", "tree", "--literally", "--stdin")
			in(t, dir, "", "update-ref", "refs/heads/"+Branch, in(t, dir, "", "commit-tree", "-m", "x", id))
			refusedPull(t, dir, "git fetch failed")
		})
	}
}

// TestNothingOfTheOtherRepositoryRuns: its hooks and its configuration.
func TestNothingOfTheOtherRepositoryRuns(t *testing.T) {
	t.Parallel()
	dir := bare(t)
	mark := filepath.Join(t.TempDir(), "ran")
	evil := filepath.Join(dir, "evil")
	must(t, os.Mkdir(evil, 0o700))
	script := "#!/bin/sh\necho \"$0\" >>" + mark + "\ncat >/dev/null\n"
	for _, folder := range []string{evil, filepath.Join(dir, "hooks")} {
		for _, hook := range []string{"pre-receive", "update", "post-receive", "post-update", "reference-transaction", "proc-receive", "push-to-checkout", "pre-auto-gc", "fsmonitor"} {
			must(t, executable.Write(filepath.Join(folder, hook), []byte(script)))
		}
	}
	run := filepath.Join(evil, "fsmonitor")
	for _, kv := range [][2]string{{"core.hooksPath", evil}, {"core.fsmonitor", run}, {"core.alternateRefsCommand", run}, {"uploadpack.packObjectsHook", run},
		{"core.sshCommand", run}, {"core.gitProxy", run}, {"core.pager", run}, {"gc.auto", "1"}, {"receive.procReceiveRefs", "refs"},
		{"remote.origin.url", "ext::" + run}, {"remote.origin.promisor", "true"}, {"filter.x.smudge", run}, {"credential.helper", run}} {
		in(t, dir, "", "config", kv[0], kv[1])
	}
	other := bare(t)
	must(t, os.WriteFile(filepath.Join(dir, "objects", "info", "alternates"), []byte(filepath.Join(other, "objects")+"\n"), 0o600))
	r := newQube(t, "work")
	r.request(t, morning, idA, "echo a\n")
	if _, err := r.Push(t.Context(), dir, true); err != nil {
		t.Logf("push: %v", err)
	}
	_, _ = r.Pull(t.Context(), dir, true)
	if b, err := os.ReadFile(mark); err == nil {
		t.Errorf("ran: %s", b)
	}
	in(t, dir, "", "config", "--unset", "receive.procReceiveRefs")
	_, err := r.Push(t.Context(), dir, true)
	must(t, err)
	_, err = newQube(t, "work").Pull(t.Context(), dir, true)
	must(t, err)
	if b, err := os.ReadFile(mark); err == nil {
		t.Errorf("ran: %s", b)
	}
}

// TestTwoAtOnce: the second one is told; afterwards it works.
func TestTwoAtOnce(t *testing.T) {
	t.Parallel()
	r := newQube(t, "work")
	w, err := r.open(t.Context())
	must(t, err)
	if _, err := r.Pull(t.Context(), bare(t), false); !errors.Is(err, ErrBusy) {
		t.Errorf("says %v", err)
	}
	w.close()
	if _, err := r.Pull(t.Context(), bare(t), false); !errors.Is(err, ErrNoBranch) {
		t.Errorf("says %v", err)
	}
}
