package e2e

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"qvmremote/daemon/audit"
	"qvmremote/queue"
	"qvmremote/test/sim"
)

// TestNormalLife goes through what people do all day, on one machine whose
// daemon is the installed program.
func TestNormalLife(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "work", "personal")
	h.start()
	shared := h.of("work")
	shared.works()
	h.of("personal").works()
	for name, story := range map[string]func(*testing.T, *qube){
		"exit codes":          exitCodes,
		"streams":             streams,
		"script":              script,
		"arguments":           arguments,
		"binary input":        binaryInput,
		"live output":         liveOutput,
		"timeout":             timeoutKeepsOutput,
		"interrupt":           interruptStopsInDom0,
		"detach":              detachWaitCancel,
		"truncation":          truncation,
		"background child":    backgroundChild,
		"ping":                ping,
		"history":             history,
		"cancelled unstarted": cancelBeforeTaken,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			story(t, shared.in(t))
		})
	}
	t.Cleanup(h.verified)
}

func exitCodes(t *testing.T, q *qube) {
	for command, want := range map[string]int{"true": 0, "exit 7": 7, "no-such-program": 127, "kill -TERM $$": 128 + 15, "kill -KILL $$": 128 + 9} {
		if r := q.run(command); r.code != want {
			t.Errorf("%s: %+v, want exit %d", command, r, want)
		}
	}
}

func streams(t *testing.T, q *qube) {
	r := q.run("echo to-out; echo to-err >&2; pwd; echo $QVM_REMOTE_QUBE; umask; cat")
	want := "to-out\n" + q.h.root.Home() + "\nwork\n0022\n"
	if r.code != 0 || r.out != want || r.err != "to-err\n" {
		t.Errorf("%+v, want out %q", r, want)
	}
}

func script(t *testing.T, q *qube) {
	r := q.pipe("set -e\nfor i in 1 2 3; do\n  echo line $i\ndone\nexit 3\n")
	if r.code != 3 || r.out != "line 1\nline 2\nline 3\n" {
		t.Errorf("%+v", r)
	}
}

func arguments(t *testing.T, q *qube) {
	if r := q.run("printf", "<%s>", "a b", "$HOME", "it's", ""); r.out != "<a b><$HOME><it's><>" {
		t.Errorf("several arguments: %+v", r)
	}
	if r := q.run("printf '<%s>' a b | tr a-z A-Z"); r.out != "<A><B>" {
		t.Errorf("one argument: %+v", r)
	}
}

func binaryInput(t *testing.T, q *qube) {
	data := make([]byte, 5<<20)
	_, _ = rand.Read(data)
	if r := q.pipe(string(data), "-i", "sha256sum"); r.code != 0 || !strings.HasPrefix(r.out, fmt.Sprintf("%x", sha256.Sum256(data))) {
		t.Errorf("5 MiB arrived as %+v", r)
	}
	if r := q.pipe(string(data), "-i", "cat"); r.out != string(data) {
		t.Errorf("5 MiB came back as %d bytes, code %d, %s", len(r.out), r.code, r.err)
	}
}

func liveOutput(t *testing.T, q *qube) {
	g := q.begin("echo first; touch live-begun; until [ -e live-go ]; do sleep 0.02; done; echo second")
	await(t, "the command to run", func() bool { return exists(q.h.marker("live-begun")) })
	if by != "poll" { // which brings output at the end only
		await(t, "output while the command runs", func() bool { return g.out.String() == "first\n" })
	}
	write(t, q.h.marker("live-go"), "")
	if r := g.end(); r.code != 0 || r.out != "first\nsecond\n" {
		t.Errorf("%+v", r)
	}
}

func timeoutKeepsOutput(t *testing.T, q *qube) {
	r := q.run("-t", "1", "echo so far; sleep 600; touch timeout-mark")
	if r.code != queue.ExitTimeout || r.out != "so far\n" || !strings.Contains(r.err, "timed out after 1s") {
		t.Errorf("%+v", r)
	}
}

func interruptStopsInDom0(t *testing.T, q *qube) {
	g := q.begin("echo $$ >number.new; mv number.new number; exec sleep 600")
	await(t, "the command's number", func() bool { return exists(q.h.marker("number")) })
	number, err := os.ReadFile(q.h.marker("number"))
	must(t, err)
	pid := strings.TrimSpace(string(number))
	g.interrupt()
	if r := g.end(); r.code != queue.ExitCancelled || !strings.Contains(r.err, "cancelled") {
		t.Errorf("%+v", r)
	}
	await(t, "the command to be gone from dom0", func() bool { return !exists("/proc/" + pid) })
}

