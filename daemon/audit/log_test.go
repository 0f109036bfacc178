package audit

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestRecordsSurviveReopening(t *testing.T) {
	t.Parallel()
	dir := logDir(t)
	l, _ := openLog(t, dir, Options{})
	if got := kinds(l); !slices.Equal(got, []FindingKind{New}) {
		t.Errorf("findings of a new log: %v", got)
	}
	c := add(t, l, claim("a"), claim("b"))
	if !slices.Equal(c.Seqs, []int64{1, 2}) || c.Head == "" || c.Head != l.Head() {
		t.Errorf("commit = %+v", c)
	}
	add(t, l, final("a"))
	mustClose(t, l)

	l, q := openLog(t, dir, Options{})
	if f := l.Findings(); len(f) != 0 {
		t.Errorf("findings after a clean close: %v", f)
	}
	if diff := cmp.Diff(map[string]int64{"b": 2}, q.Claims); diff != "" {
		t.Error("open claims after a restart:", diff)
	}
	if c := add(t, l, final("b")); !slices.Equal(c.Seqs, []int64{4}) {
		t.Errorf("seqs after reopening = %v", c.Seqs)
	}
	r := mustVerify(t, dir)
	if r.Records != 5 || r.Proven != 0 {
		t.Errorf("report = %+v", r)
	}
	if !strings.Contains(r.String(), "cannot show whether root rewrote") {
		t.Errorf("verify without a checkpoint must say what it cannot know:\n%v", r)
	}
}

func TestFolderAndFilesArePrivate(t *testing.T) {
	t.Parallel()
	dir := logDir(t)
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	l, _ := openLog(t, dir, Options{Reserve: 64 << 10})
	add(t, l, claim("a"))
	st, err := os.Stat(dir)
	if err != nil || st.Mode().Perm() != 0o700 {
		t.Errorf("folder: %v %v", st.Mode(), err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if info, err := e.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", e.Name(), info.Mode(), err)
		}
	}
}

func TestLinksInPlaceOfTheLogAreRefused(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"", lockName, keyName, treeName} {
		parent := t.TempDir()
		dir, away := filepath.Join(parent, "audit"), filepath.Join(parent, "away")
		at, to := dir, parent
		if name != "" {
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			at, to = filepath.Join(dir, name), away
		}
		if err := os.Symlink(to, at); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(context.Background(), dir, Options{}, newRequests()); err == nil {
			t.Errorf("a link in place of %q was followed", name)
		}
		if _, err := os.Lstat(away); err == nil {
			t.Errorf("the link in place of %q was written through", name)
		}
	}
}

func TestUpdateThatRefusesWritesNothing(t *testing.T) {
	t.Parallel()
	dir := logDir(t)
	l, q := openLog(t, dir, Options{})
	refused := errors.New("refused")
	_, err := l.Update(context.Background(), func(tx *Tx) error {
		tx.Add(claim("a"))
		return refused
	})
	if !errors.Is(err, refused) {
		t.Errorf("error = %v", err)
	}
	if len(q.Claims) != 0 || count(records(t, dir), Claim) != 0 {
		t.Error("a refused update left a trace")
	}
}

func TestConcurrentUpdatesAreGroupedAndNoneIsLost(t *testing.T) {
	t.Parallel()
	dir := logDir(t)
	l, q := openLog(t, dir, Options{})
	const updates = 200
	var wg sync.WaitGroup
	var mu sync.Mutex
	seen := map[int64]bool{}
	for i := range updates {
		wg.Add(1)
		go func() {
			defer wg.Done()
			c, err := l.Update(context.Background(), func(tx *Tx) error {
				tx.Add(claim(fmt.Sprint(i)))
				return nil
			})
			if err != nil || len(c.Seqs) != 1 {
				t.Errorf("update %d: %+v %v", i, c, err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			seen[c.Seqs[0]] = true
		}()
	}
	wg.Wait()
	for seq := int64(1); seq <= updates; seq++ {
		if !seen[seq] {
			t.Errorf("seq %d was given to nobody", seq)
		}
	}
	if len(q.Claims) != updates {
		t.Errorf("%d claims are applied", len(q.Claims))
	}
	if r := mustVerify(t, dir); r.Records != updates+1 {
		t.Errorf("%d records", r.Records)
	}
}

// The second of two claims of one id in the same batch must see the first.
func TestAnUpdateSeesTheOneBeforeIt(t *testing.T) {
	t.Parallel()
	l, q := openLog(t, logDir(t), Options{})
	taken := errors.New("taken")
	var wg sync.WaitGroup
	var won, lost int
	var mu sync.Mutex
	for range 50 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			_, err := l.Update(context.Background(), func(tx *Tx) error {
				if _, ok := q.Claims["one"]; ok {
					return taken
				}
				tx.Add(claim("one"))
				return nil
			})
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				won++
			} else if errors.Is(err, taken) {
				lost++
			}
		}()
	}
	wg.Wait()
	if won != 1 || lost != 49 {
		t.Errorf("%d won, %d lost", won, lost)
	}
}

