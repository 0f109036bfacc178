package qubes

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"qvmremote/daemon/paths"
	"qvmremote/queue"
)

const (
	// Drain is how long a process that was killed, or that ended while a child
	// of its holds its streams, is still read from.
	Drain = 2 * time.Second

	maxOutput = 1 << 20 // bytes of stdout
	maxStderr = 4 << 10 // bytes of stderr that are kept
	maxQuoted = 300     // characters of stderr that an error shows
)

// ErrNoTool says that a tool of Qubes OS is not in PATH.
var ErrNoTool = errors.New("is this dom0? The tools of Qubes OS must be in PATH")

// realFolders are where a real dom0 keeps its tools.
var realFolders = []string{"/usr/bin", "/bin", "/usr/sbin", "/sbin", "/usr/lib/qubes"}

// Tool finds the tool name through PATH. With a root other than "/" it refuses
// a real one, so that a test never touches a real qube; QVM_REMOTE_REAL=1
// allows it.
func Tool(root paths.Root, name string) (string, error) {
	if strings.ContainsRune(name, '/') {
		return "", fmt.Errorf("%q is a path, not the name of a tool", name)
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf("cannot find %s: %w: %w", name, ErrNoTool, err)
	}
	if root.Real() || os.Getenv("QVM_REMOTE_REAL") == "1" {
		return path, nil
	}
	target, err := filepath.EvalSymlinks(path)
	if err != nil {
		return "", fmt.Errorf("cannot find %s: %w", name, err)
	}
	for _, p := range []string{path, target} {
		if slices.Contains(realFolders, filepath.Dir(p)) {
			return "", fmt.Errorf("%s is the real %s, but the root is %s: a test must bring its own (QVM_REMOTE_REAL=1 overrides)", p, name, root)
		}
	}
	return path, nil
}

// Command prepares the program at path in a process group of its own, with
// /dev/null as stdin. When ctx ends the whole group is killed; [Drain] later
// its streams are closed, so that Wait returns whatever a child still holds.
func Command(ctx context.Context, path string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return KillGroup(cmd) }
	cmd.WaitDelay = Drain
	return cmd
}

// KillGroup kills a started [Command] with all of its group. A group that is
// gone is no error.
func KillGroup(cmd *exec.Cmd) error {
	if cmd.Process == nil {
		return nil
	}
	err := syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	if errors.Is(err, syscall.ESRCH) {
		return os.ErrProcessDone
	}
	return err
}

// Output runs the program at path until it ends, for at most limit, and
// returns its stdout, at most 1 MiB. A failure's error wraps [*exec.ExitError]
// where the program itself failed, and quotes the beginning of its stderr.
func Output(ctx context.Context, limit time.Duration, path string, args ...string) ([]byte, error) {
	return Feed(ctx, limit, nil, path, args...)
}

// Feed is [Output] with something for the program's stdin, nil for nothing.
func Feed(ctx context.Context, limit time.Duration, stdin []byte, path string, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	stop, kill := context.WithCancelCause(ctx)
	defer kill(nil)
	cmd := Command(stop, path, args...)
	if stdin != nil {
		cmd.Stdin = bytes.NewReader(stdin)
	}
	stdout := &bounded{max: maxOutput, full: func() {
		kill(fmt.Errorf("more than %d bytes of output", maxOutput))
	}}
	stderr := &bounded{max: maxStderr}
	cmd.Stdout, cmd.Stderr = stdout, stderr
	err := cmd.Run()
	if errors.Is(err, exec.ErrWaitDelay) {
		_ = KillGroup(cmd) // a child holds the streams, so the group is still ours
	}
	if cause := context.Cause(stop); cause != nil {
		err = cause
	}
	if err == nil {
		return stdout.kept.Bytes(), nil
	}
	name := filepath.Base(path)
	if text := bytes.TrimSpace(stderr.kept.Bytes()); len(text) > 0 {
		return nil, fmt.Errorf("%s failed: %w: %s", name, err, queue.Quote(string(text), maxQuoted))
	}
	return nil, fmt.Errorf("%s failed: %w", name, err)
}

// bounded keeps the first max bytes. What comes after is dropped, or is an
// error where full is set. The buffer is no embedded one: io.Copy would find
// its ReadFrom and pass the bound by.
type bounded struct {
	kept bytes.Buffer
	max  int
	full func()
}

func (b *bounded) Write(p []byte) (int, error) {
	if room := b.max - b.kept.Len(); len(p) > room {
		b.kept.Write(p[:room])
		if b.full != nil {
			b.full()
			return room, io.ErrShortWrite
		}
		return len(p), nil
	}
	return b.kept.Write(p)
}
