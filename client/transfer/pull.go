package transfer

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"qvmremote/queue/piece"
)

// pull is a file on its way from dom0.
type pull struct {
	*Transfer
	remote string
	local  string
	source piece.State
	part   string
	f      *os.File
	hash   hash.Hash // of what is in f
	have   int64
	size   int64 // of a piece
}

// Pull fetches the file remote from dom0, as the file local here. A new file can
// be read by this account only.
func (t *Transfer) Pull(ctx context.Context, remote, local string) (Result, error) {
	p := &pull{Transfer: t, remote: remote, local: LocalPath(local, remote), hash: sha256.New(), size: piece.Max}
	if err := t.ready(); err != nil {
		return Result{}, err
	}
	old, err := p.target()
	if err != nil {
		return Result{}, err
	}
	t.tell(Summing, 0, 0)
	answer, err := p.get(ctx, 0, 0)
	if err != nil {
		return Result{}, err
	}
	if p.source = answer.state; p.source.SHA256 == "" {
		return Result{}, piece.ErrNoState
	}
	if err := p.open(ctx); err != nil {
		return Result{}, err
	}
	defer func() { _ = p.f.Close() }()
	if err := p.fill(ctx); err != nil {
		if errors.Is(err, ErrChanged) { // it can never become whole
			_ = os.Remove(p.part)
		}
		return Result{}, err
	}
	if hex.EncodeToString(p.hash.Sum(nil)) != p.source.SHA256 {
		return Result{}, errors.Join(fmt.Errorf("%s: %w", remote, ErrCorrupt), os.Remove(p.part))
	}
	if err := p.place(old); err != nil {
		return Result{}, err
	}
	return Result{p.local, p.source.Size, p.source.SHA256}, nil
}

// target refuses a place where the file cannot come, and returns the file that
// it will replace, nil for none.
func (p *pull) target() (fs.FileInfo, error) {
	folder, err := os.Stat(filepath.Dir(p.local))
	if err != nil {
		return nil, err
	}
	if !folder.IsDir() {
		return nil, fmt.Errorf("%s: %w", filepath.Dir(p.local), syscall.ENOTDIR)
	}
	old, err := os.Lstat(p.local)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, err
	case !p.Overwrite:
		return nil, &fs.PathError{Op: "pull", Path: p.local, Err: syscall.EEXIST}
	case !old.Mode().IsRegular():
		return nil, fmt.Errorf("%s: it is no regular file, and so is not replaced", p.local)
	}
	return old, nil
}

func (p *pull) get(ctx context.Context, offset, n int64) (answered, error) {
	return p.ask(ctx, asked{words: []string{"file-get", p.remote, strconv.FormatInt(offset, 10), strconv.FormatInt(n, 10)},
		want: n, done: Progress{Done: p.have, Size: p.source.Size}, keep: n == 0})
}

// open takes up the part that an earlier transfer of the same content left.
func (p *pull) open(ctx context.Context) (err error) {
	p.part = piece.PartPath(p.local, p.source.Size, p.source.SHA256)
	for _, old := range piece.Abandoned(p.local, time.Now()) {
		if old != p.part {
			_ = os.Remove(old)
		}
	}
	if p.f, p.have, err = piece.OpenPart(p.part, true); err != nil {
		return err
	}
	if p.have > p.source.Size {
		p.have = 0
	}
	n, err := io.Copy(p.hash, piece.Reader(ctx, io.NewSectionReader(p.f, 0, p.have)))
	if err == nil && n != p.have {
		err = ErrChanged
	}
	if err == nil {
		err = p.f.Truncate(p.have)
	}
	if err != nil {
		_ = p.f.Close()
	}
	return err
}

// fill fetches what is missing.
func (p *pull) fill(ctx context.Context) error {
	for total := p.source.Size; p.have < total; {
		p.tell(Moving, p.have, total)
		n := min(p.size, total-p.have)
		answer, err := p.get(ctx, p.have, n)
		if errors.Is(err, syscall.ESTALE) || err == nil && answer.state.Version != p.source.Version {
			return fmt.Errorf("%s: %w", p.remote, ErrChanged)
		}
		if err != nil {
			return err
		}
		if answer.cut > 0 && answer.cut < n { // dom0 delivers less: its bytes, then its note
			p.size = answer.cut
			answer.out, n = answer.out[:min(answer.cut, int64(len(answer.out)))], answer.cut
		}
		if int64(len(answer.out)) != n {
			return piece.ErrNoState
		}
		if _, err := p.f.WriteAt(answer.out, p.have); err != nil {
			return fmt.Errorf("cannot write %s: %w", p.local, errors.Unwrap(err))
		}
		p.hash.Write(answer.out)
		p.have += n
	}
	p.tell(Moving, p.source.Size, p.source.Size)
	return nil
}

// place puts the part in the file's place.
func (p *pull) place(old fs.FileInfo) error {
	if old != nil {
		if err := p.f.Chmod(old.Mode().Perm()); err != nil {
			return err
		}
	}
	if err := p.f.Sync(); err != nil {
		return fmt.Errorf("cannot write %s: %w", p.local, err)
	}
	if p.Overwrite {
		return os.Rename(p.part, p.local)
	}
	return renameNew(p.part, p.local)
}

// renameNew renames a file to a name that is not taken. The error is
// [fs.ErrExist] where it is, whatever is there.
func renameNew(from, to string) error {
	err := unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, to, unix.RENAME_NOREPLACE)
	switch {
	case errors.Is(err, unix.EINVAL): // a file system that cannot tell
		if err := os.Link(from, to); err != nil {
			return err
		}
		return os.Remove(from)
	case err != nil:
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: err}
	}
	return nil
}
