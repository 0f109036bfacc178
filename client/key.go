package client

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"qvmremote/queue"
)

// ErrNoKey says that this qube has no key.
var ErrNoKey = errors.New("no key configured. Run: qvm-remote key gen")

// ErrKeyExists says that a key is there and was not to be replaced.
var ErrKeyExists = errors.New("a key exists already; the one dom0 knows would be lost. " +
	"To replace it: qvm-remote key gen --force (the old one is kept in auth.key.old)")

// OldKey is where a replaced key is kept. One generation is enough: it serves
// to go back, and to check the answer to what was submitted with it.
func (c *Client) OldKey() string { return c.Layout.Key() + ".old" }

// Key reads the qube's key. The error is [ErrNoKey] where there is none.
func (c *Client) Key() (queue.Key, error) { return readKey(c.Layout.Key()) }

func readKey(path string) (queue.Key, error) {
	b, err := queue.ReadSmall(path, 256)
	if errors.Is(err, fs.ErrNotExist) {
		return queue.Key{}, ErrNoKey
	}
	if err != nil {
		return queue.Key{}, fmt.Errorf("cannot read the key: %w", err)
	}
	k, err := queue.ParseKey(b)
	if err != nil {
		return queue.Key{}, fmt.Errorf("cannot use the key in %s: %w", path, err)
	}
	return k, nil
}

// keys are those an answer may be signed with: the present one and the one
// before it.
func (c *Client) keys() []queue.Key {
	var list []queue.Key
	for _, path := range []string{c.Layout.Key(), c.OldKey()} {
		if k, err := readKey(path); err == nil {
			list = append(list, k)
		}
	}
	return list
}

// GenerateKey makes a new key and stores it. The error is [ErrKeyExists] when
// there is one and replace is false.
func (c *Client) GenerateKey(replace bool) (queue.Key, error) {
	k := queue.GenerateKey()
	return k, c.storeKey(k, replace)
}

// ImportKey stores a key, replacing the present one.
func (c *Client) ImportKey(k queue.Key) error {
	if now, err := c.Key(); err == nil && now.Equal(k) {
		return nil
	}
	return c.storeKey(k, true)
}

// storeKey writes the key to a file that is 0600 from its first byte and moves
// it into place whole and synced; one that is replaced is kept first.
func (c *Client) storeKey(k queue.Key, replace bool) error {
	path := c.Layout.Key()
	f, err := queue.TempFor(path)
	if err != nil {
		return Explain(err)
	}
	defer os.Remove(f.Name())
	_, err = f.Write(k.Reveal())
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return Explain(fmt.Errorf("cannot save the key: %w", err))
	}
	if replace {
		if err := keep(path, c.OldKey()); err != nil {
			return Explain(fmt.Errorf("cannot keep the old key, so it was not replaced: %w", err))
		}
		if err := os.Rename(f.Name(), path); err != nil {
			return fmt.Errorf("cannot save the key: %w", err)
		}
		return nil
	}
	if err := os.Link(f.Name(), path); errors.Is(err, fs.ErrExist) { // never over another
		return ErrKeyExists
	} else if err != nil {
		return Explain(fmt.Errorf("cannot save the key: %w", err))
	}
	return nil
}

// keep copies the key file as it is, if there is one. What is no key does not
// replace a key that was kept before.
func keep(path, backup string) error {
	b, err := queue.ReadSmall(path, 4096)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if _, err := queue.ParseKey(b); err != nil {
		if _, err := readKey(backup); err == nil {
			return nil
		}
	}
	return queue.Publish(backup, b)
}
