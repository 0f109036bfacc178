package queue

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Layout is where things lie in a qube, below one folder (docs/protocol.md
// §2). Its methods build paths from ids that passed [ValidID]; they check
// nothing themselves.
type Layout struct{ Root string }

// The folder's name in a home, and the one it had in the first releases.
const (
	FolderName    = ".qvm-remote"
	OldFolderName = ".qubes-remote"
)

// The endings of a result's files.
const (
	Out    = ".out"
	Err    = ".err"
	Meta   = ".meta"
	Auth   = ".auth"
	Denied = ".denied"
	Exit   = ".exit"
)

func (l Layout) Key() string       { return filepath.Join(l.Root, "auth.key") }
func (l Layout) Name() string      { return filepath.Join(l.Root, "name") }
func (l Layout) AuditLog() string  { return filepath.Join(l.Root, "audit.log") }
func (l Layout) History() string   { return filepath.Join(l.Root, "history") }
func (l Layout) AgentLock() string { return filepath.Join(l.Root, "queue", "agent.lock") }
func (l Layout) LastLook() string  { return filepath.Join(l.Root, "queue", "last-look") }

// HistoryOf is the folder that keeps one request, filed by the day it was made.
func (l Layout) HistoryOf(day time.Time, id string) string {
	return filepath.Join(l.History(), day.Format("2006-01-02"), id)
}

func (l Layout) PendingDir() string { return filepath.Join(l.Root, "queue", "pending") }
func (l Layout) RunningDir() string { return filepath.Join(l.Root, "queue", "running") }
func (l Layout) ResultsDir() string { return filepath.Join(l.Root, "queue", "results") }
func (l Layout) CancelDir() string  { return filepath.Join(l.Root, "queue", "cancel") }
func (l Layout) StdinDir() string   { return filepath.Join(l.Root, "queue", "stdin") }

func (l Layout) Body(id string) string    { return filepath.Join(l.PendingDir(), id) }
func (l Layout) Header(id string) string  { return filepath.Join(l.PendingDir(), id+Auth) }
func (l Layout) Stdin(id string) string   { return filepath.Join(l.StdinDir(), id) }
func (l Layout) Running(id string) string { return filepath.Join(l.RunningDir(), id) }
func (l Layout) Cancel(id string) string  { return filepath.Join(l.CancelDir(), id) }

// Result is the path of one of a result's files, such as Result(id, Exit).
func (l Layout) Result(id, ending string) string {
	return filepath.Join(l.ResultsDir(), id+ending)
}

// Make makes what is missing of the tree and repairs what an older client left
// open to other accounts: folders 0700, files 0600.
func (l Layout) Make() error {
	for _, d := range []string{l.Root, l.History(), filepath.Join(l.Root, "queue"), l.PendingDir(),
		l.RunningDir(), l.ResultsDir(), l.CancelDir(), l.StdinDir()} {
		if err := os.Mkdir(d, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("cannot make the queue: %w", err)
		}
		info, err := os.Lstat(d)
		if err != nil {
			return fmt.Errorf("cannot make the queue: %w", err)
		}
		if !info.IsDir() {
			return fmt.Errorf("cannot use the queue: %s is not a folder", d)
		}
		// What lies in a folder that is closed is out of reach, but the key and
		// the audit log outlive the folder's next chmod.
		if info.Mode().Perm() != 0o700 || d == l.Root {
			if err := l.repair(d); err != nil {
				return err
			}
		}
	}
	return nil
}

// repair closes a folder and the files directly in it. A file of another
// account, left by a run as root, may stay as it is: the folder is closed.
func (l Layout) repair(dir string) error {
	info, err := os.Lstat(dir)
	if err == nil && info.Mode().Perm() != 0o700 { // else who watches it would see a change
		err = os.Chmod(dir, 0o700)
	}
	if err != nil {
		return fmt.Errorf("cannot close the queue to other accounts: %w", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("cannot close the queue to other accounts: %w", err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err == nil && info.Mode().IsRegular() && info.Mode().Perm() != 0o600 {
			err = os.Chmod(filepath.Join(dir, e.Name()), 0o600)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission) {
			return fmt.Errorf("cannot close the queue to other accounts: %w", err)
		}
	}
	return nil
}

// Migrate renames the first releases' folder in home where only that one is.
func Migrate(home string) error {
	old, now := filepath.Join(home, OldFolderName), filepath.Join(home, FolderName)
	if _, err := os.Lstat(now); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if info, err := os.Lstat(old); err != nil || !info.IsDir() {
		return nil
	}
	if err := os.Rename(old, now); err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("cannot rename %s: %w", old, err)
	}
	return nil
}
