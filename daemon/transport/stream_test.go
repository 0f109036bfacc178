package transport

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"qvmremote/queue"
	"qvmremote/test/executable"
)

// stream uses a shell script as qvm-run.
func stream(t *testing.T, script string) (*Stream, string) {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "qvm-run")
	if err := executable.Write(path, []byte("#!/bin/bash\ncd "+dir+"\n"+script+"\n")); err != nil {
		t.Fatal(err)
	}
	times := patient
	times.Shutdown = 100 * time.Millisecond
	return &Stream{Caller: Caller{Path: path}, Account: "user", Times: times, Budget: NewBudget(1<<20, queue.MaxPayload), Now: time.Now, Version: "2"}, dir
}

// greet is shell that answers the greeting as an agent would; the tag of the
// first question is 1.
func greet() string {
	payload := queue.Marshal(&queue.Hello{Version: "2", Qube: "work", Time: 7})
	frame := fmt.Sprintf(`\x00\x00\x00\x%02x\x81\x00\x00\x00\x01`, 5+len(payload))
	for _, b := range payload {
		frame += fmt.Sprintf(`\x%02x`, b)
	}
	return "printf 'qvm-remote-agent/2\\n'; head -c 9 >/dev/null; printf '" + frame + "'\n"
}

func exists(pid int) bool { return syscall.Kill(pid, 0) == nil }

func awaitGone(t *testing.T, pid int) {
	t.Helper()
	for until := time.Now().Add(time.Minute); exists(pid) && !zombie(pid); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("process %d lives on", pid)
		}
	}
}

// zombie: a child of a child that was killed waits for whoever adopted it.
func zombie(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || strings.Contains(string(b), ") Z ")
}

func pidIn(t *testing.T, path string) int {
	t.Helper()
	for until := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		b, err := os.ReadFile(path)
		if n, aerr := strconv.Atoi(strings.TrimSpace(string(b))); err == nil && aerr == nil {
			return n
		}
		if time.Now().After(until) {
			t.Fatalf("no pid in %s: %q, %v", path, b, err)
		}
	}
}

func TestDialCallsQvmRun(t *testing.T) {
	t.Parallel()
	s, dir := stream(t, `printf '%s\n' "$@" > args; `+greet()+`exec cat >/dev/null`)
	c, err := s.Dial(t.Context(), "work")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if c.(*conversation).Peer.Time != 7 {
		t.Errorf("%+v", c.(*conversation).Peer)
	}
	args, err := os.ReadFile(filepath.Join(dir, "args"))
	want := "--no-gui\n--no-autostart\n--pass-io\nwork\nexec qvm-remote --agent=/home/user/.qvm-remote\n"
	if err != nil || string(args) != want {
		t.Errorf("%q, %v", args, err)
	}
}

func TestDialRefusesNamesThatAreNone(t *testing.T) {
	t.Parallel()
	s, dir := stream(t, "touch called")
	for _, qube := range []string{"", "-x", "a b", "$(id)", "dom0;x", "../x"} {
		if _, err := s.Dial(t.Context(), qube); err == nil {
			t.Errorf("called %q", qube)
		}
	}
	s.Account = "user;id"
	if _, err := s.Dial(t.Context(), "work"); err == nil {
		t.Error("called with a bad account")
	}
	if _, err := os.Stat(filepath.Join(dir, "called")); err == nil {
		t.Error("qvm-run was started")
	}
}