func detachWaitCancel(t *testing.T, q *qube) {
	r := q.run("-q", "--detach", "echo later; exit 4")
	id := strings.TrimSpace(r.out)
	if r.code != 0 || !queue.ValidID(id) {
		t.Fatalf("%+v", r)
	}
	if r := q.run("wait", id); r.code != 4 || r.out != "later\n" {
		t.Errorf("wait: %+v", r)
	}
	if r := q.run("wait", id); r.code != 4 || r.out != "later\n" {
		t.Errorf("wait again: %+v", r)
	}
	id = strings.TrimSpace(q.run("-q", "--detach", "sleep 600").out)
	await(t, "the command to run", func() bool { return q.h.about(id, audit.Run) == 1 })
	if r := q.run("cancel", id); r.code != 0 {
		t.Errorf("cancel: %+v", r)
	}
	if r := q.run("wait", id); r.code != queue.ExitCancelled {
		t.Errorf("wait for a cancelled one: %+v", r)
	}
}

func truncation(t *testing.T, q *qube) {
	r := q.run("head -c 11000000 /dev/zero | tr '\\0' x; echo fine >&2")
	note := "[truncated at 10485760 bytes]"
	if r.code != 0 || !strings.HasPrefix(r.out, strings.Repeat("x", 1000)) || !strings.Contains(r.out[10485760:], note) || len(r.out) > 10485760+100 {
		t.Errorf("code %d, %d bytes, the end %q", r.code, len(r.out), r.out[max(0, len(r.out)-60):])
	}
	if rest, ok := strings.CutPrefix(r.err, "fine\n"); !ok || !strings.HasPrefix(rest, "qvm-remote: stdout is incomplete") || strings.Count(rest, "\n") != 1 {
		t.Errorf("stderr %q", r.err)
	}
}

func backgroundChild(t *testing.T, q *qube) {
	r := q.run("sleep 600 & echo $!; setsid sleep 600 & echo $!")
	pids := strings.Fields(r.out)
	if r.code != 0 || len(pids) != 2 {
		t.Fatalf("%+v", r)
	}
	for _, pid := range pids {
		await(t, "the background child to be gone", func() bool { return !exists("/proc/" + pid) })
	}
}

func ping(t *testing.T, q *qube) {
	if r := q.run("ping"); r.code != 0 {
		t.Errorf("%+v", r)
	}
}

func history(t *testing.T, q *qube) {
	q.run("echo history-mark; exit 9")
	r := q.run("history", "50")
	line := ""
	for _, l := range strings.Split(r.out, "\n") {
		if strings.Contains(l, "history-mark") {
			line = l
		}
	}
	if !regexp.MustCompile(`\b9\b`).MatchString(line) {
		t.Errorf("history has %q", line)
	}
	var past map[string]any
	if err := json.Unmarshal([]byte(q.run("--json", "history", "50").out), &past); err != nil || len(past) == 0 {
		t.Errorf("history in JSON: %v, %v", past, err)
	}
}

func cancelBeforeTaken(t *testing.T, q *qube) {
	// The cancel comes first: the request it names can never begin.
	s := q.craft("touch cancel-first")
	c := queue.Cancel{ID: s.ID, Qube: q.Name, Issued: s.Issued, Expires: s.Expires, Request: queue.DigestOf(s.header)}
	must(t, queue.Publish(q.layout.Cancel(s.ID), c.Sign(q.key.RequestKey())))
	await(t, "the cancel to be claimed", func() bool { return q.h.about(s.ID, audit.Delivered) == 1 })
	q.again(s)
	q.taken(s.ID)
	q.logged(s.ID, queue.Replayed)
	if exists(q.h.marker("cancel-first")) || q.h.about(s.ID, audit.Run) != 0 {
		t.Error("a request ran that was cancelled before")
	}
}

func TestWithinExpires(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "work")
	q := h.of("work")
	h.configure("QVM_REMOTE_VMS=work", "QVM_REMOTE_CONCURRENT=1", "QVM_REMOTE_PER_QUBE=1")
	h.start()
	busy := q.begin("until [ -e go-on ]; do sleep 0.02; done")
	await(t, "the first to run", func() bool { return strings.Contains(h.log(), " EXEC ") })
	r := q.run("--within", "1", "touch too-late")
	if r.code != queue.ExitDenied || !strings.Contains(r.err, "denied(expired)") || !strings.Contains(r.err, "dom0's clock says") {
		t.Errorf("%+v", r)
	}
	write(t, h.marker("go-on"), "")
	if r := busy.end(); r.code != 0 {
		t.Errorf("the one that ran: %+v", r)
	}
	if exists(h.marker("too-late")) {
		t.Error("an expired request ran")
	}
}

