package audit

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// newest gives the path of the newest segment.
func newest(t testing.TB, dir string) string {
	t.Helper()
	segs, err := listSegments(dir)
	if err != nil || len(segs) == 0 {
		t.Fatal(len(segs), err)
	}
	return segs[len(segs)-1].path
}

// edit changes a file of the log behind its back.
func edit(t testing.TB, path string, change func([]byte) []byte) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, change(data), 0o600); err != nil {
		t.Fatal(err)
	}
}

// written makes a closed log of ten requests, a to j, in one segment.
func written(t testing.TB, o Options) string {
	t.Helper()
	dir := logDir(t)
	l, _ := openLog(t, dir, o)
	for c := 'a'; c <= 'j'; c++ {
		add(t, l, claim(string(c)), final(string(c)))
	}
	mustClose(t, l)
	return dir
}

func TestTornTailIsCutAndRecorded(t *testing.T) {
	t.Parallel()
	dir := written(t, Options{})
	edit(t, newest(t, dir), func(b []byte) []byte { return append(b, `{"seq":21,"ev`...) })
	l, _ := openLog(t, dir, Options{})
	if got := kinds(l); !slices.Equal(got, []FindingKind{TornTail}) {
		t.Errorf("findings = %v", l.Findings())
	}
	add(t, l, claim("z"))
	all := records(t, dir)
	if len(all) != 23 || all[21].Event != Torn || all[21].Count != 13 {
		t.Errorf("records at the end: %+v", all[20:])
	}
	mustVerify(t, dir)
}

// A process that dies in the middle of a line must not stop the one that lives.
func TestTornTailOfAnotherProcessIsCut(t *testing.T) {
	t.Parallel()
	dir := logDir(t)
	l, _ := openLog(t, dir, Options{})
	add(t, l, claim("a"))
	edit(t, newest(t, dir), func(b []byte) []byte { return append(b, "{"...) })
	c := add(t, l, claim("b"))
	if !slices.Equal(c.Seqs, []int64{3}) || count(records(t, dir), Torn) != 1 {
		t.Errorf("seqs %v, records %v", c.Seqs, records(t, dir))
	}
	mustVerify(t, dir)
}

func TestLogShorterThanItsHeadIsALoss(t *testing.T) {
	t.Parallel()
	dir := written(t, Options{})
	edit(t, newest(t, dir), func(b []byte) []byte {
		lines := bytes.SplitAfter(b, []byte("\n"))
		return bytes.Join(lines[:15], nil)
	})
	l, q := openLog(t, dir, Options{})
	if got := kinds(l); !slices.Equal(got, []FindingKind{Short}) {
		t.Errorf("findings = %v", l.Findings())
	}
	all := records(t, dir)
	if last := all[len(all)-1]; last.Event != Loss || last.Seq != 15 || last.Oldest != 15 || last.Count != 6 {
		t.Errorf("last record = %+v", last)
	}
	if len(q.applied) == 0 || q.applied[len(q.applied)-1] != 15 {
		t.Errorf("the loss was not given to the fold: %v", q.applied)
	}
	mustClose(t, l)
	l, _ = openLog(t, dir, Options{})
	if f := l.Findings(); len(f) != 0 {
		t.Errorf("a loss that is recorded was found again: %v", f)
	}
	if r := mustVerify(t, dir); len(r.Lost) != 1 {
		t.Errorf("report = %+v", r)
	}
}

func TestAllSegmentsGoneIsALoss(t *testing.T) {
	t.Parallel()
	dir := written(t, Options{})
	if err := os.Remove(newest(t, dir)); err != nil {
		t.Fatal(err)
	}
	l, _ := openLog(t, dir, Options{})
	if got := kinds(l); !slices.Equal(got, []FindingKind{Short}) {
		t.Errorf("findings = %v", l.Findings())
	}
	mustVerify(t, dir)
}

