package keys

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"qvmremote/queue"
)

const testUUID = "5f1c4d2a-0f0e-4c57-9d4c-9c2f7a3c1b11"

func open(t *testing.T) *Store {
	t.Helper()
	s, err := Open(filepath.Join(t.TempDir(), "etc/qubes/remote.d"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestAStoredKeyIsReadBack(t *testing.T) {
	t.Parallel()
	s, k := open(t), queue.GenerateKey()
	m := Meta{Authorised: 1795444952, UUID: testUUID, Until: 1795445952, Other: []Line{{"note", "from a later version"}}}
	must(t, s.Put("work", k, m))
	h, err := s.Get("work")
	must(t, err)
	if !h.Current.Equal(k) || !h.Next.IsZero() || !h.HasMeta || !h.Meta.equal(m) {
		t.Fatalf("read back %+v", h)
	}
	raw, err := os.ReadFile(filepath.Join(s.dir, "work.key"))
	must(t, err)
	if string(raw) != string(k.Reveal()) {
		t.Error("the key file is not exactly the 64 characters")
	}
	for name, mode := range map[string]os.FileMode{".": 0o700, "work.key": 0o600, "work.meta": 0o600} {
		info, err := os.Stat(filepath.Join(s.dir, name))
		must(t, err)
		if info.Mode().Perm() != mode {
			t.Errorf("%s has mode %o, want %o", name, info.Mode().Perm(), mode)
		}
	}
}

func TestNoKeyIsAnErrorOfItsOwn(t *testing.T) {
	t.Parallel()
	s := open(t)
	if _, err := s.Get("work"); !errors.Is(err, ErrNoKey) {
		t.Fatalf("got %v", err)
	}
	if err := s.PutNext("work", queue.GenerateKey()); !errors.Is(err, ErrNoKey) {
		t.Errorf("PutNext: %v", err)
	}
	if err := s.Promote("work"); !errors.Is(err, ErrNoNext) {
		t.Errorf("Promote: %v", err)
	}
}

func TestNamesThatAreNoQubesNeverBecomePaths(t *testing.T) {
	t.Parallel()
	s := open(t)
	k := queue.GenerateKey()
	outside := filepath.Join(filepath.Dir(s.dir), "x.key")
	must(t, os.WriteFile(outside, k.Reveal(), 0o600))
	for _, vm := range []string{"", "../x", "a/b", "dom0", "none", "sys-net-dm", "#", "a\nb", "a b", "$(id)", ".lock", strings.Repeat("a", 32)} {
		_, err := s.Get(vm)
		for what, err := range map[string]error{
			"Get": err, "Put": s.Put(vm, k, Meta{}), "PutMeta": s.PutMeta(vm, Meta{}), "PutNext": s.PutNext(vm, k),
			"Promote": s.Promote(vm), "RemoveNext": s.RemoveNext(vm), "Remove": s.Remove(vm),
		} {
			if !errors.Is(err, ErrName) {
				t.Errorf("%s(%q): %v", what, vm, err)
			} else if strings.ContainsAny(err.Error(), "\n\x1b") {
				t.Errorf("%s(%q): the error is not one plain line", what, vm)
			}
		}
	}
	if _, err := os.Stat(outside); err != nil {
		t.Error(err)
	}
}

func TestABadFileIsRefusedByItsFault(t *testing.T) {
	t.Parallel()
	good := string(queue.GenerateKey().Reveal())
	write := func(content string, mode os.FileMode) func(t *testing.T, path string) {
		return func(t *testing.T, path string) {
			must(t, os.WriteFile(path, []byte(content), 0o600))
			must(t, unix.Chmod(path, uint32(mode)))
		}
	}
	for name, c := range map[string]struct {
		make func(t *testing.T, path string)
		want Problem
	}{
		"empty":    {write("", 0o600), Empty},
		"blank":    {write("\n \n", 0o600), Empty},
		"short":    {write(good[:40], 0o600), Short},
		"corrupt":  {write(good[:63]+"g", 0o600), Corrupt},
		"prefixed": {write("0x"+good[:62], 0o600), Corrupt},
		"long":     {write(strings.Repeat(good, 2000), 0o600), Corrupt},
		"readable": {write(good, 0o640), WrongMode},
		"closed":   {write(good, 0o400), WrongMode},
		"setuid":   {write(good, 0o4600), WrongMode},
		"symlink": {func(t *testing.T, path string) {
			write(good, 0o600)(t, path+"-real")
			must(t, os.Symlink(path+"-real", path))
		}, NotRegular},
		"fifo":   {func(t *testing.T, path string) { must(t, unix.Mkfifo(path, 0o600)) }, NotRegular},
		"folder": {func(t *testing.T, path string) { must(t, os.Mkdir(path, 0o600)) }, NotRegular},
		"hard link": {func(t *testing.T, path string) {
			write(good, 0o600)(t, path)
			must(t, os.Link(path, path+"-also"))
		}, Linked},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t)
			c.make(t, filepath.Join(s.dir, "work.key"))
			_, err := s.Get("work")
			var fault *FileError
			if !errors.As(err, &fault) || fault.Problem != c.want {
				t.Fatalf("got %v, want %s", err, c.want)
			}
			if strings.Contains(err.Error(), good[:8]) {
				t.Error("the error shows the key")
			}
			if !strings.Contains(err.Error(), "work.key") || fault.Mend == "" {
				t.Errorf("the error does not say which file and what to do: %v", err)
			}
			if fault.Problem != NotRegular || name == "symlink" || name == "fifo" {
				k := queue.GenerateKey()
				must(t, s.Put("work", k, Meta{}))
				if h, err := s.Get("work"); err != nil || !h.Current.Equal(k) {
					t.Errorf("authorising again did not mend it: %v", err)
				}
			}
		})
	}
}