func TestWithoutDom0TheRequestIsWithdrawn(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "work")
	q := h.of("work")
	g := q.begin("touch", "unseen")
	await(t, "the request to be in the queue", func() bool { return published(q.layout.PendingDir()) == 2 })
	g.interrupt()
	if r := g.end(); r.code != queue.ExitCancelled || !strings.Contains(r.err, "not confirmed") {
		t.Errorf("%+v", r)
	}
	d := h.quick()
	q.works()
	if exists(h.marker("unseen")) {
		t.Error("a request ran that was taken back")
	}
	d.stop()
	h.verified()
}

// published counts the files of a queue's folder that are whole.
func published(dir string) int {
	entries, _ := os.ReadDir(dir)
	return len(slices.DeleteFunc(entries, func(e os.DirEntry) bool { return strings.HasPrefix(e.Name(), ".") }))
}

func countFiles(dir string) int {
	entries, _ := os.ReadDir(dir)
	return len(entries)
}

func TestOnceAndDryRun(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "work")
	q := h.of("work")
	first := q.put(q.craft("touch once-mark; echo once\n"))
	if d := h.start("--once"); d.ended() != 0 {
		t.Errorf("--once: %s", d.said)
	}
	if r := q.answered(first.ID); r.code != 0 || r.out != "once\n" || !exists(h.marker("once-mark")) {
		t.Errorf("after --once: %+v", r)
	}
	second := q.put(q.craft("touch dry-mark\n"))
	if d := h.start("--once", "--dry-run"); d.ended() != 0 {
		t.Errorf("--dry-run: %s", d.said)
	}
	if r := q.answered(second.ID); r.code != 0 || !strings.Contains(r.out, "[dry-run] touch dry-mark") {
		t.Errorf("after --dry-run: %+v", r)
	}
	h.start()
	q.again(second)
	q.taken(second.ID)
	q.logged(second.ID, queue.Replayed)
	if exists(h.marker("dry-mark")) {
		t.Error("a dry run ran something")
	}
}

func TestTwoDaemons(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "work")
	h.start()
	h.of("work").works()
	for _, args := range [][]string{nil, {"--once"}} {
		if d := h.start(args...); d.ended() == 0 || !d.said.has("already running") {
			t.Errorf("a second daemon %v: %s", args, d.said)
		}
	}
	h.of("work").works()
}

func TestNoiseAndSlowFirstData(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "loud", "slow")
	h.of("loud").Set(sim.Noise, "Welcome!\nqvm-remote-agent/1\nqvm-remote-agent/\n")
	h.of("slow").Set(sim.Hold, "1500ms")
	h.start()
	h.of("loud").works()
	h.of("slow").works()
}

func TestSettingsAreFollowed(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "work")
	h.quick()
	h.of("work").works()
	late := h.qube("late", sim.Running)
	h.configure("QVM_REMOTE_VMS=work late", "QVM_REMOTE_MAX_TIMEOUT=300")
	late.works()
	if r := late.run("-t", "301", "touch over-limit"); r.code != queue.ExitDenied || !strings.Contains(r.err, "denied(limit)") {
		t.Errorf("over a new limit: %+v", r)
	}
	h.configure("QVM_REMOTE_VMS=late", "QVM_REMOTE_MAX_TIMEOUT=never")
	if r := late.run("-t", "301", "true"); r.code != queue.ExitDenied {
		t.Errorf("bad settings must leave the good ones in force: %+v", r)
	}
	if exists(h.marker("over-limit")) {
		t.Error("ran")
	}
}

func TestOutputIsOneUnderATornPipe(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "work")
	h.start()
	q := h.of("work")
	cmd := q.Command(context.Background(), "sh", "-c", "qvm-remote 'yes | head -c 3000000' | head -c 10; exit ${PIPESTATUS:-0}")
	var out bytes.Buffer
	cmd.Stdout = &out
	must(t, cmd.Run())
	if out.String() != "y\ny\ny\ny\ny\n" {
		t.Errorf("%q", out.String())
	}
	q.works()
	await(t, "an empty spool", func() bool { return countFiles(filepath.Join(h.root.Spool())) == 0 })
}
