package keys

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"qvmremote/daemon/disk"
	"qvmremote/queue"
)

// lockWait is how long Lock waits when ctx has no earlier end. An operation
// that holds the lock only writes a few small files.
const lockWait = 30 * time.Second

// Lock waits until no other process and no other goroutine administers the
// store, for 30 s at most, and keeps them out until unlock is called. Hold it
// for the whole of an operation, from the first look to the last write, here
// and in the settings.
func (s *Store) Lock(ctx context.Context) (unlock func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, lockWait)
	defer cancel()
	// The file is never unlinked: who waits for a removed one would hold
	// nothing.
	f, err := os.OpenFile(filepath.Join(s.dir, lockName), os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o600)
	if err != nil {
		return nil, fmt.Errorf("cannot lock the keys: %w", err)
	}
	if err := flock(ctx, f); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("cannot lock the keys: %w", err)
	}
	if err := disk.Clean(s.dir); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("cannot remove what a crash left beside the keys: %w", err)
	}
	return func() { _ = f.Close() }, nil
}

func flock(ctx context.Context, f *os.File) error {
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil || !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("another administrative operation holds %s: %w", f.Name(), context.Cause(ctx))
		case <-again.C:
		}
	}
}

// Put makes k the key of vm and m what is known of it. A key that was being
// rotated in is dropped. Ask [Store.Owner] first: a key belongs to one qube.
func (s *Store) Put(vm string, k queue.Key, m Meta) error {
	path, err := s.path(vm, keySuffix)
	if err != nil {
		return err
	}
	if k.IsZero() {
		return queue.ErrKey
	}
	if _, err := m.Encode(); err != nil {
		return fmt.Errorf("cannot store the key of %s: %w", vm, err)
	}
	if err := s.RemoveNext(vm); err != nil {
		return err
	}
	if old, err := s.key(vm, keySuffix); err == nil && old.Equal(k) {
		return s.PutMeta(vm, m)
	}
	// The old key goes first: it must not live on with the new meta, nor the
	// new one begin with the old.
	if err := disk.Remove("keys.put-old", path); err != nil {
		return fmt.Errorf("cannot remove the old key of %s: %w", vm, err)
	}
	if err := s.PutMeta(vm, m); err != nil {
		return fmt.Errorf("%s has no key now: %w", vm, err)
	}
	if err := disk.Replace("keys.put", path, k.Reveal(), 0o600); err != nil {
		return fmt.Errorf("%s has no key now: %w", vm, err)
	}
	return nil
}

// PutMeta replaces what is known of vm beside its key.
func (s *Store) PutMeta(vm string, m Meta) error {
	path, err := s.path(vm, metaSuffix)
	if err != nil {
		return err
	}
	b, err := m.Encode()
	if err != nil {
		return fmt.Errorf("cannot store the meta of %s: %w", vm, err)
	}
	return disk.Replace("keys.put-meta", path, b, 0o600)
}

// PutNext stores k as the key that will replace vm's on its first valid use.
// Until then both count. The error is [ErrNoKey] when vm has no key to replace.
func (s *Store) PutNext(vm string, k queue.Key) error {
	path, err := s.path(vm, nextSuffix)
	if err != nil {
		return err
	}
	if k.IsZero() {
		return queue.ErrKey
	}
	current, err := s.key(vm, keySuffix)
	if err != nil {
		return err
	}
	if current.Equal(k) {
		return fmt.Errorf("the new key of %s is the one it has already; in the qube: qvm-remote key gen", vm)
	}
	return disk.Replace("keys.put-next", path, k.Reveal(), 0o600)
}

// Promote makes the next key of vm its key; the old one is dead from then on.
// The error is [ErrNoNext] when none waits. What the meta says stays: it is
// about the qube, not about the key.
func (s *Store) Promote(vm string) error {
	path, err := s.path(vm, keySuffix)
	if err != nil {
		return err
	}
	_, err = s.key(vm, nextSuffix)
	if errors.Is(err, ErrNoKey) {
		return fmt.Errorf("%s: %w", vm, ErrNoNext)
	}
	if err != nil {
		return err
	}
	if err := disk.Rename("keys.promote", path+".new", path); err != nil {
		return fmt.Errorf("cannot replace the key of %s: %w", vm, err)
	}
	return nil
}

// RemoveNext ends a rotation: the next key of vm, if there is one, is dropped.
func (s *Store) RemoveNext(vm string) error {
	path, err := s.path(vm, nextSuffix)
	if err != nil {
		return err
	}
	if err := disk.Remove("keys.remove-next", path); err != nil {
		return fmt.Errorf("cannot remove the next key of %s: %w", vm, err)
	}
	return nil
}

// Remove takes vm's key away, then its next key and its meta. What is gone
// already is no error. A key that is a bad file is removed as well.
func (s *Store) Remove(vm string) error {
	path, err := s.path(vm, keySuffix)
	if err != nil {
		return err
	}
	if err := disk.Remove("keys.remove", path); err != nil {
		return fmt.Errorf("cannot remove the key of %s: %w", vm, err)
	}
	if err := s.RemoveNext(vm); err != nil {
		return err
	}
	meta, err := s.path(vm, metaSuffix)
	if err != nil {
		return err
	}
	if err := disk.Remove("keys.remove-meta", meta); err != nil {
		return fmt.Errorf("cannot remove the meta of %s: %w", vm, err)
	}
	return nil
}
