package audit

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"qvmremote/daemon/disk"
)

// days makes a closed log of three segments, a request each.
func days(t *testing.T) (dir string, c *clock) {
	t.Helper()
	dir, c = logDir(t), newClock()
	l, _ := openLog(t, dir, Options{Now: c.now})
	for _, id := range []string{"a", "b", "c"} {
		deliver(t, l, id)
		c.add(day)
	}
	mustClose(t, l)
	return dir, c
}

func TestMissingSegmentsAreNamed(t *testing.T) {
	t.Parallel()
	for gone, want := range map[int]string{1: "records 4 to 7 missing", 2: "records 8 to 11 missing"} {
		dir, c := days(t)
		if err := os.Remove(segments(t, dir)[gone].path); err != nil {
			t.Fatal(err)
		}
		if r := verify(t, dir); r.OK() || !strings.Contains(r.String(), want) {
			t.Errorf("segment %d gone:\n%v", gone, r)
		}
		l, _ := openLog(t, dir, Options{Now: c.now})
		if short := slices.Contains(kinds(l), Short); short != (gone == 2) {
			t.Errorf("segment %d gone: findings = %v", gone, l.Findings())
		}
		add(t, l, claim("next"))
		if r := verify(t, dir); r.OK() != (gone == 2) {
			t.Errorf("segment %d gone, after a start:\n%v", gone, r)
		}
	}
}

// An open claim makes a start read the segment that is gone.
func TestASegmentMissingFromWhatIsReadIsALoss(t *testing.T) {
	t.Parallel()
	dir, c := logDir(t), newClock()
	l, _ := openLog(t, dir, Options{Now: c.now})
	add(t, l, claim("open"))
	for range 2 {
		c.add(day)
		add(t, l, claim("x"), final("x"))
	}
	mustClose(t, l)
	if err := os.Remove(segments(t, dir)[1].path); err != nil {
		t.Fatal(err)
	}
	l, _ = openLog(t, dir, Options{Now: c.now})
	if got := kinds(l); !slices.Equal(got, []FindingKind{Damaged}) {
		t.Errorf("findings = %v", l.Findings())
	}
	if r := mustVerify(t, dir); !slices.Equal(r.Excepted, []string{"records 2 to 4"}) || !strings.Contains(r.String(), "except what the log itself records as lost") {
		t.Errorf("report = %+v", r)
	}
}

func TestSeveralChangedRecordsAreNamedTogether(t *testing.T) {
	t.Parallel()
	dir := written(t, Options{})
	edit(t, newest(t, dir), func(b []byte) []byte {
		for _, id := range []string{"c", "d"} {
			b = bytes.ReplaceAll(b, []byte(`"id":"`+id), []byte(`"id":"x`))
		}
		return b
	})
	l, _ := openLog(t, dir, Options{})
	if f := l.Findings(); len(f) != 1 || !strings.HasPrefix(f[0].Detail, "records 5 to 8 ") {
		t.Errorf("findings = %v", f)
	}
	if r := mustVerify(t, dir); !slices.Equal(r.Excepted, []string{"records 5 to 8"}) {
		t.Errorf("report = %+v", r)
	}
}

// The hashes of pruned records cannot be made again: that is said, and the log
// goes on.
func TestTreeLostAfterPruning(t *testing.T) {
	t.Parallel()
	dir, c := logDir(t), newClock()
	o := Options{Now: c.now}
	l, _ := openLog(t, dir, o)
	old := deliver(t, l, "a")
	c.add(500 * day)
	deliver(t, l, "b")
	prune(t, l)
	mustClose(t, l)
	if err := os.Remove(filepath.Join(dir, treeName)); err != nil {
		t.Fatal(err)
	}
	l, _ = openLog(t, dir, o)
	if got := kinds(l); !slices.Contains(got, TreeGone) || !slices.Contains(got, Damaged) {
		t.Errorf("findings = %v", l.Findings())
	}
	add(t, l, claim("c"))
	if r := mustVerify(t, dir); len(r.Lost) == 0 {
		t.Errorf("report:\n%v", r)
	}
	if r := verify(t, dir, old); r.OK() {
		t.Error("a checkpoint from before still passes")
	}
}

func TestDamagedKeyIsRefusedAndNeverShown(t *testing.T) {
	t.Parallel()
	const secret = "PRIVATE+KEY+qvm-remote+00000000+c2VjcmV0"
	dir := written(t, Options{})
	edit(t, filepath.Join(dir, keyName), func([]byte) []byte { return []byte(secret) })
	_, err := Open(context.Background(), dir, Options{}, newRequests())
	if err == nil || strings.Contains(err.Error(), "c2VjcmV0") || !strings.Contains(err.Error(), "move it away") {
		t.Errorf("error = %v", err)
	}
	edit(t, filepath.Join(dir, pubName), func([]byte) []byte { return []byte("nonsense") })
	if _, err := Verify(context.Background(), dir, nil); err == nil {
		t.Error("a damaged public key was accepted")
	}
	if _, _, err := NewCheckpoint(""); err == nil {
		t.Error("a checkpoint of nothing")
	}
}

