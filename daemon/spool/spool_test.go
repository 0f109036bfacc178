package spool

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"qvmremote/queue"
)

func newSpool(t *testing.T, q Quota) *Spool {
	t.Helper()
	s, err := Open(filepath.Join(t.TempDir(), "spool"), q)
	if err != nil {
		t.Fatal(err)
	}
	s.free = func(string) (int64, error) { return 1 << 40, nil }
	return s
}

var plenty = Quota{Qube: 1 << 30, Total: 1 << 30, Free: 1 << 20}

func newEntry(t *testing.T, s *Spool, number int64, qube string, size int64) *Entry {
	t.Helper()
	e, err := s.Create(number, qube, size, "ab12 cd34", queue.GenerateKey().ResultKey())
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func fill(b string) func(io.Writer) error {
	return func(w io.Writer) error { _, err := io.WriteString(w, b); return err }
}

func TestQuotas(t *testing.T) {
	t.Parallel()
	const one = 1 << 20
	for name, c := range map[string]struct {
		quota Quota
		qube  string // that asks for the third entry
		fits  bool
	}{
		"all fits":              {Quota{Qube: 9 * one, Total: 9 * one}, "work", true},
		"the qube's share":      {Quota{Qube: 5 * one / 2, Total: 9 * one}, "work", false},
		"another qube's share":  {Quota{Qube: 5 * one / 2, Total: 9 * one}, "vault", true},
		"all of the spool":      {Quota{Qube: 9 * one, Total: 5 * one / 2}, "vault", false},
		"the disk's free space": {Quota{Qube: 9 * one, Total: 9 * one, Free: 1<<40 - one/2}, "vault", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSpool(t, c.quota)
			k := queue.GenerateKey().ResultKey()
			if c.quota.Free == 0 {
				newEntry(t, s, 1, "work", one)
				newEntry(t, s, 2, "work", one)
			}
			_, err := s.Create(3, c.qube, one, "ab12 cd34", k)
			if c.fits && err != nil || !c.fits && !errors.Is(err, ErrFull) {
				t.Fatalf("the third entry: %v", err)
			}
			numbers, err := s.Numbers()
			if err != nil {
				t.Fatal(err)
			}
			if slices.Contains(numbers, 3) != c.fits {
				t.Errorf("folders %v are there", numbers)
			}
		})
	}
}

func TestManyTinyRequestsFillTheSpool(t *testing.T) {
	t.Parallel()
	s := newSpool(t, Quota{Qube: 1 << 20, Total: 1 << 30})
	k := queue.GenerateKey().ResultKey()
	n := int64(0)
	var err error
	for ; err == nil && n < 1000; n++ {
		_, err = s.Create(n+1, "work", 1, "ab12 cd34", k)
	}
	if !errors.Is(err, ErrFull) || n > 70 {
		t.Errorf("after %d requests of a byte each: %v", n, err)
	}
}

func TestWhatIsRemovedIsGivenBackOnce(t *testing.T) {
	t.Parallel()
	s := newSpool(t, plenty)
	e := newEntry(t, s, 1, "work", 1000)
	other := newEntry(t, s, 2, "vault", 1000)
	out := e.Output(queue.Stdout)
	if _, err := out.Write(make([]byte, 5000)); err != nil {
		t.Fatal(err)
	}
	if err := out.Release(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := e.Remove(); err != nil {
			t.Fatal(err)
		}
	}
	if s.total != other.reserved || s.used["work"] != 0 || s.used["vault"] != other.reserved {
		t.Errorf("%d bytes in all, by qube %v; only vault's %d are there", s.total, s.used, other.reserved)
	}
}

func TestOutputsCountAsTheyGrow(t *testing.T) {
	t.Parallel()
	s := newSpool(t, Quota{Qube: entryCost + 10_000, Total: 1 << 30})
	e := newEntry(t, s, 1, "work", 0)
	out := e.Output(queue.Stdout)
	if n, err := out.Write(make([]byte, 8000)); n != 8000 || err != nil {
		t.Fatalf("%d, %v", n, err)
	}
	if n, err := out.Write(make([]byte, 8000)); n != 0 || !errors.Is(err, ErrFull) {
		t.Fatalf("beyond the quota: %d, %v", n, err)
	}
	if out.Size() != 8000 || out.Sum() != queue.SumOf(make([]byte, 8000)) {
		t.Errorf("the output has %d bytes, sum %s", out.Size(), out.Sum())
	}
}