func TestANewSegmentEachDayAndAboveTheSize(t *testing.T) {
	t.Parallel()
	dir := logDir(t)
	clock := newClock()
	l, _ := openLog(t, dir, Options{Now: clock.now, SegmentBytes: 2000})
	fill(t, l, 12)
	clock.add(24 * time.Hour)
	fill(t, l, 1)
	clock.add(-72 * time.Hour)
	fill(t, l, 12)
	segs, err := listSegments(dir)
	if err != nil || len(segs) < 4 {
		t.Fatalf("%d segments, %v", len(segs), err)
	}
	date := ""
	for _, s := range segs {
		if s.date < date {
			t.Errorf("the date went back: %v after %v", s.date, date)
		}
		date = s.date
		if r, err := firstRecord(s); err != nil || r.Event != CarryEvent {
			t.Errorf("%s begins with %v, %v", s.path, r.Event, err)
		}
	}
	if date != "2026-11-24" {
		t.Errorf("last date = %s", date)
	}
	mustVerify(t, dir)
}

func TestWaitingForTheLockEndsWithTheContext(t *testing.T) {
	t.Parallel()
	dir := logDir(t)
	l, _ := openLog(t, dir, Options{})
	holder, _ := openLog(t, dir, Options{})
	held, let := make(chan struct{}), make(chan struct{})
	done := make(chan error)
	go func() {
		_, err := holder.Update(context.Background(), func(*Tx) error {
			close(held)
			<-let
			return nil
		})
		done <- err
	}()
	<-held
	ctx, cancel := context.WithCancel(context.Background())
	ran := false
	go cancel()
	_, err := l.Update(ctx, func(*Tx) error { ran = true; return nil })
	if !errors.Is(err, context.Canceled) || ran {
		t.Errorf("error = %v, ran %v", err, ran)
	}
	_, err = Open(ctx, dir, Options{}, newRequests())
	if !errors.Is(err, context.Canceled) {
		t.Errorf("open while locked: %v", err)
	}
	close(let)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestClosedLogAcceptsNothing(t *testing.T) {
	t.Parallel()
	l, _ := openLog(t, logDir(t), Options{})
	mustClose(t, l)
	if err := l.Close(); err != nil {
		t.Errorf("second close: %v", err)
	}
	_, err := l.Update(context.Background(), func(*Tx) error { return nil })
	if !errors.Is(err, ErrClosed) {
		t.Errorf("error = %v", err)
	}
}

func TestLongTextIsCutAndLongRecordsAreRefused(t *testing.T) {
	t.Parallel()
	dir := logDir(t)
	l, _ := openLog(t, dir, Options{})
	r := claim("a")
	r.Command = strings.Repeat("é\x1b", maxLine)
	r.Detail = strings.Repeat("x", 2*maxLine)
	add(t, l, r)
	got, err := ReadLast(context.Background(), dir, 1)
	if err != nil || len(got) != 1 || !strings.HasSuffix(got[0].Command, cutMark) || !strings.HasSuffix(got[0].Detail, cutMark) {
		t.Fatalf("%d records, %v", len(got), err)
	}
	_, err = l.Update(context.Background(), func(tx *Tx) error {
		tx.Add(Record{Event: Claim, ID: strings.Repeat("x", 2*maxLine)})
		return nil
	})
	if !errors.Is(err, ErrTooLong) {
		t.Errorf("error = %v", err)
	}
	mustVerify(t, dir)
}
