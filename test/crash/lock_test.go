//go:build crashpoints

package crash

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestAStartOutwaitsADyingDaemon: a daemon that is killed while it starts a
// program leaves a child that holds its lock for a moment more.
func TestAStartOutwaitsADyingDaemon(t *testing.T) {
	s := newStage(t).newScene(t)
	s.placeKeys()
	must(t, os.MkdirAll(filepath.Dir(s.root.ExecutorLock()), 0o700))
	f, err := os.Create(s.root.ExecutorLock())
	must(t, err)
	must(t, unix.Flock(int(f.Fd()), unix.LOCK_EX))
	time.AfterFunc(100*time.Millisecond, func() { _ = f.Close() })
	p := s.start("", "")
	await(t, "the daemon to come up", func() bool { return p.ended() || s.starts() > 0 })
	if p.ended() {
		b, _ := os.ReadFile(s.log)
		t.Fatalf("the daemon gave up:\n%s", b)
	}
	s.stop(p)
}
