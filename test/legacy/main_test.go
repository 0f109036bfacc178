package legacy_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"qvmremote/test/executable"
	"qvmremote/test/legacy"
	"qvmremote/test/sim"
	"qvmremote/test/sim/proctree"
)

// The programs: the stand-ins, and ours.
var (
	old  legacy.Programs
	ours struct{ client, dom0 string }
)

// patience bounds every wait.
const patience = time.Minute

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "qvm-remote-legacy-")
	if err == nil {
		old, err = legacy.Build(dir)
	}
	if err == nil {
		ours.client, ours.dom0 = filepath.Join(dir, "qvm-remote"), filepath.Join(dir, "qvm-remote-dom0")
		cmd := exec.Command("go", "build", "-o", dir, "qvmremote/cmd/qvm-remote", "qvmremote/cmd/qvm-remote-dom0")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
		var out []byte
		if out, err = cmd.CombinedOutput(); err != nil {
			err = fmt.Errorf("cannot build the programs: %w\n%s", err, out)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "tests of version 1:", err)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	must(t, err)
	return string(b)
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !done(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("still waiting: %s", what)
		}
	}
}

// ended is how a program ended.
type ended struct {
	out, err string
	code     int
}

// started is a program under way.
type started struct {
	t        *testing.T
	cmd      *exec.Cmd
	out, err bytes.Buffer
}

func begin(t *testing.T, cmd *exec.Cmd, stdin string) *started {
	t.Helper()
	s := &started{t: t, cmd: cmd}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &s.out, &s.err
	cmd.WaitDelay = 5 * time.Second
	must(t, cmd.Start())
	return s
}

func (s *started) end() ended {
	s.t.Helper()
	err := s.cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		s.t.Fatalf("%q: %v", s.cmd.Args, err)
	}
	return ended{s.out.String(), s.err.String(), s.cmd.ProcessState.ExitCode()}
}

func (e ended) wants(t *testing.T, code int, texts ...string) ended {
	t.Helper()
	if e.code != code {
		t.Errorf("exit %d, want %d: %q, %q", e.code, code, e.out, e.err)
	}
	for _, text := range texts {
		if !strings.Contains(e.out+e.err, text) {
			t.Errorf("%q is not in %q, %q", text, e.out, e.err)
		}
	}
	return e
}

func limited(t *testing.T) context.Context {
	t.Helper()
	ctx, stop := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(stop)
	return ctx
}

// homeOf is a home without a qube around it, in which a client is run.
type homeOf struct {
	t       *testing.T
	dir     string
	program string
	env     []string
}

func newHome(t *testing.T, program string, env ...string) *homeOf {
	return &homeOf{t, t.TempDir(), program, env}
}

func (h *homeOf) command(args ...string) *exec.Cmd {
	cmd := exec.CommandContext(limited(h.t), h.program, args...)
	cmd.Env = append(os.Environ(), append([]string{"HOME=" + h.dir, "QVM_REMOTE_LEGACY=0"}, h.env...)...)
	return cmd
}

func (h *homeOf) run(stdin string, args ...string) ended {
	h.t.Helper()
	return begin(h.t, h.command(args...), stdin).end()
}

func (h *homeOf) at(p ...string) string {
	return filepath.Join(append([]string{h.dir, ".qvm-remote"}, p...)...)
}

func (h *homeOf) queue(folder, name string) string { return h.at("queue", folder, name) }

// gate is a folder where programs stop at points.
type gate struct {
	t           *testing.T
	dir, inside string // as the test sees it, and as the program does
}

func (g gate) env(points ...string) []string {
	return []string{legacy.KnobGate + "=" + g.inside, legacy.KnobStop + "=" + strings.Join(points, ",")}
}

func (g gate) reached(point string) {
	g.t.Helper()
	await(g.t, "it stops at "+point, func() bool { return exists(filepath.Join(g.dir, point+".reached")) })
}

func (g gate) open(point string) {
	g.t.Helper()
	must(g.t, os.WriteFile(filepath.Join(g.dir, point+".go"), nil, 0o644))
}

// machine is a qube called work and an old daemon: a simulated one, or mocks
// where nothing but the programs themselves is looked at.
type machine struct {
	*sim.World // nil with mocks
	t          *testing.T
	q          *sim.Qube
	home       string // of the qube, as the test sees it
	root       string // of dom0
	mocks      string // folder of the mocks
	program    string // the client, with mocks
	key        string
	gate       gate // of the daemon
}

