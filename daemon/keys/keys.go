// Package keys holds what makes a qube's requests count: its key, the key that
// will replace it, and what the administrator said about the qube.
//
// It guarantees:
//   - No name that is not a qube's ([queue.ValidQube]) becomes part of a path.
//   - A key is read only from a regular file that belongs to root (in tests: to
//     the account that runs), has mode 0600, one name, and is no symbolic link.
//   - A change is on the disk when it is reported. A crash in the middle of one
//     leaves the qube with its old key or with none, never with a key that was
//     being taken away, and never with a new key and an old key's privileges.
//   - No error and no text form of a value shows a key.
package keys

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"qvmremote/daemon/disk"
	"qvmremote/queue"
)

// Errors that are no fault of a file.
var (
	ErrNoKey  = errors.New("no key is stored for this qube")
	ErrNoNext = errors.New("no second key waits for this qube")
	ErrName   = errors.New("not a qube's name (a letter, then letters, digits, '_', '-', '.', at most 31 in all)")
)

// maxQubes bounds how many keys a folder may hold. Qubes OS itself cannot run
// a tenth of that; beyond it something else fills the folder.
const maxQubes = 5000

const (
	keySuffix  = ".key"
	nextSuffix = ".key.new"
	metaSuffix = ".meta"
	lockName   = ".lock"

	rulesSuffix = ".policy" // of daemon/policy, in the same folder
)

// Store is the folder with all keys. The methods that write want [Store.Lock]
// held; those that read may be called at any time, by many.
type Store struct {
	dir string
	uid int // whose files count
}

// Held is what the store has of one qube.
type Held struct {
	Current queue.Key
	Next    queue.Key // zero unless the key is being rotated
	NextErr error     // why the next key cannot be used, though its file is there
	Meta    Meta
	HasMeta bool // false for a key that was placed by hand
}

// Open opens the store in dir and makes the folder, 0700, where it is missing.
// A folder that others may write to is refused, one that others may only read
// is closed to them.
func Open(dir string) (*Store, error) {
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return nil, fmt.Errorf("cannot make the folder for keys: %w", err)
	}
	if err := disk.Mkdir("keys.open", dir, 0o700); err != nil {
		return nil, fmt.Errorf("cannot make the folder for keys: %w", err)
	}
	s := &Store{dir: filepath.Clean(dir), uid: os.Geteuid()}
	if err := s.checkDir(); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *Store) checkDir() error {
	info, err := os.Lstat(s.dir)
	if err != nil {
		return fmt.Errorf("cannot look at the folder for keys: %w", err)
	}
	switch mode := info.Mode(); {
	case !mode.IsDir():
		return &FileError{Path: s.dir, Problem: NotRegular, Detail: "is no folder", Mend: "move it away"}
	case owner(info) != s.uid:
		return &FileError{Path: s.dir, Problem: WrongOwner, Detail: ownerDetail(info), Mend: fmt.Sprintf("see who wrote there, then: chown %d %s", s.uid, s.dir)}
	case mode.Perm()&0o022 != 0:
		return &FileError{Path: s.dir, Problem: WrongMode, Detail: fmt.Sprintf("has mode %04o: others may write there", mode.Perm()),
			Mend: "check every key in it, then: chmod 700 " + s.dir}
	case mode.Perm() != 0o700:
		if err := os.Chmod(s.dir, 0o700); err != nil {
			return fmt.Errorf("cannot close the folder for keys to others: %w", err)
		}
	}
	return nil
}

// path is the only place where a qube's name becomes part of a path.
func (s *Store) path(vm, suffix string) (string, error) {
	if !queue.ValidQube(vm) {
		return "", fmt.Errorf("%s: %w", queue.Quote(vm, 40), ErrName)
	}
	return filepath.Join(s.dir, vm+suffix), nil
}

// Get reads what is stored for vm. The error is [ErrNoKey] when there is no
// key, a [*FileError] when the key or its meta cannot be trusted: such a qube
// has no key until that is mended.
//
// Without the lock the answer may be out of date when it comes, but key and
// meta belong together.
func (s *Store) Get(vm string) (Held, error) {
	for range 4 {
		before, _, err := s.meta(vm)
		if err != nil {
			return Held{}, err
		}
		h, err := s.read(vm)
		if err != nil {
			return Held{}, err
		}
		// Put writes the meta after the old key is gone and before the new one
		// is there, so the same meta twice was the key's the whole time.
		if h.Meta.equal(before) {
			return h, nil
		}
	}
	return Held{}, fmt.Errorf("what is stored for %s changed again and again while it was read; try again", vm)
}

func (s *Store) read(vm string) (Held, error) {
	var h Held
	var err error
	if h.Current, err = s.key(vm, keySuffix); err != nil {
		return Held{}, err
	}
	h.Next, err = s.key(vm, nextSuffix)
	if err != nil && !errors.Is(err, ErrNoKey) {
		h.NextErr = err
	}
	h.Meta, h.HasMeta, err = s.meta(vm)
	if err != nil {
		return Held{}, err
	}
	return h, nil
}

func (s *Store) key(vm, suffix string) (queue.Key, error) {
	path, err := s.path(vm, suffix)
	if err != nil {
		return queue.Key{}, err
	}
	b, err := s.readFile(path, queue.KeyLen+maxSpace)
	if errors.Is(err, fs.ErrNotExist) {
		return queue.Key{}, fmt.Errorf("%s: %w", vm, ErrNoKey)
	}
	if err != nil {
		return queue.Key{}, err
	}
	return parseKey(path, b)
}

func (s *Store) meta(vm string) (Meta, bool, error) {
	path, err := s.path(vm, metaSuffix)
	if err != nil {
		return Meta{}, false, err
	}
	b, err := s.readFile(path, maxMeta)
	if errors.Is(err, fs.ErrNotExist) {
		return Meta{}, false, nil
	}
	if err != nil {
		return Meta{}, false, err
	}
	m, err := ParseMeta(b)
	if err != nil {
		return Meta{}, false, &FileError{Path: path, Problem: Corrupt, Detail: err.Error(),
			Mend: "in dom0: qvm-remote-dom0 authorize " + vm}
	}
	return m, true, nil
}

// List names the qubes that have a key file, good or bad, in order.
func (s *Store) List() ([]string, error) {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return nil, fmt.Errorf("cannot list the keys: %w", err)
	}
	var vms []string
	for _, e := range entries {
		vm, ok := strings.CutSuffix(e.Name(), keySuffix)
		if !ok || !queue.ValidQube(vm) {
			continue
		}
		if vms = append(vms, vm); len(vms) > maxQubes {
			return nil, fmt.Errorf("%s holds more than %d keys; move those of qubes that are gone away", s.dir, maxQubes)
		}
	}
	slices.Sort(vms)
	return vms, nil
}

// Owner names a qube other than vm that holds k, as its key or its next one,
// or "" when none does. Every key is compared, in constant time. A key that
// cannot be used (see [FileError]) is nobody's until it is mended: ask again
// whenever a key is first seen.
func (s *Store) Owner(k queue.Key, vm string) (string, error) {
	vms, err := s.List()
	if err != nil {
		return "", err
	}
	found := ""
	for _, other := range vms {
		if other == vm {
			continue
		}
		for _, suffix := range []string{keySuffix, nextSuffix} {
			held, err := s.key(other, suffix)
			if err == nil && held.Equal(k) && !k.IsZero() && found == "" {
				found = other
			}
		}
	}
	return found, nil
}
