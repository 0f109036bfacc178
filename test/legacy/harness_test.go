package legacy_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"qvmremote/daemon/settings"
	"qvmremote/queue"
	"qvmremote/test/legacy"
)

// harness is the first implementation's test of its daemon, phases 2 to 12: the
// same mocks (see mock), the same files in the queue, the same questions
// afterwards. Two things differ. Its VM's home was /home/user of the machine;
// here the account is one that has no such home, and the queue is in the HOME
// that qvm-run gives. And dom0's files lie below a folder.
type harness struct {
	*homeOf // of the VM visyble, and its client
	program string
	version string
	root    string
	dom0Env []string
	mocks   string // folder of dom0's tools, where qvm-run's command runs, too
	flag    bool   // authorize --legacy, and not QVM_REMOTE_LEGACY=1
	key     string
}

// nobody is an account without a home on the machine that runs the test.
const nobody = "qvm-remote-harness"

// needsLegacyMode skips a test where the daemon has no legacy mode. The setting
// that turns it on says that it is there, so nothing has to be done here then.
func needsLegacyMode(t *testing.T) {
	t.Helper()
	if !slices.ContainsFunc(settings.Table(), func(s settings.Setting) bool { return s.Name == "QVM_REMOTE_LEGACY" }) {
		t.Skip("this daemon has no legacy mode")
	}
	if exists("/home/" + nobody) {
		t.Fatalf("/home/%s exists", nobody)
	}
}

func TestDaemonAsTheFirstOneWasTested(t *testing.T) {
	t.Parallel()
	needsLegacyMode(t)
	for name, v := range map[string]struct{ flag, agent bool }{
		"every qube, nothing installed in it": {false, false},
		"this qube, nothing installed in it":  {true, false},
		"every qube, our client installed":    {false, true},
		"this qube, our client installed":     {true, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHarness(t, ours.client, v.agent)
			h.program, h.version, h.flag = ours.dom0, queue.Version, v.flag
			h.dom0Env = append(h.dom0Env, "QVM_REMOTE_VM_USER="+nobody)
			if !h.flag {
				h.dom0Env = append(h.dom0Env, "QVM_REMOTE_LEGACY=1")
			}
			h.phases()
		})
	}
}

// TestTheFirstOnePassesItsTest: the harness asks nothing that the stand-in, as
// the original, does not do.
func TestTheFirstOnePassesItsTest(t *testing.T) {
	t.Parallel()
	h := newHarness(t, old.Client, false)
	h.program, h.version = old.Dom0, "1.1.0"
	h.dom0Env = append(h.dom0Env, legacy.KnobRoot+"="+h.root, legacy.KnobHome+"="+h.dir)
	h.phases()
}

func (h *harness) phases() {
	h.commandLine()
	h.keys()
	h.single()
	h.batch()
	h.complex()
	h.badToken()
	h.noToken()
	h.dryRun()
	h.revoked()
	h.logs()
	h.migration()
}

// newHarness makes the machine; with agent, a client of the VM's is in PATH
// where qvm-run's command runs.
func newHarness(t *testing.T, client string, agent bool) *harness {
	t.Helper()
	h := &harness{homeOf: newHome(t, client), root: t.TempDir()}
	for _, dir := range []string{"var/log/qubes", "etc/qubes", "root", "run"} {
		must(t, os.MkdirAll(filepath.Join(h.root, dir), 0o755))
	}
	h.mocks = mock(t)
	if agent {
		must(t, os.Symlink(client, filepath.Join(h.mocks, "qvm-remote")))
	}
	h.dom0Env = append(os.Environ(), "PATH="+h.mocks+":"+os.Getenv("PATH"), "HOME="+h.dir)
	return h
}

func (h *harness) dom0Command(args ...string) *exec.Cmd {
	if h.program == ours.dom0 {
		args = append([]string{"--root", h.root}, args...)
	}
	cmd := exec.CommandContext(limited(h.t), h.program, args...)
	cmd.Env = h.dom0Env
	return cmd
}

