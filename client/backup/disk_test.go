package backup

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"qvmremote/client"
)

// smallDisk mounts a disk of some KiB at dir.
func smallDisk(t *testing.T, dir string, kib int) {
	t.Helper()
	must(t, os.MkdirAll(dir, 0o700))
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%dk,mode=700", kib)); err != nil {
		t.Skipf("mounting a small disk takes root: %v", err)
	}
	t.Cleanup(func() { must(t, unix.Unmount(dir, unix.MNT_DETACH)) })
}

// noise cannot be packed, and is no text.
func noise(n int) string {
	b := make([]byte, n)
	x := uint32(1)
	for i := range b {
		x = x*1664525 + 1013904223
		b[i] = byte(x >> 24)
	}
	return string(b)
}

// TestTheQubesDiskIsFull: nothing of the history is restored by half.
func TestTheQubesDiskIsFull(t *testing.T) {
	t.Parallel()
	from := newKeeper(t, filepath.Join(t.TempDir(), "from"))
	from.lived(t)
	from.request(t, morning, "20261120-100000-1-0000000f", "true\n", map[string]string{"out": noise(300 << 10)})
	made, err := from.Create(t.Context(), "")
	must(t, err)
	home := filepath.Join(t.TempDir(), "home")
	smallDisk(t, home, 256)
	k := newKeeper(t, home)
	k.Dir = filepath.Join(t.TempDir(), "elsewhere")
	before := state(t, home)
	if _, err := k.Restore(t.Context(), made.Path, Choice{}); !errors.Is(err, client.ErrDiskFull) {
		t.Errorf("says %v", err)
	}
	unchanged(t, before, home)
	// also when it is found only while writing
	free := filepath.Join(home, "ballast")
	k.step = func(what string) {
		if what == "file" {
			_ = os.WriteFile(free, make([]byte, 256<<10), 0o600)
		}
	}
	small, err := newKeeper(t, filepath.Join(t.TempDir(), "small")), error(nil)
	small.request(t, morning, "20261120-100000-1-0000000f", "true\n", map[string]string{"out": noise(100 << 10)})
	made, err = small.Create(t.Context(), "")
	must(t, err)
	if _, err := k.Restore(t.Context(), made.Path, Choice{}); !errors.Is(err, client.ErrDiskFull) {
		t.Errorf("says %v", err)
	}
	must(t, os.Remove(free))
	unchanged(t, before, home)
}

// TestTheBackupsDiskIsFull: no half of an archive is left, and a restore that
// cannot save what is here first changes nothing.
func TestTheBackupsDiskIsFull(t *testing.T) {
	t.Parallel()
	home, k, made := saved(t)
	given := filepath.Join(home, "given")
	must(t, os.Rename(made.Path, given))
	must(t, os.Remove(k.Dir))
	k.request(t, morning, "20261120-100000-1-0000000f", "true\n", map[string]string{"out": noise(300 << 10)})
	must(t, os.RemoveAll(k.Client.Layout.HistoryOf(morning, "20261120-080000-1-0000000a")))
	smallDisk(t, k.Dir, 64)
	before := state(t, home)
	if _, err := k.Create(t.Context(), ""); !errors.Is(err, client.ErrDiskFull) {
		t.Errorf("a full disk: %v", err)
	}
	if _, err := k.Restore(t.Context(), given, Choice{}); !errors.Is(err, client.ErrDiskFull) {
		t.Errorf("a full disk: %v", err)
	}
	must(t, unix.Mount("", k.Dir, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""))
	if _, err := k.Restore(t.Context(), given, Choice{}); !errors.Is(err, client.ErrDiskFull) {
		t.Errorf("a read-only disk: %v", err)
	}
	unchanged(t, before, home)
}
