//go:build system

package system

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

//go:embed image
var imageScript []byte

// imageTime bounds how long an image takes to be made, a slow mirror included.
const imageTime = 15 * time.Minute

// cacheFolder is where images stay from run to run. .ci/run names it, for it
// gives the tests a home of their own.
func cacheFolder() (string, error) {
	dir := os.Getenv("QVM_REMOTE_CACHE")
	if dir == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return "", fmt.Errorf("find the cache: %w", err)
		}
		dir = filepath.Join(cache, "qvm-remote")
	}
	dir = filepath.Join(dir, "system")
	return dir, os.MkdirAll(dir, 0o700)
}

// image is a bootable tree that nobody writes to, held against removal by
// others until it is closed.
type image struct {
	Tree string
	held *os.File
}

// Close lets others remove the image.
func (i image) Close() error { return i.held.Close() }

// Image returns the tree to boot, made at the first use and cached by the hash
// of what makes it. It is not to be changed.
func Image(t *testing.T) image {
	t.Helper()
	cache, err := cacheFolder()
	if err != nil {
		t.Fatal(err)
	}
	i, err := openImage(t.Context(), cache)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { i.Close() })
	return i
}

func openImage(ctx context.Context, cache string) (image, error) {
	lock, err := locked(filepath.Join(cache, "lock"), unix.LOCK_EX)
	if err != nil {
		return image{}, err
	}
	defer lock.Close()
	name := fmt.Sprintf("image-%x", sha256.Sum256(imageScript))[:22]
	i := image{Tree: filepath.Join(cache, name)}
	if err := clearImages(cache, name); err != nil {
		return image{}, err
	}
	if _, err := os.Stat(i.Tree); errors.Is(err, os.ErrNotExist) {
		err = makeImage(ctx, cache, i.Tree)
		if err != nil {
			return image{}, err
		}
	} else if err != nil {
		return image{}, fmt.Errorf("image: %w", err)
	}
	i.held, err = locked(i.Tree+".lock", unix.LOCK_SH)
	return i, err
}

// locked opens the lock file at path, which is never removed, and takes it.
func locked(path string, how int) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock: %w", err)
	}
	for deadline := time.Now().Add(imageTime); ; time.Sleep(50 * time.Millisecond) {
		err := unix.Flock(int(f.Fd()), how|unix.LOCK_NB)
		if err == nil {
			return f, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) || how&unix.LOCK_NB != 0 || time.Now().After(deadline) {
			f.Close()
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
	}
}

// clearImages removes what killed runs left half made, and images of other
// versions that nobody holds.
func clearImages(cache, current string) error {
	entries, err := os.ReadDir(cache)
	if err != nil {
		return fmt.Errorf("image: %w", err)
	}
	for _, e := range entries {
		path := filepath.Join(cache, e.Name())
		switch {
		case !e.IsDir():
		case strings.HasPrefix(e.Name(), ".new-"):
			err = errors.Join(err, os.RemoveAll(path))
		case strings.HasPrefix(e.Name(), "image-") && e.Name() != current:
			if free, held := locked(path+".lock", unix.LOCK_EX|unix.LOCK_NB); held == nil {
				err = errors.Join(err, os.RemoveAll(path))
				free.Close()
			}
		}
	}
	return err
}

// makeImage runs the script in namespaces of its own, so that no mount of it
// outlives it. The folder gets its name when it is whole.
func makeImage(ctx context.Context, cache, tree string) error {
	fresh, err := os.MkdirTemp(cache, ".new-")
	if err != nil {
		return fmt.Errorf("make the image: %w", err)
	}
	defer os.RemoveAll(fresh)
	fmt.Fprintf(os.Stderr, "making the image of the system to boot in %s (once)\n", tree)
	ctx, cancel := context.WithTimeout(ctx, imageTime)
	defer cancel()
	script := filepath.Join(fresh, "image")
	if err := os.WriteFile(script, imageScript, 0o700); err != nil {
		return fmt.Errorf("make the image: %w", err)
	}
	cmd := exec.CommandContext(ctx, "unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc",
		script, filepath.Join(fresh, "tree"))
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "TMPDIR="+fresh)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.WaitDelay = 5 * time.Second
	said, done := &tail{}, make(chan error, 1)
	cmd.Stdout, cmd.Stderr = said, said
	err = bind(cmd, func(err error) { done <- err })
	if err == nil {
		err = <-done
	}
	if err != nil {
		return fmt.Errorf("make the image: %w\n%s", err, said)
	}
	if err := os.Rename(filepath.Join(fresh, "tree"), tree); err != nil {
		return fmt.Errorf("make the image: %w", err)
	}
	return nil
}
