package sim_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"qvmremote/test/sim"
)

// each runs a test with both implementations of qvm-run: one on a qube as well
// isolated as the machine allows, one on a plain one.
func each(t *testing.T, f func(t *testing.T, w *sim.World, q *sim.Qube)) {
	t.Parallel()
	for implementation, isolation := range map[string]string{"inherit": "auto", "copy": "plain"} {
		t.Run(implementation, func(t *testing.T) {
			t.Parallel()
			w := sim.New(t)
			w.SetKnob(sim.Implement, implementation)
			w.SetKnob(sim.Isolation, isolation)
			f(t, w, w.Qube("work", sim.Running))
		})
	}
}

// Stdout raw; stderr passed separately; no total size limit.
func TestStreamsAreRawAndApart(t *testing.T) {
	each(t, func(t *testing.T, w *sim.World, q *sim.Qube) {
		data := make([]byte, 3<<20)
		rand.New(rand.NewSource(1)).Read(data)
		r := tool(t, w, string(data), "qvm-run", "-p", "work", "tee ~/copy; echo problem >&2; exit 5")
		if sha256.Sum256([]byte(r.out)) != sha256.Sum256(data) {
			t.Errorf("stdout is not what went in: %d bytes of %d", len(r.out), len(data))
		}
		expect(t, "stderr", r.err, "problem\n")
		expect(t, "exit code", r.code, 5)
		kept, err := os.ReadFile(filepath.Join(q.Home(), "copy"))
		if err != nil || !bytes.Equal(kept, data) {
			t.Errorf("the qube saw %d bytes of %d, %v", len(kept), len(data), err)
		}
	})
}

// "stdin EOF is propagated", long after the start and while output goes on.
func TestStdinEndReachesProcess(t *testing.T) {
	each(t, func(t *testing.T, w *sim.World, q *sim.Qube) {
		r := stream(t, w, "work", "while read a; do echo got $a; done; echo end")
		for _, s := range []string{"one", "two"} {
			fmt.Fprintln(r.in, s)
			expect(t, "answer", line(t, r.out), "got "+s)
		}
		r.in.Close()
		expect(t, "after EOF", line(t, r.out), "end")
		expect(t, "exit code", code(t, r), 0)
	})
}

// "EOF on VM stdout likewise", before the process ends.
func TestStdoutEndReachesCaller(t *testing.T) {
	t.Parallel()
	w := sim.New(t)
	w.Qube("work", sim.Running)
	// the client itself: qvm-run holds a copy of the caller's stdout
	r := start(t, w.Dom0Command(t.Context(), "qrexec-client", "-d", "work", "DEFAULT:echo out; exec >&-; read a; exit 3"))
	expect(t, "output", line(t, r.out), "out")
	expect(t, "and its end", line(t, r.out), " <EOF>")
	r.in.Write([]byte("x\n"))
	expect(t, "exit code", code(t, r), 3)
}

// "qvm-run -p drains the caller's stdin".
func TestCallersStdinIsDrained(t *testing.T) {
	each(t, func(t *testing.T, w *sim.World, q *sim.Qube) {
		loop := `printf '1\n2\n3\n' | { read a; qvm-run -p work "echo $a"; cat; }`
		expect(t, "shell loop", tool(t, w, "", "bash", "-c", loop).out, "1\n")
		loop = strings.Replace(loop, "-p work \"echo $a\"", "-p work \"echo $a\" </dev/null", 1)
		expect(t, "with /dev/null", tool(t, w, "", "bash", "-c", loop).out, "1\n2\n3\n")
	})
}

// "every holder of its stdout and stderr closed them": a child that
// keeps one of them holds the call, one that keeps none does not.
func TestBackgroundChildHoldsCall(t *testing.T) {
	t.Parallel()
	w := sim.New(t)
	q := w.Qube("work", sim.Running)
	tests := []struct {
		held, redirect string
		holds          bool
	}{
		{"stdout", "2>/dev/null", true}, {"stderr", ">/dev/null", true}, {"nothing", ">/dev/null 2>&1", false},
	}
	for _, tt := range tests {
		t.Run(tt.held, func(t *testing.T) {
			// the child goes when a file appears
			r := stream(t, w, "work", "(while ! [ -e ~/go-"+tt.held+" ]; do sleep 0.01; done) "+tt.redirect+" & echo $! ; exit 6")
			expect(t, "output", line(t, r.out) != "", true)
			if tt.holds {
				select {
				case <-r.ended:
					t.Error("ended with the child still there")
					return
				case <-time.After(100 * time.Millisecond):
				}
				release(t, filepath.Join(q.Home(), "go-"+tt.held))
			}
			expect(t, "exit code", code(t, r), 6)
			release(t, filepath.Join(q.Home(), "go-"+tt.held))
		})
	}
}

