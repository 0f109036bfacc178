package transfer_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"qvmremote/client"
	"qvmremote/client/dom0test"
	"qvmremote/client/transfer"
	"qvmremote/queue"
	"qvmremote/test/executable"
)

// TestMain builds dom0's program, which commands of the tests' dom0 find in
// their PATH. A test may stand in its way: see stage.between.
func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "transfer-")
	if err == nil {
		real := filepath.Join(dir, "real")
		cmd := exec.Command("go", "build", "-o", real, "qvmremote/cmd/qvm-remote-dom0")
		cmd.Env, cmd.Stderr = append(os.Environ(), "CGO_ENABLED=0"), os.Stderr
		err = cmd.Run()
		if err == nil {
			err = executable.Write(filepath.Join(dir, "qvm-remote-dom0"), fmt.Appendf(nil, front, real))
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// front runs what the test put beside the file in dom0, if anything, in place of
// the program, which is $real there.
const front = `#!/bin/bash
real=%s
between=$(dirname "$2")/between
if [ -e "$between" ]; then . "$between"; fi
exec $real "$@"
`

// stage is a qube and a dom0 with one folder each.
type stage struct {
	t    *testing.T
	c    *client.Client
	dom0 *dom0test.Dom0
	here string // in the qube
	over string // in dom0
	*transfer.Transfer

	mu   sync.Mutex
	seen []transfer.Progress
}

func newStage(t *testing.T) *stage {
	t.Helper()
	s := &stage{t: t, here: t.TempDir(), over: t.TempDir(), c: client.New(filepath.Join(t.TempDir(), queue.FolderName)),
		dom0: &dom0test.Dom0{Qube: "work"}}
	s.c.Database = func(context.Context, string) (string, error) { return "work", nil }
	s.c.Waits.Settle = 5 * time.Millisecond
	must(t, s.c.Prepare())
	key, err := s.c.GenerateKey(false)
	must(t, err)
	s.dom0.Key = key
	s.Transfer = &transfer.Transfer{Client: s.c, Pause: time.Millisecond, Progress: func(p transfer.Progress) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.seen = append(s.seen, p)
	}}
	return s
}

// serve starts dom0.
func (s *stage) serve() *stage {
	s.t.Helper()
	s.dom0.Connect(s.t, s.c.Layout)
	return s
}

// between stands in the way of each piece: bash, with the program's words as
// arguments.
func (s *stage) between(script string) { write(s.t, filepath.Join(s.over, "between"), []byte(script)) }

func (s *stage) free() { must(s.t, os.Remove(filepath.Join(s.over, "between"))) }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, path string, b []byte) string {
	t.Helper()
	must(t, os.WriteFile(path, b, 0o600))
	return path
}

func noise(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{byte(n)}).Read(b)
	return b
}

func (s *stage) same(path string, want []byte) {
	s.t.Helper()
	got, err := os.ReadFile(path)
	must(s.t, err)
	if !bytes.Equal(got, want) {
		s.t.Errorf("%s has %d other bytes, want %d", path, len(got), len(want))
	}
}

// holds fails the test unless the folder holds just these, and so many parts.
func (s *stage) holds(dir string, parts int, names ...string) {
	s.t.Helper()
	entries, err := os.ReadDir(dir)
	must(s.t, err)
	var have []string
	for _, e := range entries {
		switch {
		case strings.HasSuffix(e.Name(), ".part"):
			parts--
		case e.Name() != "between":
			have = append(have, e.Name())
		}
	}
	if strings.Join(have, " ") != strings.Join(names, " ") || parts != 0 {
		s.t.Errorf("%s holds %q, and %d parts fewer than it should", dir, have, parts)
	}
}

// limited bounds a test's waits.
func limited(t *testing.T) context.Context {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(stop)
	return ctx
}

func (s *stage) moved() (last transfer.Progress) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen[len(s.seen)-1]
}

// phases is how often each was told.
func (s *stage) phases() map[transfer.Phase]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := map[transfer.Phase]int{}
	for _, p := range s.seen {
		n[p.Phase]++
	}
	return n
}