// newMachine has program as the client in the qube, with a key that dom0 knows.
func newMachine(t *testing.T, program string) *machine {
	t.Helper()
	w := sim.New(t)
	m := &machine{World: w, t: t, q: w.Qube("work", sim.Halted), root: w.Dom0()}
	m.home = m.q.Home()
	m.q.Install(program, "qvm-remote")
	m.q.SetState(sim.Running)
	m.introduce()
	return m
}

func (m *machine) introduce() {
	m.t.Helper()
	dir := m.t.TempDir()
	m.gate = gate{m.t, dir, dir}
	m.key = strings.TrimSpace(m.client("key", "gen").wants(m.t, 0).out)
	m.dom0("authorize", "work", m.key).wants(m.t, 0, "Authorized VM 'work'")
}

// newMocked is a machine whose qvm-run runs its command right here.
func newMocked(t *testing.T, program string) *machine {
	t.Helper()
	dir := t.TempDir()
	m := &machine{t: t, home: filepath.Join(dir, "home"), root: filepath.Join(dir, "dom0"), mocks: mock(t), program: program}
	must(t, os.Mkdir(m.home, 0o700))
	m.introduce()
	return m
}

// mock makes a folder with the tools of the first implementation's own test
// harness: qvm-run drops every word that begins with -, takes the first other
// one for the VM and the last one for the command, and runs that by bash here;
// qvm-check says yes.
func mock(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"qvm-run": `#!/bin/bash
words=()
for word; do [[ $word == -* ]] || words+=("$word"); done
((${#words[@]} > 1)) || exit 1
exec bash -c "${words[-1]}"
`,
		"qvm-check": "#!/bin/sh\nexit 0\n",
		"hostname":  "#!/bin/sh\necho dom0\n",
		"systemctl": "#!/bin/sh\nexit 0\n",
	} {
		must(t, executable.Write(filepath.Join(dir, name), []byte(text)))
	}
	return dir
}

func (m *machine) client(args ...string) ended {
	m.t.Helper()
	return begin(m.t, m.clientCommand(nil, args...), "").end()
}

func (m *machine) clientCommand(env []string, args ...string) *exec.Cmd {
	if m.World == nil {
		cmd := exec.CommandContext(limited(m.t), m.program, args...)
		cmd.Env = append(append(os.Environ(), "HOME="+m.home), env...)
		return cmd
	}
	cmd := m.q.Command(limited(m.t), append([]string{"qvm-remote"}, args...)...)
	cmd.Env = append(cmd.Env, env...)
	return cmd
}

func (m *machine) dom0Command(env []string, args ...string) *exec.Cmd {
	var cmd *exec.Cmd
	if m.World == nil {
		cmd = exec.CommandContext(limited(m.t), old.Dom0, args...)
		cmd.Env = append(os.Environ(), "PATH="+m.mocks+":"+os.Getenv("PATH"))
	} else {
		cmd = m.Dom0Command(limited(m.t), old.Dom0, args...)
	}
	cmd.Env = append(cmd.Env, legacy.KnobRoot+"="+m.root, legacy.KnobPoll+"=20ms")
	if m.World == nil || m.q.Isolation() == "plain" { // no /home/user of its own
		cmd.Env = append(cmd.Env, legacy.KnobHome+"="+m.home)
	}
	cmd.Env = append(cmd.Env, env...)
	return cmd
}

func (m *machine) dom0(args ...string) ended {
	m.t.Helper()
	return begin(m.t, m.dom0Command(nil, args...), "").end()
}

// serve has the old daemon look at the qube until the test ends.
func (m *machine) serve(env ...string) {
	m.t.Helper()
	s := begin(m.t, m.dom0Command(env, "--vm", "work"), "")
	m.t.Cleanup(func() {
		_ = s.cmd.Process.Signal(os.Interrupt)
		s.end()
		if m.World == nil { // which sees to that
			await(m.t, "what it ran in the qube to end", func() bool { return len(proctree.Mentioning(filepath.Dir(m.home))) == 0 })
		}
		if m.t.Failed() {
			m.t.Logf("dom0's log:\n%s", m.log())
		}
	})
}

func (m *machine) at(p ...string) string {
	return filepath.Join(append([]string{m.home, ".qvm-remote"}, p...)...)
}

func (m *machine) queue(folder, name string) string { return m.at("queue", folder, name) }

func (m *machine) log() string {
	b, _ := os.ReadFile(filepath.Join(m.root, "var/log/qubes/qvm-remote.log"))
	return string(b)
}