func TestDamagedLinesAreNamedAndDoNotStopAStart(t *testing.T) {
	t.Parallel()
	spoil := map[string]func(lines [][]byte) [][]byte{
		"garbled": func(l [][]byte) [][]byte { l[5] = []byte("\x00\x00\x00\n"); return l },
		"joined":  func(l [][]byte) [][]byte { l[5] = bytes.TrimSuffix(l[5], []byte("\n")); return l },
		"split":   func(l [][]byte) [][]byte { l[5] = []byte("{\"a\":\n1}\n"); return l },
		"removed": func(l [][]byte) [][]byte { return slices.Delete(l, 5, 6) },
		"altered": func(l [][]byte) [][]byte { l[5] = bytes.Replace(l[5], []byte(`"c"`), []byte(`"x"`), 1); return l },
		"doubled": func(l [][]byte) [][]byte { return slices.Insert(l, 5, l[4]) },
		"last":    func(l [][]byte) [][]byte { l[20] = []byte("no record\n"); return l },
		"first":   func(l [][]byte) [][]byte { l[0] = []byte("no record\n"); return l },
	}
	for name, change := range spoil {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := written(t, Options{})
			edit(t, newest(t, dir), func(b []byte) []byte {
				lines := bytes.SplitAfter(b, []byte("\n"))
				return bytes.Join(change(lines[:len(lines)-1]), nil)
			})
			if r := verify(t, dir); r.OK() {
				t.Errorf("verify did not notice:\n%v", r)
			}
			l, _ := openLog(t, dir, Options{})
			found := kinds(l)
			if name != "doubled" && !slices.Contains(found, Damaged) {
				t.Errorf("findings = %v", l.Findings())
			}
			losses := count(records(t, dir), Loss)
			add(t, l, claim("after"))
			mustClose(t, l)

			l, q := openLog(t, dir, Options{})
			if _, ok := q.Claims["after"]; !ok {
				t.Error("a claim after the damage was not read")
			}
			add(t, l, final("after"))
			if again := count(records(t, dir), Loss); again != losses {
				t.Errorf("%d losses recorded, after another start %d", losses, again)
			}
			if r := verify(t, dir); r.OK() && len(r.Excepted) == 0 {
				t.Errorf("verify forgot the damage:\n%v", r)
			}
		})
	}
}

func TestMissingHeadIsALoss(t *testing.T) {
	t.Parallel()
	for _, forged := range []bool{false, true} {
		dir := written(t, Options{})
		path := filepath.Join(dir, headName)
		if forged {
			edit(t, path, func(b []byte) []byte { return bytes.Replace(b, []byte("21"), []byte("20"), 1) })
		} else if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		l, _ := openLog(t, dir, Options{})
		if !slices.Contains(kinds(l), NoHead) || count(records(t, dir), Loss) != 1 {
			t.Errorf("forged %v: findings = %v", forged, l.Findings())
		}
		mustVerify(t, dir)
	}
}

func TestALostKeyIsReplacedAndOldHeadsStayReadable(t *testing.T) {
	t.Parallel()
	dir := logDir(t)
	l, _ := openLog(t, dir, Options{})
	checkpoint := deliver(t, l, "a")
	mustClose(t, l)
	if err := os.Remove(filepath.Join(dir, keyName)); err != nil {
		t.Fatal(err)
	}
	l, _ = openLog(t, dir, Options{})
	if !slices.Contains(kinds(l), ChangedKey) {
		t.Errorf("findings = %v", l.Findings())
	}
	add(t, l, claim("b"))
	mustVerify(t, dir, checkpoint)
}

