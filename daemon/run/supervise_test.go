package run

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// inProcess makes a supervisor that works in this process. A test that does so
// must not be parallel: the supervisor reaps and kills every child there is.
func inProcess(t *testing.T, script string) (s *supervisor, control, stdout *os.File) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, scriptName), []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	bash, err := findBash(os.Getenv("PATH"))
	if err != nil {
		t.Fatal(err)
	}
	var j job
	theirs, err := j.openControl()
	if err != nil {
		t.Fatal(err)
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	from, to := pipe(t)
	t.Cleanup(func() { _, _, _ = j.control.Close(), theirs.Close(), null.Close() })
	s = &supervisor{script: filepath.Join(dir, scriptName), bash: bash, timeout: time.Minute, control: take(t, theirs), group: -1}
	s.streams = [3]int{take(t, null), take(t, to), take(t, to)}
	return s, j.control, from
}

// take makes a descriptor that is the supervisor's to close.
func take(t *testing.T, f *os.File) int {
	t.Helper()
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 100)
	if err != nil {
		t.Fatal(err)
	}
	return fd
}

// supervised lets the supervisor work to its end and returns what it said.
func supervised(t *testing.T, s *supervisor, control *os.File, during func()) string {
	t.Helper()
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // not unlocked: bash dies with this thread
		err := s.prepare()
		if err == nil {
			s.supervise()
		}
		_ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
		// As the end of a process would: also for one that still reads.
		_, _ = unix.Shutdown(s.control, unix.SHUT_RDWR), unix.Close(s.control)
		done <- err
	}()
	during()
	said, buf := "", make([]byte, maxMessage)
	for {
		n, err := control.Read(buf)
		if err != nil {
			break
		}
		said += string(buf[:n])
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	return said
}

func TestSupervise(t *testing.T) {
	write := func(control *os.File, b string) func() {
		return func() { _, _ = control.WriteString(b) }
	}
	t.Run("ends", func(t *testing.T) {
		s, control, out := inProcess(t, "sleep 1000 & setsid sleep 1000 & echo out; exit 3")
		if said := supervised(t, s, control, write(control, "g")); said != "bx\x00\x00\x03\x00" {
			t.Errorf("said %q", said)
		}
		buf := make([]byte, 10)
		if n, err := out.Read(buf); string(buf[:n]) != "out\n" {
			t.Errorf("got %q, %v", buf[:n], err)
		}
	})
	t.Run("deadline", func(t *testing.T) {
		s, control, _ := inProcess(t, "sleep 1000 & sleep 1000")
		s.timeout = 50 * time.Millisecond
		if said := supervised(t, s, control, write(control, "g")); said != "bt" {
			t.Errorf("said %q", said)
		}
	})
	t.Run("stopped", func(t *testing.T) {
		s, control, _ := inProcess(t, "sleep 1000")
		said := supervised(t, s, control, func() {
			_, _ = control.WriteString("g")
			(&job{control: control}).stop()
		})
		if said != "bs" {
			t.Errorf("said %q", said)
		}
	})
	t.Run("never told to start", func(t *testing.T) {
		s, control, _ := inProcess(t, "echo started")
		if said := supervised(t, s, control, (&job{control: control}).stop); said != "" {
			t.Errorf("said %q", said)
		}
	})
	t.Run("told nonsense", func(t *testing.T) {
		s, control, _ := inProcess(t, "echo started")
		if said := supervised(t, s, control, write(control, "go")); said != "" {
			t.Errorf("said %q", said)
		}
	})
	t.Run("no bash", func(t *testing.T) {
		s, control, _ := inProcess(t, "true")
		s.bash = "/nonexistent"
		if said := supervised(t, s, control, write(control, "g")); said != "f/nonexistent: no such file or directory" {
			t.Errorf("said %q", said)
		}
	})
	t.Run("in a cgroup", func(t *testing.T) {
		r := newRunner(t, true)
		g, err := r.newGroup("/0123456789abcdef")
		if err != nil {
			t.Fatal(err)
		}
		s, control, out := inProcess(t, "grep ^0:: /proc/self/cgroup; "+lingering+"exit 0")
		s.group = take(t, g.dir)
		_ = g.dir.Close()
		if said := supervised(t, s, control, write(control, "g")); said != "bx\x00\x00\x00\x00" {
			t.Errorf("said %q", said)
		}
		buf := make([]byte, 200)
		if n, err := out.Read(buf); filepath.Base(string(buf[:n])) != "cmd-0123456789abcdef\n" {
			t.Errorf("it was in %q, %v", buf[:n], err)
		}
		if err := unix.Rmdir(g.path); err != nil { // only an empty group goes
			t.Error(err)
		}
		_ = unix.Close(s.group)
	})
}

func TestNewSupervisor(t *testing.T) {
	args := []string{"/run/x", "/bin/bash", "5000000000", inGroup}
	if s, err := newSupervisor(fdControl, nil); err == nil {
		t.Errorf("got %+v", s)
	}
	from, _ := pipe(t)
	if s, err := newSupervisor(int(from.Fd()), args); err == nil {
		t.Errorf("with a pipe: got %+v", s)
	}
	_, control, _ := inProcess(t, "")
	raw, err := control.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	_ = raw.Control(func(fd uintptr) {
		s, err := newSupervisor(int(fd), args)
		want := supervisor{"/run/x/command", "/bin/bash", 5 * time.Second, int(fd), [3]int{4, 5, 6}, 7}
		if err != nil || *s != want {
			t.Errorf("got %+v, %v", s, err)
		}
		for _, bad := range []string{"", "5s", "0", "-1"} {
			args[2] = bad
			if s, err := newSupervisor(int(fd), args); err == nil {
				t.Errorf("timeout %q: got %+v", bad, s)
			}
		}
		args[2], args[3] = "1", noGroup
		if s, err := newSupervisor(int(fd), args); err != nil || s.group != -1 {
			t.Errorf("got %+v, %v", s, err)
		}
	})
}
