package audit

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"qvmremote/daemon/disk"
)

// failing is a disk that can be told to fail.
type failing struct {
	write, cut, sync, head atomic.Pointer[error]
	short                  atomic.Bool // a failing write leaves half of it
}

func set(p *atomic.Pointer[error], err error) { p.Store(&err) }

func (d *failing) err(p *atomic.Pointer[error]) error {
	if e := p.Load(); e != nil {
		return *e
	}
	return nil
}

func (d *failing) hooks() hooks {
	return hooks{
		writeAt: func(f *os.File, b []byte, off int64) (int, error) {
			err := d.err(&d.write)
			if err == nil || filepath.Base(f.Name()) == treeName {
				return f.WriteAt(b, off)
			}
			n := 0
			if d.short.Load() {
				n, _ = f.WriteAt(b[:len(b)/2], off)
			}
			return n, err
		},
		truncate: func(f *os.File, size int64) error {
			if err := d.err(&d.cut); err != nil {
				return err
			}
			return f.Truncate(size)
		},
		sync: func(point string, f *os.File) error {
			if err := d.err(&d.sync); err != nil {
				return err
			}
			return disk.Sync(point, f)
		},
		replace: func(point, path string, data []byte, mode fs.FileMode) error {
			if err := d.err(&d.head); err != nil && filepath.Base(path) == headName {
				return err
			}
			return disk.Replace(point, path, data, mode)
		},
	}
}

func tryAdd(l *Log, id string) error {
	_, err := l.Update(context.Background(), func(tx *Tx) error { tx.Add(claim(id)); return nil })
	return err
}

func TestFailedAppendLeavesLogAndStateAsTheyWere(t *testing.T) {
	t.Parallel()
	for _, short := range []bool{false, true} {
		for _, cause := range []error{unix.ENOSPC, unix.EROFS, unix.EFBIG} {
			dir := logDir(t)
			var d failing
			d.short.Store(short)
			l, q := openLog(t, dir, Options{hooks: d.hooks()})
			add(t, l, claim("a"))
			set(&d.write, cause)
			if err := tryAdd(l, "b"); !errors.Is(err, cause) || !strings.Contains(err.Error(), "cannot write to the audit log") {
				t.Errorf("%v: error = %v", cause, err)
			}
			if _, ok := q.Claims["b"]; ok || !slices.Contains(kinds(l), Failing) {
				t.Errorf("%v: claims %v, findings %v", cause, q.Claims, l.Findings())
			}
			mustVerify(t, dir)
			set(&d.write, nil)
			c := add(t, l, claim("c"))
			if !slices.Equal(c.Seqs, []int64{2}) || slices.Contains(kinds(l), Failing) {
				t.Errorf("%v: afterwards seqs %v, findings %v", cause, c.Seqs, l.Findings())
			}
			if r := mustVerify(t, dir); r.Records != 3 {
				t.Errorf("%v: %d records", cause, r.Records)
			}
		}
	}
}

func TestNothingIsAcceptedAfterTheDiskFailed(t *testing.T) {
	t.Parallel()
	spoil := map[string]func(d *failing){
		"fsync": func(d *failing) { set(&d.sync, unix.EIO) },
		"cut back": func(d *failing) {
			d.short.Store(true)
			set(&d.write, unix.ENOSPC)
			set(&d.cut, unix.EIO)
		},
	}
	for name, change := range spoil {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := logDir(t)
			var d failing
			l, _ := openLog(t, dir, Options{hooks: d.hooks()})
			add(t, l, claim("a"))
			change(&d)
			if err := tryAdd(l, "b"); !errors.Is(err, ErrBroken) || !errors.Is(err, unix.EIO) {
				t.Errorf("error = %v", err)
			}
			set(&d.sync, nil)
			set(&d.write, nil)
			set(&d.cut, nil)
			if err := tryAdd(l, "c"); !errors.Is(err, ErrBroken) {
				t.Errorf("error of a later update = %v", err)
			}
			if !slices.Contains(kinds(l), Broken) {
				t.Errorf("findings = %v", l.Findings())
			}
			_ = l.Close()
			l, q := openLog(t, dir, Options{})
			add(t, l, claim("d"))
			if _, ok := q.Claims["c"]; ok {
				t.Error("a refused claim is in the log")
			}
			mustVerify(t, dir)
		})
	}
}

func TestRecordsWithoutAHeadAreSaidToBeThere(t *testing.T) {
	t.Parallel()
	dir := logDir(t)
	var d failing
	l, q := openLog(t, dir, Options{hooks: d.hooks()})
	set(&d.head, unix.EROFS)
	c, err := l.UpdateFinal(context.Background(), func(tx *Tx) error { tx.Add(claim("a")); return nil })
	if !errors.Is(err, ErrUnsigned) || !errors.Is(err, unix.EROFS) || !slices.Equal(c.Seqs, []int64{1}) {
		t.Errorf("commit %+v, error %v", c, err)
	}
	if q.Claims["a"] != 1 || !slices.Contains(kinds(l), Unsigned) {
		t.Errorf("claims %v, findings %v", q.Claims, l.Findings())
	}
	if got := records(t, dir); len(got) != 1 {
		t.Errorf("readers see %d records", len(got))
	}
	// As long as the head cannot be written nothing more is appended.
	if err := tryAdd(l, "b"); !errors.Is(err, unix.EROFS) || errors.Is(err, ErrUnsigned) {
		t.Errorf("error = %v", err)
	}
	set(&d.head, nil)
	c, err = l.Update(context.Background(), func(*Tx) error { return nil })
	if err != nil || c.Head == "" || len(q.Claims) != 1 {
		t.Errorf("commit %+v, error %v, claims %v", c, err, q.Claims)
	}
	if r := mustVerify(t, dir); r.Records != 2 {
		t.Errorf("%d records", r.Records)
	}
}

