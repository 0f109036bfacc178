package spool

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"qvmremote/daemon/disk"
	"qvmremote/queue"
)

// keysEnding makes of the spool's folder the name of the one beside it that
// holds the keys which sign answers. They are kept by the fingerprint of the
// key they come from, so that only the first request of a key waits for the
// disk.
const keysEnding = "-keys"

func (s *Spool) keyPath(fingerprint string) (string, error) {
	name := strings.ReplaceAll(fingerprint, " ", "")
	for _, c := range name {
		if !strings.ContainsRune("0123456789abcdef", c) {
			return "", fmt.Errorf("%q is no fingerprint", fingerprint)
		}
	}
	if name == "" {
		return "", errors.New("no fingerprint")
	}
	return filepath.Join(s.dir+keysEnding, name), nil
}

// keepKey puts k on the disk unless it is there.
func (s *Spool) keepKey(fingerprint string, k queue.MACKey) error {
	path, err := s.keyPath(fingerprint)
	if err != nil {
		return err
	}
	s.mu.Lock()
	kept := s.kept[fingerprint]
	s.mu.Unlock()
	if kept {
		return nil
	}
	if err := disk.Mkdir("spool.keys", filepath.Dir(path), 0o700); err != nil {
		return err
	}
	if err := disk.Replace("spool.key", path, k.Bytes(), 0o600); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kept[fingerprint] = true
	return nil
}

func (s *Spool) key(fingerprint string) (queue.MACKey, error) {
	path, err := s.keyPath(fingerprint)
	if err != nil {
		return queue.MACKey{}, err
	}
	b, err := queue.ReadSmall(path, 64)
	if err != nil {
		return queue.MACKey{}, fmt.Errorf("cannot read the key for an answer: %w", err)
	}
	return queue.MACKeyFromBytes(b)
}

// ForgetKeys removes the kept keys whose fingerprints need does not name: of
// requests that are all delivered, with a key that dom0 no longer holds.
func (s *Spool) ForgetKeys(need map[string]bool) error {
	wanted := map[string]bool{}
	for fingerprint := range need {
		wanted[strings.ReplaceAll(fingerprint, " ", "")] = true
	}
	dir := s.dir + keysEnding
	entries, err := os.ReadDir(dir)
	if err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.kept) // a key that is used again is written again, which does no harm
	var errs []error
	for _, f := range entries {
		if wanted[f.Name()] {
			continue
		}
		errs = append(errs, disk.Remove("spool.forget-key", filepath.Join(dir, f.Name())))
	}
	return errors.Join(errs...)
}