func TestAKeyOfAnotherAccountIsRefused(t *testing.T) {
	t.Parallel()
	s := open(t)
	must(t, s.Put("work", queue.GenerateKey(), Meta{}))
	s.uid++ // as if the files were somebody else's
	_, err := s.Get("work")
	var fault *FileError
	if !errors.As(err, &fault) || fault.Problem != WrongOwner {
		t.Fatalf("got %v", err)
	}
}

func TestAHandPlacedKeyWithANewlineCounts(t *testing.T) {
	t.Parallel()
	s, k := open(t), queue.GenerateKey()
	must(t, os.WriteFile(filepath.Join(s.dir, "work.key"), append(k.Reveal(), '\n'), 0o600))
	h, err := s.Get("work")
	if err != nil || !h.Current.Equal(k) || h.HasMeta {
		t.Fatalf("%+v, %v", h, err)
	}
}

func TestAnUnreadableMetaMeansNoKey(t *testing.T) {
	t.Parallel()
	s := open(t)
	must(t, s.Put("work", queue.GenerateKey(), Meta{UUID: testUUID}))
	must(t, os.WriteFile(filepath.Join(s.dir, "work.meta"), []byte("legacy maybe\n"), 0o600))
	_, err := s.Get("work")
	var fault *FileError
	if !errors.As(err, &fault) || fault.Problem != Corrupt {
		t.Fatalf("got %v", err)
	}
}

func TestRotation(t *testing.T) {
	t.Parallel()
	s, old, next := open(t), queue.GenerateKey(), queue.GenerateKey()
	must(t, s.Put("work", old, Meta{UUID: testUUID}))
	if err := s.PutNext("work", old); err == nil {
		t.Error("the same key was taken as the next one")
	}
	must(t, s.PutNext("work", next))
	h, err := s.Get("work")
	if err != nil || !h.Current.Equal(old) || !h.Next.Equal(next) {
		t.Fatalf("%+v, %v", h, err)
	}
	must(t, s.Promote("work"))
	h, err = s.Get("work")
	if err != nil || !h.Current.Equal(next) || !h.Next.IsZero() || h.Meta.UUID != testUUID {
		t.Fatalf("%+v, %v", h, err)
	}
}

func TestABadNextKeyLeavesTheOldOne(t *testing.T) {
	t.Parallel()
	s, k := open(t), queue.GenerateKey()
	must(t, s.Put("work", k, Meta{}))
	must(t, os.WriteFile(filepath.Join(s.dir, "work.key.new"), []byte("half"), 0o600))
	h, err := s.Get("work")
	if err != nil || !h.Current.Equal(k) || !h.Next.IsZero() || h.NextErr == nil {
		t.Fatalf("%+v, %v", h, err)
	}
	if err := s.Promote("work"); err == nil {
		t.Error("a bad key was promoted")
	}
	must(t, s.RemoveNext("work"))
	if h, err := s.Get("work"); err != nil || h.NextErr != nil {
		t.Fatalf("%+v, %v", h, err)
	}
}

func TestANewKeyDropsTheOneThatWaited(t *testing.T) {
	t.Parallel()
	s, stolen := open(t), queue.GenerateKey()
	k := queue.GenerateKey()
	must(t, s.Put("work", k, Meta{}))
	must(t, s.PutNext("work", stolen))
	must(t, s.Put("work", k, Meta{UUID: testUUID}))
	h, err := s.Get("work")
	if err != nil || !h.Next.IsZero() || h.Meta.UUID != testUUID {
		t.Fatalf("%+v, %v", h, err)
	}
}

func TestRemoveLeavesNothing(t *testing.T) {
	t.Parallel()
	s := open(t)
	must(t, s.Put("work", queue.GenerateKey(), Meta{}))
	must(t, s.PutNext("work", queue.GenerateKey()))
	must(t, s.Remove("work"))
	must(t, s.Remove("work"))
	left, err := os.ReadDir(s.dir)
	must(t, err)
	if len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}

