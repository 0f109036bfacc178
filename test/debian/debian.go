// Package debian makes folders with a Debian in them, newer than the one that
// this repository is built on, for tests to boot and to show programs in.
//
// It guarantees that a folder is whole or not there, that nobody removes one
// that is held, and that nothing of the making outlives it. It needs root.
package debian

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
	"time"

	"golang.org/x/sys/unix"

	"qvmremote/test/child"
	"qvmremote/test/executable"
)

//go:embed image
var script []byte

// makeTime bounds how long a folder takes to be made, a slow mirror included.
const makeTime = 15 * time.Minute

// Kind is what a folder is for.
type Kind struct {
	Name     string // the folders of one name replace each other
	Packages []string
	Hooks    []string // what a shell does at the end, with the folder as $1
}

// words are what the script is told after the folder.
func (k Kind) words() []string { return append([]string{strings.Join(k.Packages, ",")}, k.Hooks...) }

// folder is the name under which it is cached.
func (k Kind) folder() string {
	h := sha256.New()
	h.Write(script)
	for _, w := range k.words() {
		fmt.Fprintf(h, "%q\n", w)
	}
	return fmt.Sprintf("%s-%x", k.Name, h.Sum(nil)[:8])
}

// Tree is a folder with a Debian that nobody writes to, held against removal by
// others until it is closed.
type Tree struct {
	Path string
	held *os.File
}

// Close lets others remove the folder.
func (t Tree) Close() error { return t.held.Close() }

// Cache is where folders stay from run to run. .ci/run names it, for it gives
// the tests a home of their own.
func Cache() (string, error) {
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

// Open returns a folder of a kind, made at the first use. It is not to be
// changed.
func Open(ctx context.Context, k Kind) (Tree, error) {
	cache, err := Cache()
	if err != nil {
		return Tree{}, err
	}
	lock, err := locked(filepath.Join(cache, "lock"), unix.LOCK_EX)
	if err != nil {
		return Tree{}, err
	}
	defer lock.Close()
	t := Tree{Path: filepath.Join(cache, k.folder())}
	if err := clear(cache, k); err != nil {
		return Tree{}, err
	}
	if _, err := os.Stat(t.Path); errors.Is(err, os.ErrNotExist) {
		if err := k.make(ctx, cache, t.Path); err != nil {
			return Tree{}, fmt.Errorf("make a Debian: %w", err)
		}
	} else if err != nil {
		return Tree{}, err
	}
	t.held, err = locked(t.Path+".lock", unix.LOCK_SH)
	return t, err
}

// locked opens the lock file at path, which is never removed, and takes it.
func locked(path string, how int) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock: %w", err)
	}
	for deadline := time.Now().Add(makeTime); ; time.Sleep(50 * time.Millisecond) {
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

// clear removes what killed runs left half made, and other versions of this
// kind that nobody holds.
func clear(cache string, k Kind) error {
	entries, err := os.ReadDir(cache)
	if err != nil {
		return err
	}
	for _, e := range entries {
		path := filepath.Join(cache, e.Name())
		switch {
		case !e.IsDir():
		case strings.HasPrefix(e.Name(), ".new-"):
			err = errors.Join(err, os.RemoveAll(path))
		case strings.HasPrefix(e.Name(), k.Name+"-") && e.Name() != k.folder():
			if free, held := locked(path+".lock", unix.LOCK_EX|unix.LOCK_NB); held == nil {
				err = errors.Join(err, os.RemoveAll(path))
				free.Close()
			}
		}
	}
	return err
}

// make runs the script in namespaces of its own, so that no mount of it
// outlives it. The folder gets its name when it is whole.
func (k Kind) make(ctx context.Context, cache, path string) error {
	fresh, err := os.MkdirTemp(cache, ".new-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(fresh)
	fmt.Fprintf(os.Stderr, "putting a Debian into %s (once)\n", path)
	program := filepath.Join(fresh, "image")
	if err := executable.Write(program, script); err != nil {
		return err
	}
	cmd := exec.Command("unshare", append([]string{"--mount", "--pid", "--fork", "--kill-child", "--mount-proc",
		program, filepath.Join(fresh, "tree")}, k.words()...)...)
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "TMPDIR="+fresh)
	if err := finish(ctx, cmd); err != nil {
		return err
	}
	return os.Rename(filepath.Join(fresh, "tree"), path)
}

// lastWords are so many bytes of what a failed program said.
const lastWords = 16 << 10

// finish runs a program to its end, which comes soon.
func finish(ctx context.Context, cmd *exec.Cmd) error {
	var said child.Output
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = &said, &said, 5*time.Second
	c, err := child.Start(cmd)
	if err != nil {
		return err
	}
	defer c.End(time.Second)
	ctx, cancel := context.WithTimeout(ctx, makeTime)
	defer cancel()
	select {
	case <-c.Ended():
		err = c.Err()
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err != nil {
		text := said.String()
		return fmt.Errorf("%w\n%s", err, text[max(0, len(text)-lastWords):])
	}
	return nil
}
