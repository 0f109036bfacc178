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
	if err := os.WriteFile(filepath.Join(dir, scriptName), []byte(script), 0o700); err != nil {
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
}