func TestFinalRecordsUseTheReserveOfAFullDisk(t *testing.T) {
	t.Parallel()
	const size = 256 << 10
	dir := logDir(t)
	var d failing
	o := Options{Reserve: size, hooks: d.hooks()}
	l, _ := openLog(t, dir, o)
	reserve := filepath.Join(dir, reserveName)
	given := func() bool {
		st, err := os.Stat(reserve)
		return err == nil && st.Size() == 0
	}
	full := d.hooks()
	l.o.hooks.writeAt = func(f *os.File, b []byte, off int64) (int, error) {
		if given() {
			return f.WriteAt(b, off)
		}
		return full.writeAt(f, b, off)
	}
	if err := l.ReserveReady(); err != nil || given() {
		t.Fatalf("reserve of a new log: %v", err)
	}
	add(t, l, claim("a"))
	set(&d.write, unix.ENOSPC)
	if err := tryAdd(l, "b"); !errors.Is(err, unix.ENOSPC) || given() {
		t.Errorf("a claim on a full disk: %v, reserve given: %v", err, given())
	}
	_, err := l.UpdateFinal(context.Background(), func(tx *Tx) error { tx.Add(final("a")); return nil })
	if err != nil || !given() {
		t.Errorf("a final record on a full disk: %v, reserve given: %v", err, given())
	}
	if err := l.ReserveReady(); !errors.Is(err, ErrReserve) || !slices.Contains(kinds(l), NoReserve) {
		t.Errorf("reserve = %v, findings %v", err, l.Findings())
	}
	// There is room again: the next Update sees to the reserve.
	set(&d.write, nil)
	_, err = l.Update(context.Background(), func(tx *Tx) error { return tx.RequireReserve() })
	if err != nil || l.ReserveReady() != nil || given() {
		t.Errorf("reserve with room again: %v", err)
	}
	mustVerify(t, dir)
}

// On a real small disk: claims stop, the final records of what runs are kept.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	dir := smallDisk(t, 2<<20)
	l, q := openLog(t, dir, Options{Reserve: 256 << 10})
	long := claim("long")
	long.Command = strings.Repeat("x", 32<<10)
	var claims int
	for ; claims < 1000; claims++ {
		_, err := l.Update(context.Background(), func(tx *Tx) error {
			if err := tx.RequireReserve(); err != nil {
				return err
			}
			tx.Add(long)
			return nil
		})
		if err != nil {
			if !errors.Is(err, unix.ENOSPC) && !errors.Is(err, ErrUnsigned) && !errors.Is(err, ErrReserve) {
				t.Fatal(err)
			}
			break
		}
	}
	if claims == 0 || claims == 1000 {
		t.Fatalf("%d claims on a small disk", claims)
	}
	_, err := l.UpdateFinal(context.Background(), func(tx *Tx) error { tx.Add(final("long")); return nil })
	if err != nil || len(q.Claims) != 0 {
		t.Fatalf("the final record was not written: %v", err)
	}
	mustVerify(t, dir)
	mustClose(t, l)
	l, q = openLog(t, dir, Options{Reserve: 256 << 10})
	if len(q.Claims) != 0 || slices.Contains(kinds(l), Short) {
		t.Errorf("after a restart: claims %v, findings %v", q.Claims, l.Findings())
	}
}

func TestReadOnlyFolder(t *testing.T) {
	t.Parallel()
	dir := logDir(t)
	l, q := openLog(t, dir, Options{})
	add(t, l, claim("a"))
	writable := makeReadOnly(t, dir)
	for range 2 {
		err := tryAdd(l, "b")
		if !errors.Is(err, unix.EROFS) || errors.Is(err, ErrBroken) || !strings.Contains(err.Error(), dir) {
			t.Errorf("error = %v", err)
		}
	}
	if len(q.Claims) != 1 || !slices.Contains(kinds(l), Failing) {
		t.Errorf("claims %v, findings %v", q.Claims, l.Findings())
	}
	if _, err := Open(context.Background(), dir, Options{}, newRequests()); !errors.Is(err, unix.EROFS) {
		t.Errorf("open: %v", err)
	}
	if r := mustVerify(t, dir); r.Records != 2 {
		t.Errorf("%d records", r.Records)
	}
	writable()
	add(t, l, claim("c"))
	if len(q.Claims) != 2 || slices.Contains(kinds(l), Failing) {
		t.Errorf("claims %v, findings %v", q.Claims, l.Findings())
	}
	mustVerify(t, dir)
}

// smallDisk mounts a file system of its own.
func smallDisk(t *testing.T, size int) string {
	t.Helper()
	dir := logDir(t)
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("none", dir, "tmpfs", 0, "mode=0700,size="+number(int64(size))); err != nil {
		t.Skipf("a small disk cannot be mounted here: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// makeReadOnly puts a read-only mount over dir and returns what takes it away.
func makeReadOnly(t *testing.T, dir string) (undo func()) {
	t.Helper()
	if err := unix.Mount(dir, dir, "", unix.MS_BIND, ""); err != nil {
		t.Skipf("nothing can be mounted here: %v", err)
	}
	mounted := true
	undo = func() {
		if mounted {
			mounted = false
			if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
				t.Error(err)
			}
		}
	}
	t.Cleanup(undo)
	if err := unix.Mount("", dir, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Skipf("a mount cannot be made read-only here: %v", err)
	}
	return undo
}
