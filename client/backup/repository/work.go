package repository

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"golang.org/x/sys/unix"

	"qvmremote/client"
	"qvmremote/client/backup"
	"qvmremote/queue"
)

// Branch is the one branch that is read and written. Another one of the same
// repository is no business of this package.
const Branch = "qvm-remote-backup"

// Repository pushes and pulls the history of one qube.
type Repository struct {
	Keeper *backup.Keeper
	Work   string // a folder for git, outside of what a backup saves
	Saved  string // the file with the address that was pushed to last
	Waits  Waits
}

// New returns the repository of a keeper, with its work folder below the
// account's cache. It touches no file.
func New(k *backup.Keeper) (*Repository, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, fmt.Errorf("cannot find a folder for git: %w", err)
	}
	return &Repository{Keeper: k, Work: filepath.Join(cache, "qvm-remote", "git"),
		Saved: filepath.Join(k.Settings, "backup-url"), Waits: DefaultWaits()}, nil
}

// ErrNoAddress says that there is no address to use.
var ErrNoAddress = errors.New("no repository yet: give its address")

// Address is the one that was pushed to last; the error is [ErrNoAddress] where
// there is none.
func (r *Repository) Address() (string, error) {
	b, err := queue.ReadSmall(r.Saved, 2048)
	if errors.Is(err, fs.ErrNotExist) {
		return "", ErrNoAddress
	}
	if err != nil {
		return "", fmt.Errorf("cannot read the address of the repository: %w", err)
	}
	return strings.TrimSuffix(string(b), "\n"), nil
}

func (r *Repository) keepAddress(s string) error {
	if err := os.MkdirAll(filepath.Dir(r.Saved), 0o700); err != nil {
		return fmt.Errorf("pushed, but the address cannot be kept: %w", client.Explain(err))
	}
	if err := queue.Publish(r.Saved, []byte(s+"\n")); err != nil {
		return fmt.Errorf("pushed, but the address cannot be kept: %w", client.Explain(err))
	}
	return nil
}

// resolve is the address to use: the one given, or the last.
func (r *Repository) resolve(given string) (address, error) {
	if given == "" {
		var err error
		if given, err = r.Address(); err != nil {
			return address{}, err
		}
	}
	return parseAddress(given)
}

// ErrBusy says that another program pushes or pulls right now.
var ErrBusy = errors.New("another push or pull is under way in this qube; wait for it")

// work is a bare repository for one push or pull.
type work struct {
	git
	lock *os.File
}

// open makes an empty repository. Whoever was ended before left theirs.
func (r *Repository) open(ctx context.Context) (*work, error) {
	if err := os.MkdirAll(r.Work, 0o700); err != nil {
		return nil, fmt.Errorf("cannot make a folder for git: %w", client.Explain(err))
	}
	lock, _, err := queue.OpenForWrite(filepath.Join(r.Work, "lock"))
	if err != nil {
		return nil, fmt.Errorf("cannot make a folder for git: %w", client.Explain(err))
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = lock.Close()
		return nil, ErrBusy
	}
	w := &work{git{filepath.Join(r.Work, "repository"), r.Waits}, lock}
	err = os.RemoveAll(w.dir)
	if err == nil {
		err = os.Mkdir(w.dir, 0o700)
	}
	if err == nil {
		_, err = w.run(ctx, call{args: []string{"init", "--quiet", "--bare", "--template="}, wait: r.Waits.Local, max: 1 << 10})
	}
	if err != nil {
		w.close()
		return nil, client.Explain(err)
	}
	return w, nil
}

func (w *work) close() {
	_ = os.RemoveAll(w.dir) // what stays is removed by the next one
	_ = w.lock.Close()
}

const (
	theirs = "refs/qvm-remote/theirs"
	ours   = "refs/qvm-remote/ours"
)

var objectName = regexp.MustCompile(`^(?:[0-9a-f]{40}|[0-9a-f]{64})$`)

// fetch gets the branch's last commit, and returns its name or "" where there
// is no such branch.
func (w *work) fetch(ctx context.Context, a address) (string, error) {
	end := []string{"--", a.text}
	if a.local {
		end = append([]string{"--upload-pack=" + otherEnd("upload-pack")}, end...)
	}
	look := append(append([]string{"ls-remote", "--quiet"}, end...), "refs/heads/"+Branch)
	out, err := w.run(ctx, call{args: look, wait: w.waits.Look, max: 1 << 20})
	if err != nil {
		return "", err
	}
	if !strings.Contains("\n"+string(out), "\trefs/heads/"+Branch+"\n") {
		return "", nil
	}
	get := []string{"fetch", "--quiet", "--no-tags", "--depth=1", "--no-write-fetch-head", "--no-auto-maintenance", "--no-recurse-submodules", "--refmap="}
	get = append(append(get, end...), "+refs/heads/"+Branch+":"+theirs)
	if _, err := w.run(ctx, call{args: get, wait: w.waits.Receive, max: 1 << 20}); err != nil {
		return "", err
	}
	return w.resolveName(ctx, theirs+"^{commit}")
}

func (w *work) resolveName(ctx context.Context, name string) (string, error) {
	out, err := w.run(ctx, call{args: []string{"rev-parse", "--verify", "--quiet", name}, wait: w.waits.Local, max: 1 << 10})
	if err != nil {
		return "", err
	}
	s := strings.TrimSuffix(string(out), "\n")
	if !objectName.MatchString(s) {
		return "", fmt.Errorf("git gave no name of an object: %s", queue.Quote(s, 80))
	}
	return s, nil
}