// A full disk that has no room for a new segment still takes a final record.
func TestRotationThatFailsDoesNotStopAppending(t *testing.T) {
	t.Parallel()
	dir, c := logDir(t), newClock()
	var fail error
	renamed := false
	o := Options{Now: c.now, hooks: hooks{replace: func(point, path string, data []byte, mode fs.FileMode) error {
		if point != "audit.segment" || fail == nil {
			return disk.Replace(point, path, data, mode)
		}
		if renamed {
			_ = disk.Replace(point, path, data, mode)
		}
		return fail
	}}}
	l, _ := openLog(t, dir, o)
	set := func(err error, after bool) {
		t.Helper()
		_, uerr := l.Update(context.Background(), func(*Tx) error { fail, renamed = err, after; return nil })
		if uerr != nil {
			t.Fatal(uerr)
		}
	}
	set(unix.ENOSPC, false)
	c.add(day)
	add(t, l, claim("a"))
	if len(segments(t, dir)) != 1 || !slices.Contains(kinds(l), NoRotation) {
		t.Errorf("findings = %v", l.Findings())
	}
	set(nil, false)
	add(t, l, claim("b"))
	if len(segments(t, dir)) != 2 || slices.Contains(kinds(l), NoRotation) {
		t.Errorf("with room again: findings = %v", l.Findings())
	}
	mustVerify(t, dir)

	// The new segment is there, but perhaps not after a power cut.
	set(unix.EIO, true)
	c.add(day)
	if err := tryAdd(l, "c"); !errors.Is(err, ErrBroken) {
		t.Errorf("error = %v", err)
	}
	_ = l.Close()
	l, q := openLog(t, dir, Options{Now: c.now})
	if _, ok := q.Claims["c"]; ok || slices.Contains(kinds(l), Short) {
		t.Errorf("claims %v, findings %v", q.Claims, l.Findings())
	}
	mustVerify(t, dir)
}

func TestCloseEndsTheWaitForTheLock(t *testing.T) {
	t.Parallel()
	dir := logDir(t)
	l, _ := openLog(t, dir, Options{})
	holder, _ := openLog(t, dir, Options{})
	held, let := make(chan struct{}), make(chan struct{})
	go func() {
		_, _ = holder.Update(context.Background(), func(*Tx) error { close(held); <-let; return nil })
	}()
	<-held
	defer close(let)
	ended := make(chan error, 1)
	go func() { ended <- tryAdd(l, "a") }()
	mustClose(t, l)
	if err := <-ended; !errors.Is(err, ErrClosed) {
		t.Errorf("error = %v", err)
	}
}

func TestBlocksAreWrittenWhereTheyCannotBeSetAside(t *testing.T) {
	t.Parallel()
	f, err := os.Create(filepath.Join(t.TempDir(), "reserve"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	const size = 100_000
	if err := writeBlocks(f, size); err != nil || !whole(f, size) {
		t.Errorf("not whole: %v", err)
	}
	if whole(f, size+1) {
		t.Error("whole, though shorter")
	}
}

// A segment whose last line cannot be read is as old as the one after it.
func TestAgeOfADamagedSegment(t *testing.T) {
	t.Parallel()
	dir, c := days(t)
	edit(t, segments(t, dir)[0].path, func(b []byte) []byte { return append(b[:len(b)-3], "?\n"...) })
	l, _ := openLog(t, dir, Options{Now: c.now})
	c.add(398 * day)
	prune(t, l)
	if n := len(segments(t, dir)); n != 4 {
		t.Errorf("%d segments are left", n)
	}
	c.add(4 * day)
	prune(t, l)
	if n := len(segments(t, dir)); n != 2 {
		t.Errorf("%d segments are left", n)
	}
}

func TestAFollowerWithoutAFolderPolls(t *testing.T) {
	t.Parallel()
	w := newWatch(filepath.Join(t.TempDir(), "missing"))
	defer w.close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	if err := w.wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error = %v", err)
	}
}

// The tree that another process made again while this one ran is the one that
// is written on.
func TestATreeMadeAgainByAnotherProcessIsUsed(t *testing.T) {
	t.Parallel()
	dir, c := days(t)
	l, _ := openLog(t, dir, Options{Now: c.now})
	if err := os.Remove(filepath.Join(dir, treeName)); err != nil {
		t.Fatal(err)
	}
	other, _ := openLog(t, dir, Options{Now: c.now})
	if got := kinds(other); !slices.Contains(got, TreeGone) {
		t.Errorf("findings = %v", got)
	}
	add(t, l, claim("x"))
	add(t, other, claim("y"))
	add(t, l, claim("z"))
	mustVerify(t, dir)
}