func TestAFailedPutLeavesNoKey(t *testing.T) {
	t.Parallel()
	s := open(t)
	must(t, s.Put("work", queue.GenerateKey(), Meta{}))
	if err := s.Put("work", queue.GenerateKey(), Meta{UUID: "a\nlegacy yes"}); err == nil {
		t.Fatal("a uuid with a newline was stored")
	}
	if _, err := s.Get("work"); err != nil {
		t.Errorf("a refused change took the key away: %v", err)
	}
	if err := s.Put("work", queue.Key{}, Meta{}); !errors.Is(err, queue.ErrKey) {
		t.Errorf("no key at all: %v", err)
	}
	// A folder where the meta should be: the write fails half-way.
	must(t, os.Remove(filepath.Join(s.dir, "work.meta")))
	must(t, os.MkdirAll(filepath.Join(s.dir, "work.meta", "x"), 0o700))
	if err := s.Put("work", queue.GenerateKey(), Meta{}); err == nil || !strings.Contains(err.Error(), "no key now") {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(filepath.Join(s.dir, "work.key")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a key is there: %v", err)
	}
}

func TestListAndOwner(t *testing.T) {
	t.Parallel()
	s := open(t)
	keys := map[string]queue.Key{}
	for _, vm := range []string{"work", "anon", "work.key"} {
		keys[vm] = queue.GenerateKey()
		must(t, s.Put(vm, keys[vm], Meta{}))
	}
	next := queue.GenerateKey()
	must(t, s.PutNext("anon", next))
	for _, junk := range []string{"dom0.key", "#.key", "notes", "bad.key"} {
		must(t, os.WriteFile(filepath.Join(s.dir, junk), nil, 0o600))
	}
	vms, err := s.List()
	must(t, err)
	if want := []string{"anon", "bad", "work", "work.key"}; !slices.Equal(vms, want) {
		t.Errorf("List: %q, want %q", vms, want)
	}
	for _, c := range []struct {
		k        queue.Key
		vm, want string
	}{
		{keys["work"], "anon", "work"}, {keys["work"], "work", ""}, {next, "work", "anon"},
		{next, "anon", ""}, {queue.GenerateKey(), "work", ""}, {queue.Key{}, "work", ""},
	} {
		if got, err := s.Owner(c.k, c.vm); err != nil || got != c.want {
			t.Errorf("Owner(%s, %s) = %q, %v, want %q", c.k, c.vm, got, err, c.want)
		}
	}
}

func TestTheFolderMustBeRootsAlone(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "remote.d")
	must(t, os.Mkdir(dir, 0o755))
	must(t, os.Chmod(dir, 0o755))
	_, err := Open(dir)
	must(t, err)
	if info, _ := os.Stat(dir); info.Mode().Perm() != 0o700 {
		t.Errorf("mode %o", info.Mode().Perm())
	}
	must(t, os.Chmod(dir, 0o770))
	var fault *FileError
	if _, err := Open(dir); !errors.As(err, &fault) || fault.Problem != WrongMode {
		t.Errorf("a folder that a group may write to: %v", err)
	}
	link := dir + "-link"
	must(t, os.Symlink(t.TempDir(), link))
	if _, err := Open(link); !errors.As(err, &fault) || fault.Problem != NotRegular {
		t.Errorf("a symbolic link: %v", err)
	}
}

func TestLockKeepsOthersOut(t *testing.T) {
	t.Parallel()
	s := open(t)
	must(t, os.WriteFile(filepath.Join(s.dir, ".tmp-0011223344556677"), []byte("half a key"), 0o600))
	unlock, err := s.Lock(context.Background())
	must(t, err)
	if _, err := os.Stat(filepath.Join(s.dir, ".tmp-0011223344556677")); err == nil {
		t.Error("what a crash left is still there")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Millisecond)
	defer cancel()
	if _, err := s.Lock(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("got %v", err)
	}
	second := make(chan error, 1)
	go func() {
		unlock, err := s.Lock(context.Background())
		if err == nil {
			unlock()
		}
		second <- err
	}()
	unlock()
	must(t, <-second)
	if _, err := os.Stat(filepath.Join(s.dir, lockName)); err != nil {
		t.Errorf("the lock file was unlinked: %v", err)
	}
}

func TestNoKeyIsEverPrinted(t *testing.T) {
	t.Parallel()
	s, k := open(t), queue.GenerateKey()
	must(t, s.Put("work", k, Meta{}))
	h, err := s.Get("work")
	must(t, err)
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		if text := fmt.Sprintf(format, h); strings.Contains(text, string(k.Reveal()[:16])) {
			t.Errorf("%s shows the key", format)
		}
	}
}
