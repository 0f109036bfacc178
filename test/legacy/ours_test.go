package legacy_test

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"qvmremote/queue"
)

func token(t *testing.T, key, id string) string {
	t.Helper()
	k, err := queue.ParseKey([]byte(key))
	must(t, err)
	return queue.LegacyToken(k, id)
}

func chownLike(path string, info os.FileInfo) error {
	s, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	return os.Lchown(path, int(s.Uid), int(s.Gid))
}

var legacyOn = []string{"QVM_REMOTE_LEGACY=1"}

// ours runs our client in the qube, as version 1.
func (m *machine) ours(args ...string) ended {
	m.t.Helper()
	return begin(m.t, m.clientCommand(legacyOn, args...), "").end()
}

func TestOurClientWithTheOldDaemon(t *testing.T) {
	t.Parallel()
	m := newMocked(t, ours.client)
	m.serve()
	e := m.ours("echo out; echo err >&2; exit 7").wants(t, 7)
	if e.out != "out\n" || !strings.Contains(e.err, "err\n") || !strings.Contains(e.err, "legacy, insecure") {
		t.Errorf("it shows %q, %q", e.out, e.err)
	}
	if e := m.ours("-q", "printf %s 'a  b'").wants(t, 0); e.out != "a  b" || e.err != "" {
		t.Errorf("with -q it shows %q, %q", e.out, e.err)
	}
	m.ours("ping").wants(t, 0, "qvm-remote-dom0 is responding.", "legacy, insecure")
	m.ours("status").wants(t, 0, "1: legacy, insecure", "Daemon:       responding")
	m.ours("doctor").wants(t, 0, "legacy, insecure", "dom0 answers and knows the key")
	m.ours("history").wants(t, 0, "exit 7")
	m.ours("-q", "exit 130").wants(t, 130, "dom0 stopped in the middle")
	m.ours("--detach", "ls").wants(t, 1, "cannot do this")
	m.ours("-i", "cat").wants(t, 1, "cannot do this")
	m.ours("kill -9 $$").wants(t, 137)
	// Each left its line and nothing else, once dom0 has removed what it marked.
	await(t, "dom0 is done with all", func() bool {
		return strings.Count(m.log(), "] DONE") == strings.Count(m.log(), "] EXEC")
	})
	if names, _ := filepath.Glob(m.queue("*", "*")); len(names) > 0 {
		t.Errorf("left in the queue: %v", names)
	}
	if strings.Contains(m.log(), "AUTH-FAIL") || strings.Contains(m.log(), "REJECT") {
		t.Errorf("dom0's log:\n%s", m.log())
	}
}

// TestOurClientIsNeverSeenHalf: an old daemon that looks all the time deletes
// what it finds half written, so none of many may be.
func TestOurClientIsNeverSeenHalf(t *testing.T) {
	t.Parallel()
	m := newMocked(t, ours.client)
	m.serve("QVM_REMOTE_OLD_POLL=1ms")
	var all sync.WaitGroup
	for range 4 {
		all.Add(1)
		go func() {
			defer all.Done()
			for range 3 {
				cmd := m.clientCommand(legacyOn, "-q", "echo done")
				if out, err := cmd.Output(); err != nil || string(out) != "done\n" {
					t.Errorf("it ends with %v, %q", err, out)
				}
			}
		}()
	}
	all.Wait()
	if strings.Contains(m.log(), "AUTH-FAIL") || strings.Contains(m.log(), "REJECT") {
		t.Errorf("dom0's log:\n%s", m.log())
	}
}

// TestOurClientWaitsForTheNumber: where the old client takes an empty .exit for 1.
func TestOurClientWaitsForTheNumber(t *testing.T) {
	t.Parallel()
	m := newMocked(t, ours.client)
	m.serve(m.gate.env("exit-open", "exit")...)
	run := begin(t, m.clientCommand(legacyOn, "-q", "exit 5"), "")
	m.gate.reached("exit-open")
	await(t, "an empty .exit", func() bool { names, _ := filepath.Glob(m.queue("results", "*.exit")); return len(names) == 1 })
	m.gate.open("exit-open")
	m.gate.reached("exit")
	m.gate.open("exit")
	run.end().wants(t, 5)
	if names, _ := filepath.Glob(m.queue("results", "*")); len(names) > 0 {
		t.Errorf("left behind: %v", names)
	}
}

// TestOurClientSaysWhatTheOldDaemonDoesNot: refusals are silence there.
func TestOurClientSaysWhatTheOldDaemonDoesNot(t *testing.T) {
	t.Parallel()
	m := newMocked(t, ours.client)
	m.dom0("authorize", "work", strings.Repeat("0", 64)).wants(t, 0)
	m.serve()
	m.ours("true").wants(t, 126, "dom0 refused it")
	if names, _ := filepath.Glob(m.queue("pending", "*")); len(names) > 0 {
		t.Errorf("left behind: %v", names)
	}
	m.ours("doctor").wants(t, 1, "dom0 refused it", "compare the keys")
}

// TestOurClientGivesUp: Ctrl-C and -t promise nothing.
func TestOurClientGivesUp(t *testing.T) {
	t.Parallel()
	m := newMocked(t, ours.client)
	m.ours("-t", "1", "true").wants(t, 124, "may still run in dom0") // nobody looks
	m.serve(m.gate.env("ran")...)
	run := begin(t, m.clientCommand(legacyOn, "-v", "echo late"), "")
	m.gate.reached("ran")
	must(t, run.cmd.Process.Signal(os.Interrupt))
	e := run.end().wants(t, 130, "it has no cancel", "the command runs on")
	m.gate.open("ran")
	_, rest, _ := strings.Cut(e.err, "submitted id=")
	id := strings.Fields(rest)[0]
	if e := m.ours("wait", id).wants(t, 0); e.out != "late\n" {
		t.Errorf("later it shows %q", e.out)
	}
	m.ours("cancel", id).wants(t, 1, "it has no cancel")
}
