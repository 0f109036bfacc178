package legacy_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"qvmremote/queue"
)

// TestClientAsTheFirstOneWasTested goes through the phases of the first
// implementation's own test of its client, in both modes. What looked at its
// source there is put as what that was to achieve.
func TestClientAsTheFirstOneWasTested(t *testing.T) {
	t.Parallel()
	for _, legacy := range []string{"0", "1"} {
		t.Run("QVM_REMOTE_LEGACY="+legacy, func(t *testing.T) {
			t.Parallel()
			h := newHome(t, ours.client, "QVM_REMOTE_LEGACY="+legacy)
			archInstalled(t)
			archCommandLine(t, h)
			key := archKeys(t, h)
			archFolder(t, h)
			archMigration(t, legacy)
			archMeans(t, h, key)
		})
	}
}

// archInstalled is phase 1, and 8: it starts without an interpreter.
func archInstalled(t *testing.T) {
	info, err := os.Stat(ours.client)
	must(t, err)
	if info.Mode().Perm()&0o111 == 0 {
		t.Errorf("the program has mode %o", info.Mode().Perm())
	}
	b, err := os.ReadFile(ours.client)
	must(t, err)
	if !bytes.HasPrefix(b, []byte("\x7fELF")) || bytes.Contains(b, []byte("/ld-linux")) {
		t.Error("the program needs another one to start")
	}
}

// archCommandLine is phases 2 and 3.
func archCommandLine(t *testing.T, h *homeOf) {
	h.run("", "--help").wants(t, 0, "Execute commands", "key gen", "key show", "key import", "ping", "--timeout")
	h.run("", "--version").wants(t, 0, "qvm-remote "+queue.Version)
	h.run("", "-h").wants(t, 0, "qvm-remote")
	h.run("", "--bogus").wants(t, 1, "unknown option")
	h.run("", "key").wants(t, 1, "gen | show | import")
	h.run("").wants(t, 1, "empty command")
}

// archKeys is phases 4 and 5.
func archKeys(t *testing.T, h *homeOf) string {
	key := strings.TrimSuffix(h.run("", "key", "gen").wants(t, 0).out, "\n")
	if len(key) != 64 || read(t, h.at("auth.key")) != key {
		t.Errorf("the key is %q, the file has %q", key, read(t, h.at("auth.key")))
	}
	mode(t, h.at("auth.key"), 0o600)
	shows := func(want string) {
		t.Helper()
		if e := h.run("", "key", "show").wants(t, 0); strings.TrimSpace(e.out) != want {
			t.Errorf("key show prints %q, want %q", e.out, want)
		}
	}
	shows(key)
	other := strings.Repeat("b", 64)
	h.run("", "key", "import", other).wants(t, 0)
	shows(other)
	mode(t, h.at("auth.key"), 0o600)
	h.run("", "key", "import", "badkey").wants(t, 1)
	shows(other)
	return other
}

// archFolder is phase 6.
func archFolder(t *testing.T, h *homeOf) {
	mode(t, h.at(), 0o700)
	if exists(h.at("audit.log")) {
		mode(t, h.at("audit.log"), 0o600)
	}
}

// archMigration is phase 7.
func archMigration(t *testing.T, legacy string) {
	h := newHome(t, ours.client, "QVM_REMOTE_LEGACY="+legacy)
	key := strings.Repeat("a", 64)
	must(t, os.Mkdir(filepath.Join(h.dir, ".qubes-remote"), 0o700))
	must(t, os.WriteFile(filepath.Join(h.dir, ".qubes-remote", "auth.key"), []byte(key), 0o600))
	if e := h.run("", "key", "show").wants(t, 0); strings.TrimSpace(e.out) != key {
		t.Errorf("key show prints %q", e.out)
	}
	if !exists(h.at()) || exists(filepath.Join(h.dir, ".qubes-remote")) {
		t.Error("the folder was not renamed")
	}
}

// archMeans is phase 9: ids cannot be foreseen, the key is closed from its
// first byte on, and an error of the disk is a message.
func archMeans(t *testing.T, h *homeOf, key string) {
	ids := map[string]bool{}
	for range 2 {
		run := begin(t, h.command("true"), "")
		var id string
		await(t, "it submits", func() bool {
			names, _ := filepath.Glob(h.queue("pending", "*.auth"))
			if len(names) > 0 {
				id = strings.TrimSuffix(filepath.Base(names[0]), ".auth")
			}
			return len(names) > 0
		})
		must(t, run.cmd.Process.Signal(os.Interrupt))
		run.end().wants(t, 130)
		if !queue.ValidID(id) || ids[id[len(id)-8:]] {
			t.Errorf("the id is %s after %v", id, ids)
		}
		ids[id[len(id)-8:]] = true
	}
	mode(t, h.at("audit.log"), 0o600)
	must(t, os.RemoveAll(h.at()))
	must(t, os.WriteFile(h.at(), nil, 0o600))
	for _, args := range [][]string{{"true"}, {"key", "import", key}, {"key", "gen"}, {"status"}} {
		if e := h.run("", args...); e.code == 0 || e.code == 2 || strings.Contains(e.err, "goroutine") || e.out+e.err == "" {
			t.Errorf("%v with a file in place of the folder: %+v", args, e)
		}
	}
}

func mode(t *testing.T, path string, want os.FileMode) {
	t.Helper()
	info, err := os.Lstat(path)
	must(t, err)
	if info.Mode().Perm() != want {
		t.Errorf("%s has mode %o, want %o", path, info.Mode().Perm(), want)
	}
}
