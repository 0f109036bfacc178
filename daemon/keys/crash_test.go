//go:build crashpoints

package keys

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"qvmremote/queue"
)

var (
	oldKey, _ = queue.ParseKey([]byte(strings.Repeat("a", queue.KeyLen)))
	newKey, _ = queue.ParseKey([]byte(strings.Repeat("b", queue.KeyLen)))
	oldMeta   = Meta{Authorised: 1, Legacy: true}
	newMeta   = Meta{Authorised: 2, UUID: testUUID}
)

// changes are what a crash may interrupt, each after oldKey was stored with
// oldMeta; allowed says what may be found afterwards.
var changes = map[string]struct {
	do      func(s *Store) error
	allowed func(h Held, err error) bool
}{
	"put": {
		func(s *Store) error { return s.Put("work", newKey, newMeta) },
		func(h Held, err error) bool { return errors.Is(err, ErrNoKey) || isOld(h) || isNew(h) },
	},
	"rotate": {
		func(s *Store) error { return errors.Join(s.PutNext("work", newKey), s.Promote("work")) },
		func(h Held, err error) bool {
			return isOld(h) || h.Current.Equal(oldKey) && h.Next.Equal(newKey) || h.Current.Equal(newKey) && h.Next.IsZero()
		},
	},
	"remove": {
		func(s *Store) error { return s.Remove("work") },
		func(h Held, err error) bool { return errors.Is(err, ErrNoKey) || isOld(h) },
	},
}

func isOld(h Held) bool {
	return h.Current.Equal(oldKey) && h.Next.IsZero() && h.Meta.equal(oldMeta)
}

func isNew(h Held) bool {
	return h.Current.Equal(newKey) && h.Next.IsZero() && h.Meta.equal(newMeta)
}

// TestChangeInChild is no test: it is what the test below runs and kills.
func TestChangeInChild(t *testing.T) {
	dir, change := os.Getenv("KEYS_CRASH_DIR"), os.Getenv("KEYS_CRASH_CHANGE")
	if dir == "" {
		t.Skip("run by TestACrashLeavesTheOldKeyOrNone")
	}
	s, err := Open(dir)
	must(t, err)
	must(t, changes[change].do(s))
}

func TestACrashLeavesTheOldKeyOrNone(t *testing.T) {
	for change, c := range changes {
		points := strings.Fields(crash(t, change, "", func(*Store) {}))
		if len(points) < 4 {
			t.Fatalf("%s has only the points %q", change, points)
		}
		for _, point := range points {
			crash(t, change, point, func(s *Store) {
				h, err := s.Get("work")
				if err != nil && !errors.Is(err, ErrNoKey) || !c.allowed(h, err) {
					t.Errorf("%s killed at %s: %+v, %v", change, point, h, err)
				}
				unlock, err := s.Lock(context.Background())
				must(t, err)
				defer unlock()
				must(t, c.do(s.again(t)))
			})
		}
	}
}

// again stores the old key once more, as an administrator would who tries
// again after the crash.
func (s *Store) again(t *testing.T) *Store {
	t.Helper()
	must(t, s.Put("work", oldKey, oldMeta))
	if h, err := s.Get("work"); err != nil || !isOld(h) {
		t.Errorf("authorising again after a crash: %+v, %v", h, err)
	}
	return s
}

// crash runs the change in a child that dies at point, "" for none, and then
// looks at what it left. It returns the points that were reached.
func crash(t *testing.T, change, point string, look func(*Store)) string {
	t.Helper()
	s := open(t)
	must(t, s.Put("work", oldKey, oldMeta))
	trace := filepath.Join(t.TempDir(), "trace")
	cmd := exec.Command(os.Args[0], "-test.run=^TestChangeInChild$")
	cmd.Env = append(os.Environ(), "KEYS_CRASH_DIR="+s.dir, "KEYS_CRASH_CHANGE="+change,
		"QVM_REMOTE_CRASH="+point, "QVM_REMOTE_CRASH_TRACE="+trace)
	out, err := cmd.CombinedOutput()
	if died := err != nil && strings.Contains(err.Error(), "killed"); died != (point != "") {
		t.Fatalf("%s at %q: %v\n%s", change, point, err, out)
	}
	look(s)
	reached, err := os.ReadFile(trace)
	must(t, err)
	return string(reached)
}
