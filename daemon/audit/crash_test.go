//go:build crashpoints

package audit

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// crashEnv makes the test binary do crashJob in the folder it names.
const crashEnv = "AUDIT_TEST_CRASH"

func init() {
	if dir := os.Getenv(crashEnv); dir != "" {
		job := crashJob
		if os.Getenv(repairEnv) != "" {
			job = repairJob
		}
		if err := job(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
}

// crashJob does everything that changes the disk, and says on stdout which
// claims it was told are recorded.
func crashJob(dir string) error {
	clock := newClock()
	l, err := Open(context.Background(), dir, Options{Now: clock.now, Reserve: 64 << 10, SegmentBytes: 500}, newRequests())
	if err != nil {
		return err
	}
	step := func(id string) error {
		_, err := l.UpdateFinal(context.Background(), func(tx *Tx) error {
			tx.Add(claim(id))
			return nil
		})
		if err == nil {
			fmt.Println(id)
		}
		return err
	}
	for i := range 6 {
		if err := step(fmt.Sprint(i)); err != nil {
			return err
		}
	}
	if f, err := os.OpenFile(l.cur.path, os.O_APPEND|os.O_WRONLY, 0); err == nil {
		_, _ = f.WriteString("{")
		_ = f.Close()
	}
	if err := step("after the torn line"); err != nil {
		return err
	}
	clock.add(500 * day)
	if err := step("much later"); err != nil {
		return err
	}
	if err := l.Prune(context.Background()); err != nil {
		return err
	}
	if err := step("after pruning"); err != nil {
		return err
	}
	return l.Close()
}

// runCrash runs crashJob until the named point is reached.
func runCrash(t *testing.T, dir, point, trace string) (told []string, killed bool) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), crashEnv+"="+dir, "QVM_REMOTE_CRASH="+point, "QVM_REMOTE_CRASH_TRACE="+trace)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	s := bufio.NewScanner(bytes.NewReader(out))
	for s.Scan() {
		told = append(told, s.Text())
	}
	if point == "" && err != nil {
		t.Fatal(err)
	}
	return told, err != nil
}

// TestCrashAnywhere kills the process at every point it ever reaches: what it
// was told is recorded is there after a start, nothing is called lost, and the
// log verifies.
func TestCrashAnywhere(t *testing.T) {
	parent := t.TempDir()
	trace := filepath.Join(parent, "trace")
	runCrash(t, filepath.Join(parent, "all"), "", trace)
	data, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	times := map[string]int{}
	for _, name := range strings.Fields(string(data)) {
		times[name]++
	}
	for name, n := range times {
		for i := 1; i <= n; i++ {
			t.Run(fmt.Sprintf("%s#%d", name, i), func(t *testing.T) {
				t.Parallel()
				crashAt(t, fmt.Sprintf("%s#%d", name, i))
			})
		}
	}
}

func crashAt(t *testing.T, point string) {
	dir := logDir(t)
	told, killed := runCrash(t, dir, point, "")
	if !killed {
		t.Fatal("the point was not reached again")
	}
	l, q := openLog(t, dir, Options{SegmentBytes: 500})
	for _, id := range told {
		if _, ok := q.Claims[id]; !ok {
			t.Errorf("claim %q was acknowledged and is gone", id)
		}
	}
	for _, kind := range []FindingKind{Short, Damaged, NoHead, ChangedKey, TreeGone} {
		if slices.Contains(kinds(l), kind) {
			t.Errorf("findings = %v", l.Findings())
		}
	}
	add(t, l, claim("next"))
	if n := count(records(t, dir), Loss); n != 0 {
		t.Errorf("%d losses", n)
	}
	mustVerify(t, dir)
}
