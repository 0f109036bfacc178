package repository

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"qvmremote/queue"
)

// Waits are the deadlines of git. Tests shorten them.
type Waits struct {
	Local   time.Duration // what needs no other machine
	Look    time.Duration // which commit a branch has
	Receive time.Duration
	Send    time.Duration
}

// DefaultWaits are long enough for a slow network.
func DefaultWaits() Waits {
	return Waits{Local: 5 * time.Minute, Look: time.Minute, Receive: 10 * time.Minute, Send: 10 * time.Minute}
}

// ErrNoGit says that there is no git in this qube.
var ErrNoGit = errors.New("git is not installed in this qube; install it in its template")

// Bounds of what git may say and write.
const (
	maxWords = 16 << 10 // on stderr
	maxFile  = 2 << 20  // blocks of 512 bytes in one file
)

// git runs git in one bare repository.
type git struct {
	dir   string
	waits Waits
}

// config is given to each run, and stands above every file of configuration.
var config = []string{
	"core.hooksPath=/dev/null", "core.fsmonitor=false", "core.alternateRefsCommand=true", "core.attributesFile=/dev/null",
	"protocol.allow=never", "protocol.https.allow=always", "protocol.ssh.allow=always", "protocol.file.allow=always",
	"transfer.fsckObjects=true", "transfer.bundleURI=false", "submodule.recurse=false", "fetch.recurseSubmodules=false", "push.recurseSubmodules=no",
	"gc.auto=0", "maintenance.auto=false", "push.gpgSign=false", "push.followTags=false", "core.pager=cat",
	"user.name=qvm-remote", "user.email=qvm-remote@localhost", "advice.detachedHead=false",
}

// otherEnd runs the other side of a connection to a repository on this machine,
// which reads that repository's own configuration and hooks.
func otherEnd(program string) string {
	return "env GIT_ALLOW_PROTOCOL=none GIT_NO_LAZY_FETCH=1 git -c core.hooksPath=/dev/null -c core.fsmonitor=false" +
		" -c core.alternateRefsCommand=true -c protocol.allow=never -c receive.denyCurrentBranch=refuse -c receive.autogc=false" +
		" -c gc.auto=0 -c maintenance.auto=false " + program
}

// environment is this program's, without what steers git.
func environment(dir string) []string {
	env := []string{"GIT_DIR=" + dir, "GIT_TERMINAL_PROMPT=0", "GIT_ALLOW_PROTOCOL=https:ssh:file", "GIT_NO_LAZY_FETCH=1",
		"GIT_NO_REPLACE_OBJECTS=1", "GIT_ATTR_NOSYSTEM=1", "LC_ALL=C", "LANGUAGE=C"}
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "GIT_") && !strings.HasPrefix(v, "LC_ALL=") && !strings.HasPrefix(v, "LANGUAGE=") {
			env = append(env, v)
		}
	}
	return env
}

// call is one run of git.
type call struct {
	args []string
	wait time.Duration
	in   func(io.Writer) error // writes its input; nil = none
	max  int64                 // bytes of its output
	out  func(io.Reader) error // reads its output in place of run; optional
}

// failure is how git ended.
type failure struct {
	what, words string
	code        int
}

func (f *failure) Error() string {
	text := "git " + f.what + " failed"
	if f.words != "" {
		text += "; it says: " + f.words
	}
	return text
}

var errTooMuch = errors.New("git says more than a history can hold")

// run runs git and returns its output, which also comes with a [failure].
func (g *git) run(ctx context.Context, c call) ([]byte, error) {
	path, err := exec.LookPath("git")
	if err != nil {
		return nil, ErrNoGit
	}
	ctx, stop := context.WithTimeoutCause(ctx, c.wait, fmt.Errorf("git %s took more than %v and was stopped", c.args[0], c.wait))
	defer stop()
	// ulimit bounds each file that git writes; the rest is passed on as it is.
	words := []string{"-c", fmt.Sprintf(`ulimit -f %d 2>/dev/null; exec "$@"`, maxFile), "sh", path}
	for _, v := range config {
		words = append(words, "-c", v)
	}
	cmd := exec.CommandContext(ctx, "/bin/sh", append(words, c.args...)...)
	cmd.Env = environment(g.dir)
	cmd.Dir = g.dir
	// A session of its own: no terminal to ask on, and one group to end.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 2 * time.Second
	said := &bounded{max: maxWords}
	cmd.Stderr = said
	out, err := g.converse(ctx, cmd, c)
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return out, &failure{c.args[0], said.words(), exit.ExitCode()}
	}
	return out, err
}

// converse gives the command its input while it reads the output.
func (g *git) converse(ctx context.Context, cmd *exec.Cmd, c call) ([]byte, error) {
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	var stdin io.WriteCloser
	if c.in != nil {
		if stdin, err = cmd.StdinPipe(); err != nil {
			return nil, err
		}
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	fed := make(chan error, 1)
	go func() {
		var err error
		if stdin != nil {
			err = c.in(stdin)
			_ = stdin.Close()
		}
		fed <- err
	}()
	var out []byte
	var rerr error
	if c.out != nil {
		rerr = c.out(io.LimitReader(stdout, c.max))
	} else {
		out, rerr = io.ReadAll(io.LimitReader(stdout, c.max+1))
		if int64(len(out)) > c.max {
			rerr = errTooMuch
		}
	}
	if rerr != nil {
		_ = cmd.Cancel()
	}
	ferr := <-fed
	err = cmd.Wait()
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case rerr != nil:
		return nil, rerr
	case ferr != nil && !errors.Is(ferr, syscall.EPIPE): // what git says to half an input explains nothing
		return nil, ferr
	}
	return out, err
}

// bounded keeps the end of what git says.
type bounded struct {
	b   bytes.Buffer
	max int
}

func (b *bounded) Write(p []byte) (int, error) {
	b.b.Write(p)
	if over := b.b.Len() - b.max; over > 0 {
		b.b.Next(over)
	}
	return len(p), nil
}

// words is the last lines, fit to be shown on one.
func (b *bounded) words() string {
	lines := strings.FieldsFunc(b.b.String(), func(c rune) bool { return c == '\n' || c == '\r' })
	for i := range lines {
		lines[i] = queue.Escape(strings.TrimSpace(lines[i]), 300)
	}
	return strings.Join(lines[max(len(lines)-6, 0):], " / ")
}