// A crash may lose or garble what of the tree was not fsynced; the records of
// the newest segment give it back.
func TestTreeIsMadeAgainFromTheRecords(t *testing.T) {
	t.Parallel()
	spoil := map[string]func([]byte) []byte{
		"short":    func(b []byte) []byte { return b[:len(b)-100] },
		"zeros":    func(b []byte) []byte { clear(b[len(b)-200:]); return b },
		"old part": func(b []byte) []byte { clear(b[:storedBytes(11)]); return b },
		"surplus":  func(b []byte) []byte { return append(b, make([]byte, 96)...) },
		"empty":    func([]byte) []byte { return nil },
	}
	for name, change := range spoil {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			clock := newClock()
			dir := logDir(t)
			l, _ := openLog(t, dir, Options{Now: clock.now})
			fill(t, l, 5)
			clock.add(24 * time.Hour)
			fill(t, l, 5)
			mustClose(t, l)
			edit(t, filepath.Join(dir, treeName), change)
			l, _ = openLog(t, dir, Options{Now: clock.now})
			rebuilt := name == "empty" || name == "old part"
			if rebuilt != slices.Equal(kinds(l), []FindingKind{TreeGone}) || !rebuilt && len(l.Findings()) != 0 {
				t.Errorf("findings = %v", l.Findings())
			}
			mustVerify(t, dir)
			add(t, l, claim("z"))
			if n := count(records(t, dir), Loss); n != 0 {
				t.Errorf("%d losses, though every record is there", n)
			}
			mustVerify(t, dir)
		})
	}
}

// A log that changes under a running process is not written on.
func TestALogChangedBehindTheBackIsNotWrittenOn(t *testing.T) {
	t.Parallel()
	spoil := map[string]func(t *testing.T, path string){
		"shorter": func(t *testing.T, path string) {
			if err := os.Truncate(path, 10); err != nil {
				t.Fatal(err)
			}
		},
		"gone": func(t *testing.T, path string) {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		},
		"foreign line": func(t *testing.T, path string) {
			edit(t, path, func(b []byte) []byte { return append(b, "hello\n"...) })
		},
		"lock gone": func(t *testing.T, path string) {
			if err := os.Remove(filepath.Join(filepath.Dir(path), lockName)); err != nil {
				t.Fatal(err)
			}
		},
		"tree gone": func(t *testing.T, path string) {
			if err := os.Remove(filepath.Join(filepath.Dir(path), treeName)); err != nil {
				t.Fatal(err)
			}
		},
		"tree shorter": func(t *testing.T, path string) {
			if err := os.Truncate(filepath.Join(filepath.Dir(path), treeName), 32); err != nil {
				t.Fatal(err)
			}
		},
		"skipped seq": func(t *testing.T, path string) {
			edit(t, path, func(b []byte) []byte { return append(b, "{\"seq\":99,\"event\":\"x\"}\n"...) })
		},
	}
	for name, change := range spoil {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := logDir(t)
			l, q := openLog(t, dir, Options{})
			add(t, l, claim("a"))
			change(t, newest(t, dir))
			for range 2 {
				_, err := l.Update(context.Background(), func(tx *Tx) error { tx.Add(claim("b")); return nil })
				if err == nil || !strings.Contains(err.Error(), "until the service is restarted") {
					t.Errorf("error = %v", err)
				}
			}
			if len(q.Claims) != 1 || !slices.Contains(kinds(l), Broken) {
				t.Errorf("claims %v, findings %v", q.Claims, l.Findings())
			}
		})
	}
}

func TestDamageIsSummedUp(t *testing.T) {
	t.Parallel()
	dir := logDir(t)
	l, _ := openLog(t, dir, Options{})
	for i := range 200 {
		add(t, l, claim(fmt.Sprint(i)))
	}
	mustClose(t, l)
	edit(t, newest(t, dir), func(b []byte) []byte {
		lines := bytes.SplitAfter(b, []byte("\n"))
		for i := 1; i < len(lines)-1; i += 2 {
			lines[i] = []byte("?\n")
		}
		return bytes.Join(lines, nil)
	})
	l, _ = openLog(t, dir, Options{})
	if n := count(records(t, dir), Loss); n == 0 || n > maxLossRecords {
		t.Errorf("%d loss records", n)
	}
	mustClose(t, l)
	l, _ = openLog(t, dir, Options{})
	if f := l.Findings(); len(f) != 0 {
		t.Errorf("found again: %v", f)
	}
	if r := verify(t, dir); !r.OK() || len(r.Excepted) == 0 {
		t.Errorf("report:\n%v", r)
	}
}