func TestANumberIsUsedOnce(t *testing.T) {
	t.Parallel()
	s := newSpool(t, plenty)
	e := newEntry(t, s, 7, "work", 0)
	if err := e.SaveResult([]byte("answer")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Create(7, "vault", 0, "ab12 cd34", queue.GenerateKey().ResultKey()); !errors.Is(err, fs.ErrExist) {
		t.Fatalf("a second request got the folder of another: %v", err)
	}
	if b, ok, err := e.Result(); string(b) != "answer" || !ok || err != nil {
		t.Errorf("the first one's answer is %q, %v, %v", b, ok, err)
	}
}

func TestPartsMustBeWhatTheHeaderSays(t *testing.T) {
	t.Parallel()
	want := queue.SumOf([]byte("hostname\n"))
	other := want
	other.SHA256[0] ^= 1
	for name, c := range map[string]struct {
		want queue.Sum
		fill func(io.Writer) error
		err  error
	}{
		"as it says":  {want, fill("hostname\n"), nil},
		"other bytes": {want, fill("hostnamE\n"), ErrMismatch},
		"shorter":     {want, fill("hostname"), ErrMismatch},
		"longer":      {want, fill("hostname\n\n"), ErrMismatch},
		"nothing":     {want, fill(""), ErrMismatch},
		"another sum": {other, fill("hostname\n"), ErrMismatch},
		"a failure":   {want, func(io.Writer) error { return io.ErrClosedPipe }, io.ErrClosedPipe},
		"in pieces": {want, func(w io.Writer) error {
			_, err := io.Copy(w, io.MultiReader(bytes.NewBufferString("host"), bytes.NewBufferString("name\n")))
			return err
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newEntry(t, newSpool(t, plenty), 1, "work", 100)
			if err := e.Script(c.want, c.fill); !errors.Is(err, c.err) {
				t.Errorf("script: %v, want %v", err, c.err)
			}
			if err := e.Stdin(c.want, c.fill); !errors.Is(err, c.err) {
				t.Errorf("stdin: %v, want %v", err, c.err)
			}
			if c.err != nil {
				return
			}
			if b, err := e.ReadScript(); string(b) != "hostname\n" || err != nil {
				t.Errorf("stored: %q, %v", b, err)
			}
			if b, err := os.ReadFile(e.StdinPath()); string(b) != "hostname\n" || err != nil {
				t.Errorf("stored: %q, %v", b, err)
			}
		})
	}
}

// A part read twice, after the connection broke in the middle, is the last
// reading alone.
func TestAPartIsReadAnew(t *testing.T) {
	t.Parallel()
	e := newEntry(t, newSpool(t, plenty), 1, "work", 100)
	want := queue.SumOf([]byte("ls\n"))
	_ = e.Script(want, func(w io.Writer) error { _, _ = w.Write([]byte("ls")); return io.ErrUnexpectedEOF })
	if err := e.Script(want, fill("ls\n")); err != nil {
		t.Fatal(err)
	}
}

func TestOnlyNumbersBecomePaths(t *testing.T) {
	t.Parallel()
	s := newSpool(t, plenty)
	newEntry(t, s, 12, "../../escape", 0)
	for _, name := range []string{"007", "-3", "0", "x", "3.5"} {
		if err := os.Mkdir(filepath.Join(s.dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	numbers, err := s.Numbers()
	if err != nil || !slices.Equal(numbers, []int64{12}) {
		t.Errorf("%v, %v", numbers, err)
	}
	info, err := os.Stat(filepath.Join(s.dir, "12"))
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder: %v, %v", info.Mode(), err)
	}
	if err := s.RemoveStray(12); err != nil {
		t.Fatal(err)
	}
	if numbers, _ = s.Numbers(); len(numbers) != 0 {
		t.Errorf("%v are left", numbers)
	}
}
