package legacy_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"qvmremote/queue"
	"qvmremote/test/legacy"
)

// TestOldClientWritesInPlace: 2-9, D14, P-1, P-3, P-4.
func TestOldClientWritesInPlace(t *testing.T) {
	t.Parallel()
	h := newHome(t, old.Client)
	key := strings.TrimSpace(h.run("", "key", "gen").wants(t, 0).out)
	g := gate{t, t.TempDir(), ""}
	g.inside = g.dir
	h.env = append(g.env(legacy.ClientPoints...), legacy.KnobID+"=my.free_form-id", legacy.KnobPoll+"=10ms")
	run := begin(t, h.command("-q", "echo", "a b"), "")
	body := h.queue("pending", "my.free_form-id")
	sizes := map[string][3]int{ // of the body, .auth and .cmd; -1 is not there
		"body-open": {0, -1, -1}, "body-half": {4, -1, -1}, "body": {9, -1, -1},
		"auth-open": {9, 0, -1}, "auth-half": {9, 32, -1}, "auth": {9, 64, -1},
		"cmd-open": {9, 64, 0}, "cmd-half": {9, 64, 4}, "cmd": {9, 64, 9},
	}
	for _, point := range legacy.ClientPoints {
		g.reached(point)
		for i, ending := range []string{"", ".auth", ".cmd"} {
			size := -1
			if info, err := os.Stat(body + ending); err == nil {
				size = int(info.Size())
				if info.Mode().Perm() != 0o644 {
					t.Errorf("%s has mode %o", ending, info.Mode().Perm())
				}
			}
			if size != sizes[point][i] {
				t.Errorf("at %s the file %q has %d bytes, want %d", point, ending, size, sizes[point][i])
			}
		}
		g.open(point)
	}
	k, err := queue.ParseKey([]byte(key))
	must(t, err)
	if err := queue.CheckLegacyToken(k, "my.free_form-id", []byte(read(t, body+".auth"))); err != nil {
		t.Errorf("its token: %v", err)
	}
	if read(t, body) != "echo a b\n" { // D16
		t.Errorf("the command is %q", read(t, body))
	}
	must(t, os.WriteFile(h.queue("results", "my.free_form-id.out"), []byte("done\n"), 0o644))
	must(t, queue.Publish(h.queue("results", "my.free_form-id.exit"), []byte("5")))
	if e := run.end(); e.code != 5 || e.out != "done\n" {
		t.Errorf("the end is %+v", e)
	}
}

// TestOldClientTakesAnEmptyExitForOne: 2-8, and .meta stays behind.
func TestOldClientTakesAnEmptyExitForOne(t *testing.T) {
	t.Parallel()
	h := newHome(t, old.Client, legacy.KnobID+"=x", legacy.KnobPoll+"=10ms")
	run := begin(t, h.command("true"), "")
	await(t, "it submits", func() bool { return exists(h.queue("pending", "x.cmd")) })
	must(t, os.WriteFile(h.queue("results", "x.exit"), nil, 0o644))
	run.end().wants(t, 1)
	must(t, os.WriteFile(h.queue("results", "x.meta"), nil, 0o644))
	days, _ := filepath.Glob(h.at("history", "*", "x"))
	if len(days) != 1 || exists(filepath.Join(days[0], "meta")) {
		t.Errorf("the history is %v", days)
	}
	if !strings.Contains(read(t, h.at("audit.log")), "DONE id=x exit=1") {
		t.Errorf("its log: %s", read(t, h.at("audit.log")))
	}
}

// TestOldClientWords: agent is a command like any other, --agent no option at
// all; its own words are its own even behind "--" (2-2).
func TestOldClientWords(t *testing.T) {
	t.Parallel()
	h := newHome(t, old.Client, legacy.KnobID+"=x", legacy.KnobPoll+"=10ms")
	run := begin(t, h.command("agent"), "")
	await(t, "it submits", func() bool { return exists(h.queue("pending", "x.cmd")) })
	if got := read(t, h.queue("pending", "x")); got != "agent\n" {
		t.Errorf("the command is %q", got)
	}
	must(t, run.cmd.Process.Signal(os.Interrupt))
	run.end().wants(t, 130)
	if !exists(h.queue("pending", "x")) { // 2-6
		t.Error("Ctrl-C took the command back")
	}
	h.run("", "--agent=/home/user/.qvm-remote").wants(t, 1, "unknown option: --agent")
	h.run("", "--agent").wants(t, 1, "unknown option: --agent")
	h.run("", "--", "queue").wants(t, 0, "pending 1")
}

// TestOldClientSweepsWhileItHelps: 2-1, 2-19, and P-2.
func TestOldClientSweepsWhileItHelps(t *testing.T) {
	t.Parallel()
	h := newHome(t, old.Client)
	must(t, os.MkdirAll(filepath.Join(h.dir, ".qubes-remote", "queue", "running"), 0o755))
	stale := filepath.Join(h.dir, ".qubes-remote", "queue", "running", "other")
	must(t, os.WriteFile(stale, nil, 0o644))
	hours := time.Now().Add(-2 * time.Hour)
	must(t, os.Chtimes(stale, hours, hours))
	h.run("", "--help").wants(t, 0, "Execute commands")
	if exists(filepath.Join(h.dir, ".qubes-remote")) || exists(h.queue("running", "other")) {
		t.Error("--help did not rename the folder and sweep it")
	}
}

func TestOldClientCommandLine(t *testing.T) {
	t.Parallel()
	h := newHome(t, old.Client)
	h.run("", "--version").wants(t, 0, "qvm-remote 1.1.0\n")
	h.run("").wants(t, 1, "empty command")
	h.run("", "-t", "soon", "ls").wants(t, 1, "-t requires an integer, got: soon")
	h.run("", "-t", "0", "ls").wants(t, 1, "-t must be a positive integer")
	h.run("", "key").wants(t, 1, "key requires: gen | show | import")
	h.run("", "key", "show").wants(t, 1, "no key configured")
	h.run("", "key", "import", "0x"+strings.Repeat("a", 62)).wants(t, 0) // 2-12
	h.run("", "key", "gen").wants(t, 0)                                  // 2-10: over the other
	h.run("", "-t", "1", "true").wants(t, 124, "timed out after 1s")     // 2-5
	if names, _ := os.ReadDir(h.at("queue", "pending")); len(names) != 0 {
		t.Errorf("left behind: %v", names)
	}
	h.run("", "log").wants(t, 0, "TIMEOUT id=")
	h.run("", "history").wants(t, 0, "No command history yet.")
}

// TestOldClientWithoutKey: 2-7.
func TestOldClientWithoutKey(t *testing.T) {
	t.Parallel()
	h := newHome(t, old.Client, legacy.KnobID+"=x", legacy.KnobPoll+"=10ms")
	run := begin(t, h.command("true"), "")
	await(t, "it submits", func() bool { return exists(h.queue("pending", "x.cmd")) })
	if exists(h.queue("pending", "x.auth")) {
		t.Error("there is a token without a key")
	}
	must(t, queue.Publish(h.queue("results", "x.exit"), []byte("0")))
	run.end().wants(t, 0)
}