func (h *harness) dom0(args ...string) ended {
	h.t.Helper()
	return begin(h.t, h.dom0Command(args...), "").end()
}

// once is how that harness had everything run.
func (h *harness) once(args ...string) {
	h.t.Helper()
	e := h.dom0(append([]string{"--vm", "visyble", "--once"}, args...)...)
	h.t.Logf("--once: %d\n%s", e.code, e.err)
}

func (h *harness) authorize(vm, key string) {
	h.t.Helper()
	args := []string{"authorize", vm, key}
	if h.flag {
		args = []string{"authorize", "--legacy", vm, key}
	}
	h.dom0(args...).wants(h.t, 0)
}

// submit writes as the harness did: the body, then the token with a newline.
func (h *harness) submit(id, body, auth string) {
	h.t.Helper()
	for _, dir := range []string{"pending", "running", "results"} {
		must(h.t, os.MkdirAll(h.at("queue", dir), 0o755))
	}
	must(h.t, os.WriteFile(h.queue("pending", id), []byte(body), 0o644))
	if auth != "" {
		must(h.t, os.WriteFile(h.queue("pending", id+".auth"), []byte(auth+"\n"), 0o644))
	}
}

// good submits with the token of the id.
func (h *harness) good(id, body string) {
	h.t.Helper()
	h.submit(id, body, token(h.t, h.key, id))
}

func (h *harness) result(id, ending, want string) {
	h.t.Helper()
	b, err := os.ReadFile(h.queue("results", id+ending))
	if err != nil || !strings.Contains(string(b), want) {
		h.t.Errorf("results/%s%s is %q, %v; want %q", id, ending, b, err, want)
	}
}

func (h *harness) exit(id, want string) {
	h.t.Helper()
	if got := read(h.t, h.queue("results", id+".exit")); got != want {
		h.t.Errorf("results/%s.exit is %q, want %q", id, got, want)
	}
}

func (h *harness) none(folder string, names ...string) {
	h.t.Helper()
	for _, name := range names {
		if exists(h.queue(folder, name)) {
			h.t.Errorf("%s/%s is there", folder, name)
		}
	}
}

// commandLine is phase 2.
func (h *harness) commandLine() {
	h.run("", "--help").wants(h.t, 0, "Execute commands")
	h.run("", "--version").wants(h.t, 0, "qvm-remote "+h.version)
	h.dom0("--help").wants(h.t, 0, "Dom0 executor")
	h.dom0("--version").wants(h.t, 0, "qvm-remote-dom0 "+h.version)
	h.run("", "--bogus").wants(h.t, 1)
	h.dom0("--bogus").wants(h.t, 1)
}

// keys is phase 3.
func (h *harness) keys() {
	h.run("", "key", "gen").wants(h.t, 0)
	h.key = strings.TrimSpace(h.run("", "key", "show").wants(h.t, 0).out)
	if len(h.key) != 64 {
		h.t.Errorf("the key is %q", h.key)
	}
	mode(h.t, h.at("auth.key"), 0o600)
	h.authorize("visyble", h.key)
	file := filepath.Join(h.root, "etc/qubes/remote.d/visyble.key")
	if got := read(h.t, file); got != h.key {
		h.t.Errorf("dom0 stores %q", got)
	}
	mode(h.t, file, 0o600)
	mode(h.t, filepath.Dir(file), 0o700)
	h.dom0("keys").wants(h.t, 0, "visyble")
}

// single is phase 4.
func (h *harness) single() {
	const id = "e2e-single-001"
	h.good(id, "echo hello-from-dom0\n")
	h.once()
	h.result(id, ".out", "hello-from-dom0")
	h.result(id, ".err", "")
	h.exit(id, "0")
	h.none("pending", id, id+".auth")
	for _, line := range []string{"id=" + id, "duration_ms=", "exit_code=0"} {
		h.result(id, ".meta", line)
	}
}