func TestDialSaysWhatQvmRunSaid(t *testing.T) {
	t.Parallel()
	s, _ := stream(t, `printf 'first\nno such \033[31mdomain\n' >&2; exec 2>&-; sleep 0.1; exit 0`)
	_, err := s.Dial(t.Context(), "work")
	if !errors.Is(err, ErrNoAgent) || !strings.Contains(err.Error(), `no such \x1b[31mdomain`) || strings.Contains(err.Error(), "first") {
		t.Errorf("%v", err)
	}
	s.Caller.Path = "/nonexistent/qvm-run"
	if _, err := s.Dial(t.Context(), "work"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
}

// TestNoProcessOutlivesItsConnection: not one that ignores the end of its
// input, and not what it started.
func TestNoProcessOutlivesItsConnection(t *testing.T) {
	t.Parallel()
	for name, tail := range map[string]string{
		"it waits for ever":        "exec sleep 1000",
		"its child holds on":       "sleep 1000 & exec sleep 1000",
		"only its child is left":   "sleep 1000 & exec cat >/dev/null",
		"it ignores polite signal": "trap '' TERM HUP PIPE; sleep 1000",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, dir := stream(t, greet()+`(echo $BASHPID > child; exec sleep 1000) & echo $$ > self; `+tail)
			c, err := s.Dial(t.Context(), "work")
			if err != nil {
				t.Fatal(err)
			}
			self, child := pidIn(t, filepath.Join(dir, "self")), pidIn(t, filepath.Join(dir, "child"))
			c.Close()
			awaitGone(t, self)
			awaitGone(t, child)
		})
	}
}

func TestAProcessThatEndsEndsTheConversation(t *testing.T) {
	t.Parallel()
	s, _ := stream(t, greet())
	c, err := s.Dial(t.Context(), "work")
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-c.Done():
	case <-time.After(time.Minute):
		t.Fatal("the conversation goes on")
	}
}

// TestAFloodOfStderrIsSlowedDown: more than the rate allows is never read.
func TestAFloodOfStderrIsSlowedDown(t *testing.T) {
	t.Parallel()
	s, dir := stream(t, `(i=0; while printf '%16384s' x; do i=$((i+1)); echo $i >> written; done) >&2 & `+greet()+`exec cat >/dev/null`)
	c, err := s.Dial(t.Context(), "work")
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	time.Sleep(300 * time.Millisecond) // the flood's time, not a wait for anything
	c.Close()
	seconds := int(time.Since(began)/time.Second) + 2
	b, _ := os.ReadFile(filepath.Join(dir, "written"))
	if n, most := strings.Count(string(b), "\n")*16384, seconds*2*stderrRate+(64<<10); n > most {
		t.Errorf("%d bytes were taken in %d seconds, at most %d may be", n, seconds, most)
	}
}

func TestTailKeepsTheLastLine(t *testing.T) {
	t.Parallel()
	var tl Stderr
	for _, s := range []string{strings.Repeat("x", 3*tailSize), "\nfirst\n", "sec", "ond\x1b\n\n"} {
		if n, err := tl.Write([]byte(s)); n != len(s) || err != nil {
			t.Fatal(n, err)
		}
	}
	if got := tl.Last(); got != `"second\x1b"` {
		t.Errorf("%s", got)
	}
	if len(tl.b) > tailSize {
		t.Errorf("%d bytes are kept", len(tl.b))
	}
	if got := (&Stderr{}).Last(); got != "" {
		t.Errorf("nothing is %s", got)
	}
}

// TestNothingIsLeftBehind runs alone: it counts goroutines and descriptors.
func TestNothingIsLeftBehind(t *testing.T) {
	s, _ := stream(t, greet()+`exec cat >/dev/null`)
	silent, _ := stream(t, `exit 0`)
	before := left()
	for range 3 {
		c, err := s.Dial(t.Context(), "work")
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
		if _, err := silent.Dial(t.Context(), "work"); err == nil {
			t.Fatal("an agent where there is none")
		}
	}
	for until := time.Now().Add(time.Minute); left() != before; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("goroutines and descriptors: %v before, %v now", before, left())
		}
	}
}

func left() [2]int {
	fds, _ := os.ReadDir("/proc/self/fd")
	return [2]int{runtime.NumGoroutine(), len(fds)}
}

// TestCloseOutlivesNoProgram: what qvm-run is when Close returns is gone, also
// if it does not mind that its stdin has ended; a daemon that stops leaves none.
func TestCloseOutlivesNoProgram(t *testing.T) {
	t.Parallel()
	s, dir := stream(t, `echo $$ >"${0%/*}/pid"; `+greet()+`exec sleep 600`)
	c, err := s.Dial(t.Context(), "work")
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	b, err := os.ReadFile(filepath.Join(dir, "pid"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat("/proc/" + strings.TrimSpace(string(b))); err == nil {
		t.Error("qvm-run is still there")
	}
}
