//go:build crashpoints

package audit

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// repairEnv makes crashJob a start on a damaged log, and one record more.
const repairEnv = "AUDIT_TEST_CRASH_REPAIR"

func repairJob(dir string) error {
	l, err := Open(context.Background(), dir, Options{Reserve: -1, SegmentBytes: 500}, newRequests())
	if err != nil {
		return err
	}
	if _, err := l.Update(context.Background(), func(tx *Tx) error { tx.Add(claim("next")); return nil }); err != nil {
		return err
	}
	return l.Close()
}

// TestCrashWhileRepairing kills a start that makes lost hashes again, or that
// finds records lost, at every point: the start after it comes to the same end.
func TestCrashWhileRepairing(t *testing.T) {
	t.Setenv(repairEnv, "1")
	damages := map[string]func(t *testing.T, dir string) (claims int, lost bool){
		"hashes": func(t *testing.T, dir string) (int, bool) {
			damaged(t, os.Truncate(filepath.Join(dir, treeName), 0))
			return 8, false
		},
		"records": func(t *testing.T, dir string) (int, bool) {
			segs, err := listSegments(dir)
			damaged(t, err)
			path := segs[len(segs)-1].path
			b, err := os.ReadFile(path)
			damaged(t, err)
			cut := bytes.LastIndexByte(b[:len(b)-1], '\n') + 1
			damaged(t, os.Truncate(path, int64(cut)))
			return 7, true
		},
	}
	for name, damage := range damages {
		dir, trace := logDir(t), filepath.Join(t.TempDir(), "trace")
		eightClaims(t, dir)
		damage(t, dir)
		runCrash(t, dir, "", trace)
		b, err := os.ReadFile(trace)
		damaged(t, err)
		times := map[string]int{}
		for _, point := range strings.Fields(string(b)) {
			times[point]++
			point = fmt.Sprintf("%s#%d", point, times[point])
			t.Run(name+"/"+point, func(t *testing.T) {
				dir := logDir(t)
				eightClaims(t, dir)
				claims, lost := damage(t, dir)
				if _, killed := runCrash(t, dir, point, ""); !killed {
					t.Fatal("the point was not reached again")
				}
				l, q := openLog(t, dir, Options{SegmentBytes: 500})
				delete(q.Claims, "next")
				if len(q.Claims) != claims {
					t.Errorf("%d claims are left of %d", len(q.Claims), claims)
				}
				add(t, l, claim("later"))
				if n := count(records(t, dir), Loss); (n > 0) != lost {
					t.Errorf("%d losses are recorded", n)
				}
				mustVerify(t, dir)
			})
		}
	}
}

func damaged(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// eightClaims makes a log of several segments with eight claims.
func eightClaims(t *testing.T, dir string) {
	t.Helper()
	l, _ := openLog(t, dir, Options{SegmentBytes: 500})
	for i := range 8 {
		add(t, l, claim(fmt.Sprint(i)))
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}