// batch is phase 5.
func (h *harness) batch() {
	for i := 1; i <= 3; i++ {
		h.good(fmt.Sprintf("e2e-multi-%d", i), fmt.Sprintf("echo result-%d\n", i))
	}
	h.once()
	for i := 1; i <= 3; i++ {
		h.result(fmt.Sprintf("e2e-multi-%d", i), ".out", fmt.Sprintf("result-%d", i))
		h.exit(fmt.Sprintf("e2e-multi-%d", i), "0")
	}
}

// complex is phase 6.
func (h *harness) complex() {
	h.good("e2e-complex-001", "#!/bin/bash\nx=0\nfor i in $(seq 1 10); do\n  x=$((x + 10))\ndone\necho \"$x\"\necho 'multi-line works' >&2\n")
	h.good("e2e-exit-001", "exit 42\n")
	h.once()
	h.result("e2e-complex-001", ".out", "100")
	h.result("e2e-complex-001", ".err", "multi-line works")
	h.exit("e2e-complex-001", "0")
	h.exit("e2e-exit-001", "42")
}

// badToken is phase 7.
func (h *harness) badToken() {
	const id = "e2e-badtoken-001"
	h.submit(id, "echo must-not-run\n", strings.Repeat("0", 64))
	h.once()
	h.none("results", id+".out", id+".exit")
	h.none("pending", id, id+".auth")
}

// noToken is phase 8. Its command is left alone (the token may be about to
// come), so this test takes it away, as the next phases know nothing of it.
func (h *harness) noToken() {
	const id = "e2e-notoken-001"
	h.submit(id, "echo must-not-run\n", "")
	h.once()
	h.none("results", id+".out", id+".exit")
	_ = os.Remove(h.queue("pending", id))
}

// dryRun is phase 9.
func (h *harness) dryRun() {
	const id = "e2e-dryrun-001"
	h.good(id, "echo must-not-run\n")
	h.once("--dry-run")
	h.result(id, ".out", "[dry-run]")
	h.exit(id, "0")
}

// revoked is phase 10.
func (h *harness) revoked() {
	dir := filepath.Join(h.root, "etc/qubes/remote.d")
	h.authorize("dummyvm", strings.Repeat("c", 64))
	h.dom0("revoke", "visyble").wants(h.t, 0)
	if exists(filepath.Join(dir, "visyble.key")) || !exists(filepath.Join(dir, "dummyvm.key")) {
		h.t.Error("not exactly the one key was revoked")
	}
	h.good("e2e-revoked-001", "echo must-not-run\n")
	h.once()
	h.none("results", "e2e-revoked-001.out")
	h.authorize("visyble", h.key)
	h.good("e2e-reauth-001", "echo reauth-works\n")
	h.once()
	h.result("e2e-reauth-001", ".out", "reauth-works")
}

// logs is phase 11.
func (h *harness) logs() {
	text := read(h.t, filepath.Join(h.root, "var/log/qubes/qvm-remote.log"))
	for _, word := range []string{"EXEC", "AUTH-OK", "AUTH-FAIL", "AUTH-DENY", "DONE", "cmd=", "duration="} {
		if !strings.Contains(text, word) {
			h.t.Errorf("dom0's log has no %s:\n%s", word, text)
		}
	}
	if !strings.Contains(read(h.t, h.at("audit.log")), "id=") {
		h.t.Error("the VM's log names no id")
	}
}

// migration is phase 12.
func (h *harness) migration() {
	fresh := newHome(h.t, h.homeOf.program)
	must(h.t, os.Mkdir(filepath.Join(fresh.dir, ".qubes-remote"), 0o700))
	must(h.t, os.WriteFile(filepath.Join(fresh.dir, ".qubes-remote", "auth.key"), []byte(h.key), 0o600))
	if e := fresh.run("", "key", "show").wants(h.t, 0); strings.TrimSpace(e.out) != h.key {
		h.t.Errorf("key show prints %q", e.out)
	}
	if !exists(fresh.at()) || exists(filepath.Join(fresh.dir, ".qubes-remote")) {
		h.t.Error("the folder was not renamed")
	}
}