// "Killing the dom0 side does not kill the VM process; it gets
// EOF/SIGPIPE". "Killing only qvm-run leaves qrexec-client as an orphan".
func TestKillingDom0Side(t *testing.T) {
	each(t, func(t *testing.T, w *sim.World, q *sim.Qube) {
		mark := func(name string) string { return filepath.Join(q.Home(), name) }
		work := "echo ready; while read a; do :; done; touch ~/eof; trap '' PIPE; while echo lost 2>/dev/null; do sleep 0.01; done; touch ~/sigpipe"
		t.Run("whole group", func(t *testing.T) {
			cmd := w.Dom0Command(t.Context(), "qvm-run", "-p", "work", work)
			cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
			r := start(t, cmd)
			expect(t, "line", line(t, r.out), "ready")
			syscall.Kill(-r.Process.Pid, syscall.SIGKILL)
			eventually(t, "process sees EOF and a broken pipe, and lives on", func() bool { return there(mark("eof")) && there(mark("sigpipe")) })
		})
		t.Run("only qvm-run", func(t *testing.T) {
			cmd := w.Dom0Command(t.Context(), "qvm-run", "-p", "work", "echo ready; while read a; do echo $a; done; touch ~/over")
			r := start(t, cmd)
			expect(t, "line", line(t, r.out), "ready")
			r.Process.Kill()
			<-r.ended
			fmt.Fprintln(r.in, "still there")
			expect(t, "the orphan passes data on", line(t, r.out), "still there")
			r.in.Close()
			eventually(t, "process ends with its input", func() bool { return there(mark("over")) })
		})
	})
}

// The environment of the process is "setsid, cwd = $HOME", sockets for
// streams, no tty; a login shell's profile makes noise first.
func TestProcessSurroundings(t *testing.T) {
	t.Parallel()
	w := sim.New(t)
	q := w.Qube("work", sim.Running)
	run := func(command string) string { return tool(t, w, "", "qvm-run", "-p", "work", command).out }
	expect(t, "streams are sockets", run("readlink /proc/$$/fd/0 | cut -d: -f1"), "socket\n")
	expect(t, "so /dev/stdin cannot be opened", strings.Contains(tool(t, w, "", "qvm-run", "-p", "work", "cat /dev/stdin").err, "No such device"), true)
	if err := os.WriteFile(filepath.Join(q.Home(), ".bashrc"), []byte("echo bashrc\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	expect(t, "~/.bashrc is not read", run("echo hi"), "hi\n")
	if err := os.WriteFile(filepath.Join(q.Home(), ".profile"), []byte("echo welcome; echo warning >&2\nexport FROM=profile\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	r := tool(t, w, "", "qvm-run", "-p", "work", "echo $FROM")
	expect(t, "~/.profile makes noise", r, result{"welcome\nprofile\n", "warning\n", 0})
	q.Set(sim.Noise, "\x1b[2Jnoise\x00\n")
	expect(t, "noise knob", run("echo hi"), "\x1b[2Jnoise\x00\nwelcome\nhi\n")
}

// "Long-lived: no idle timeout", "Chunks ≤ 64 KiB": a conversation goes
// on as long as both want, and what is written arrives without more.
func TestLongConversation(t *testing.T) {
	each(t, func(t *testing.T, w *sim.World, q *sim.Qube) {
		r := stream(t, w, "work", "exec cat")
		block := bytes.Repeat([]byte("0123456789abcdef"), 16<<10)
		for i := range 20 {
			go r.in.Write(block)
			back := make([]byte, len(block))
			if _, err := io.ReadFull(r.out, back); err != nil || !bytes.Equal(back, block) {
				t.Fatalf("block %d came back wrong: %v", i, err)
			}
		}
		r.in.Close()
		expect(t, "exit code", code(t, r), 0)
	})
}

func there(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func release(t *testing.T, path string) {
	t.Helper()
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
}
