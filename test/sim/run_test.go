package sim_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"qvmremote/test/sim"
)

// patience is the deadline of everything that should happen at once.
const patience = time.Minute

type result struct {
	out, err string
	code     int
}

// tool runs a program of dom0 to its end.
func tool(t *testing.T, w *sim.World, stdin, name string, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	return finish(t, w.Dom0Command(ctx, name, args...), stdin)
}

// inside runs a program in a qube, as its user would.
func inside(t *testing.T, q *sim.Qube, argv ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	return finish(t, q.Command(ctx, argv...), "")
}

func finish(t *testing.T, cmd *exec.Cmd, stdin string) result {
	t.Helper()
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &errs
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("%q: %v (stderr %q)", cmd.Args, err, errs.String())
	}
	if cmd.ProcessState.ExitCode() < 0 {
		t.Fatalf("%q: ended with %v (stdout %q, stderr %q)", cmd.Args, err, head(out.String()), head(errs.String()))
	}
	return result{out.String(), errs.String(), cmd.ProcessState.ExitCode()}
}

func head(s string) string { return s[:min(len(s), 300)] }

// running is a program under way with its streams in hand.
type running struct {
	*exec.Cmd
	in, out, err *os.File
	ended        chan struct{} // closed when it was waited for
}

func start(t *testing.T, cmd *exec.Cmd) *running {
	t.Helper()
	// not the pipes of exec: those end with the program, not with its heirs
	out, outWrite, e1 := os.Pipe()
	errs, errWrite, e2 := os.Pipe()
	inRead, in, e3 := os.Pipe()
	cmd.Stdin, cmd.Stdout, cmd.Stderr = inRead, outWrite, errWrite
	if err := errors.Join(e1, e2, e3, cmd.Start()); err != nil {
		t.Fatal(err)
	}
	inRead.Close()
	outWrite.Close()
	errWrite.Close()
	r := &running{cmd, in, out, errs, make(chan struct{})}
	go func() {
		cmd.Wait()
		close(r.ended)
	}()
	t.Cleanup(func() {
		cmd.Process.Kill()
		<-r.ended
		in.Close()
		out.Close()
		errs.Close()
	})
	return r
}

// stream starts qvm-run --pass-io.
func stream(t *testing.T, w *sim.World, args ...string) *running {
	t.Helper()
	return start(t, w.Dom0Command(t.Context(), "qvm-run", append([]string{"--pass-io", "--no-gui", "--no-autostart"}, args...)...))
}

// line reads one line or fails at the deadline.
func line(t *testing.T, r io.Reader) string {
	t.Helper()
	got := make(chan string, 1)
	go func() {
		var b []byte
		one := make([]byte, 1)
		for {
			if _, err := r.Read(one); err != nil {
				got <- string(b) + " <" + err.Error() + ">"
				return
			}
			if one[0] == '\n' {
				got <- string(b)
				return
			}
			b = append(b, one[0])
		}
	}()
	select {
	case s := <-got:
		return s
	case <-time.After(patience):
		t.Fatal("no line came")
		return ""
	}
}

// code waits for the end of a program and returns its exit code, -1 when a
// signal ended it.
func code(t *testing.T, r *running) int {
	t.Helper()
	select {
	case <-r.ended:
		return r.ProcessState.ExitCode()
	case <-time.After(patience):
		t.Fatalf("%q does not end", r.Args)
		return 0
	}
}

// eventually polls until the condition holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not in time: %s", what)
		}
	}
}

func expect[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %#v, want %#v", what, got, want)
	}
}
