package sim_test

import (
	"io"
	"strings"
	"testing"
	"time"

	"qvmremote/test/sim"
)

func TestDelay(t *testing.T) {
	t.Parallel()
	w := sim.New(t)
	q := w.Qube("work", sim.Running)
	q.Set(sim.Delay, "300ms")
	before := time.Now()
	expect(t, "output", tool(t, w, "", "qvm-run", "-p", "work", "echo hi").out, "hi\n")
	expect(t, "delayed", time.Since(before) >= 300*time.Millisecond, true)
	q.Set(sim.Delay, "1h")
	cmd := w.Dom0Command(t.Context(), "qvm-run", "-p", "work", "echo hi")
	cmd.Env = append(cmd.Env, "SIM_QVM_RUN_DELAY=0s")
	expect(t, "the environment wins", finish(t, cmd, "").out, "hi\n")
	expect(t, "others are not delayed", tool(t, w, "", "qvm-ls", "--raw-data", "--fields", "STATE", "work").out, "Running\n")
}

func TestHold(t *testing.T) {
	t.Parallel()
	w := sim.New(t)
	w.Qube("work", sim.Running)
	cmd := w.Dom0Command(t.Context(), "qvm-run", "-p", "work", "echo hi; cat")
	cmd.Env = append(cmd.Env, "SIM_QVM_RUN_HOLD=300ms")
	before := time.Now()
	r := start(t, cmd)
	expect(t, "first data", line(t, r.out), "hi")
	expect(t, "was held", time.Since(before) >= 300*time.Millisecond, true)
	r.in.Close()
	expect(t, "exit code", code(t, r), 0)
}

func TestStall(t *testing.T) {
	t.Parallel()
	w := sim.New(t)
	q := w.Qube("work", sim.Running)
	q.Set(sim.Stall, "6")
	r := stream(t, w, "work", "echo hello; echo world; touch ~/done; cat >~/in")
	expect(t, "passes", line(t, r.out), "hello")
	eventually(t, "the qube goes on", func() bool { return inside(t, q, "test", "-e", "done").code == 0 })
	more := make(chan string, 1)
	go func() {
		b, _ := io.ReadAll(r.out)
		more <- string(b)
	}()
	select {
	case s := <-more:
		t.Errorf("more came: %q", s)
	case <-time.After(100 * time.Millisecond):
	}
	q.SetState(sim.Halted)
	expect(t, "nothing more ever comes", <-more, "")
	expect(t, "exit code", code(t, r), 255)
}

func TestCloseAfter(t *testing.T) {
	t.Parallel()
	w := sim.New(t)
	q := w.Qube("work", sim.Running)
	q.Set(sim.CloseAfter, "3")
	expect(t, "early close", tool(t, w, "", "qvm-run", "-p", "work", "echo hello; sleep 1000"), result{"hel", "", 255})
	q.Set(sim.CloseAfter, "100")
	expect(t, "not reached", tool(t, w, "", "qvm-run", "-p", "work", "echo hello"), result{"hello\n", "", 0})
}

func TestFlood(t *testing.T) {
	t.Parallel()
	w := sim.New(t)
	q := w.Qube("work", sim.Running)
	for _, which := range []string{"stdout", "stderr"} {
		q.Set(sim.Flood, which)
		r := stream(t, w, "work", "echo hello; cat")
		flooded, other := r.out, r.err
		if which == "stderr" {
			flooded, other = other, flooded
		}
		n, err := io.CopyN(io.Discard, flooded, 8<<20)
		if err != nil {
			t.Errorf("%s: %d bytes, then %v", which, n, err)
		}
		if which == "stderr" {
			expect(t, "the command runs all the same", line(t, other), "hello")
		}
		r.Process.Kill()
		flooded.Close()
		other.Close()
	}
}

func TestHang(t *testing.T) {
	t.Parallel()
	w := sim.New(t)
	q := w.Qube("work", sim.Running)
	q.Set(sim.Hang, "1")
	r := stream(t, w, "work", "echo hello; touch ~/done")
	expect(t, "output", line(t, r.out), "hello")
	eventually(t, "the command ends", func() bool { return inside(t, q, "test", "-e", "done").code == 0 })
	ended := make(chan struct{})
	go func() { io.ReadAll(r.out); close(ended) }()
	select {
	case <-ended:
		t.Error("the call ended with a child on its stdout")
	case <-time.After(100 * time.Millisecond):
	}
	q.SetState(sim.Halted)
	<-ended
}

func TestExecLimit(t *testing.T) {
	t.Parallel()
	w := sim.New(t)
	w.SetKnob(sim.ExecLimit, "1")
	w.Qube("work", sim.Running)
	r := stream(t, w, "work", "echo ready; cat")
	expect(t, "first", line(t, r.out), "ready")
	expect(t, "second at once", tool(t, w, "", "qvm-run", "-p", "work", "true").code, 125)
	r.in.Close()
	expect(t, "first", code(t, r), 0)
	eventually(t, "afterwards", func() bool { return tool(t, w, "", "qvm-run", "-p", "work", "true").code == 0 })
}

func TestHomeOnSmallDisk(t *testing.T) {
	t.Parallel()
	w := sim.New(t)
	w.SetKnob(sim.HomeSize, "65536")
	q := isolated(t, w, "work", "user")
	expect(t, "fits", inside(t, q, "sh", "-c", "head -c 40000 /dev/zero >a").code, 0)
	full := inside(t, q, "sh", "-c", "head -c 40000 /dev/zero >b")
	expect(t, "is full", strings.Contains(full.err, "No space left"), true)
	expect(t, "plain", tool(t, w, "", "qubes-sim", "set", "work/isolation", "plain").code, 0)
	q.SetState(sim.Halted)
	expect(t, "cannot be had without namespaces", tool(t, w, "", "qubes-sim", "start", "work").code, 1)
}

func TestKnobsAreChecked(t *testing.T) {
	t.Parallel()
	w := sim.New(t)
	w.Qube("work", sim.Running)
	for _, args := range [][]string{{"delay", "soon"}, {"no-such", "1"}, {"work/flood", "yes"}, {"nope/flood", "stdout"}, {"refuse", "0"}} {
		r := tool(t, w, "", "qubes-sim", append([]string{"set"}, args...)...)
		expect(t, strings.Join(args, " "), r.code, 1)
	}
	expect(t, "one qube", tool(t, w, "", "qubes-sim", "set", "work/refuse", "126").code, 0)
	expect(t, "is refused", tool(t, w, "", "qvm-run", "-p", "work", "true").code, 126)
	cmd := w.Dom0Command(t.Context(), "qvm-check", "work")
	cmd.Env = append(cmd.Env, "SIM_QVM_RUN_DELAY=200")
	expect(t, "nonsense in the environment", finish(t, cmd, "").code, 255)
	expect(t, "turned back", tool(t, w, "", "qubes-sim", "set", "work/refuse", "").code, 0)
	expect(t, "is not", tool(t, w, "", "qvm-run", "-p", "work", "true").code, 0)
}
