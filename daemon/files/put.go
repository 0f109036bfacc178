package files

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"qvmremote/daemon/disk"
	"qvmremote/queue/piece"
)

// newMode is the mode of a file that was not there before: what root's shell
// would make of it. The content came from a qube and is no secret of dom0's.
const newMode = 0o644

// Target is a file that comes from a qube.
type Target struct {
	Path      string
	Size      int64
	SHA256    string // of the whole, in hex
	Overwrite bool   // put it in the place of a file that is there
}

// check refuses a target that is in the way or can never be, before anything of
// it is taken. It returns the file that will be replaced, nil for none.
func (t Target) check() (fs.FileInfo, error) {
	if err := checkPath(t.Path); err != nil {
		return nil, err
	}
	if !piece.ValidSHA256(t.SHA256) || t.Size < 0 || t.Size > piece.MaxFile {
		return nil, refuse(unix.EINVAL, "%s: no such size or SHA-256", t.Path)
	}
	folder, err := os.Stat(filepath.Dir(t.Path))
	if err != nil {
		return nil, explain(t.Path, err)
	}
	if !folder.IsDir() {
		return nil, explain(t.Path, unix.ENOTDIR)
	}
	old, err := os.Lstat(t.Path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, explain(t.Path, err)
	}
	if err := regular(t.Path, old.Mode()); err != nil {
		return nil, err
	}
	if !t.Overwrite {
		return nil, explain(t.Path, unix.EEXIST)
	}
	return old, nil
}

func (t Target) part() string { return piece.PartPath(t.Path, t.Size, t.SHA256) }

// Begin says how much of the file is here already, if the rest can come at all.
func (t Target) Begin(now time.Time) (piece.State, error) {
	if _, err := t.check(); err != nil {
		return piece.State{}, err
	}
	if err := t.sweep(now); err != nil {
		return piece.State{}, err
	}
	f, have, err := piece.OpenPart(t.part(), false)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		have = 0
	case err != nil:
		return piece.State{}, t.partError(err)
	default:
		_ = f.Close()
	}
	return piece.State{Word: piece.Part, Size: have}, t.room(have)
}

// sweep removes parts in the folder that nobody went on with.
func (t Target) sweep(now time.Time) error {
	for _, path := range piece.Abandoned(t.Path, now) {
		if err := disk.Remove("files.abandoned", path); err != nil {
			return explain(path, err)
		}
	}
	return nil
}

// Write adds what r has to the part, which must end at offset. With the last
// byte of the file it is put in its place.
func (t Target) Write(ctx context.Context, r io.Reader, offset int64) (piece.State, error) {
	old, err := t.check()
	if err != nil {
		return piece.State{}, err
	}
	if err := t.room(offset); err != nil {
		return piece.State{}, err
	}
	if offset == 0 { // small files come without a begin
		if err := t.sweep(time.Now()); err != nil {
			return piece.State{}, err
		}
	}
	f, have, err := piece.OpenPart(t.part(), true)
	if err != nil {
		return piece.State{}, t.partError(err)
	}
	defer func() { _ = f.Close() }()
	if have != offset {
		return piece.State{}, refuse(unix.ESPIPE, "%s: %d bytes of it are here, the piece begins at %d", t.Path, have, offset)
	}
	if _, err := f.Seek(offset, io.SeekStart); err != nil {
		return piece.State{}, explain(t.Path, err)
	}
	n, err := io.Copy(f, piece.Reader(ctx, io.LimitReader(r, t.Size-have)))
	if err != nil {
		return piece.State{}, explain(t.Path, err)
	}
	if more, _ := io.ReadFull(r, make([]byte, 1)); more > 0 {
		return piece.State{}, refuse(unix.EFBIG, "%s: there is more than the %d bytes that it was to have", t.Path, t.Size)
	}
	if have += n; have < t.Size {
		return piece.State{Word: piece.Part, Size: have}, nil
	}
	return piece.State{Word: piece.Done, Size: have, SHA256: t.SHA256}, t.finish(ctx, f, old)
}

// finish puts the part in the file's place if it is the file.
func (t Target) finish(ctx context.Context, f *os.File, old fs.FileInfo) error {
	h := sha256.New()
	_, err := io.Copy(h, piece.Reader(ctx, io.NewSectionReader(f, 0, t.Size)))
	if err != nil {
		return explain(t.Path, err)
	}
	if hex.EncodeToString(h.Sum(nil)) != t.SHA256 {
		err := refuse(unix.EBADMSG, "%s: what arrived is not what was announced, so it was removed; send it again", t.Path)
		return errors.Join(err, disk.Remove("files.mismatch", t.part()))
	}
	if err := dress(f, old); err != nil {
		return explain(t.Path, err)
	}
	if err := disk.Sync("files.part", f); err != nil {
		return explain(t.Path, err)
	}
	if t.Overwrite {
		return explain(t.Path, disk.Rename("files.replace", t.part(), t.Path))
	}
	return explain(t.Path, disk.RenameNew("files.place", t.part(), t.Path))
}

// dress gives a part the owner and the permissions of the file that it
// replaces, or those of a new one. What lets a program run as its owner is not
// kept: the content is another.
func dress(f *os.File, old fs.FileInfo) error {
	mode := fs.FileMode(newMode)
	if old != nil {
		mode = old.Mode().Perm()
		if st, ok := old.Sys().(*syscall.Stat_t); ok && (int(st.Uid) != os.Geteuid() || int(st.Gid) != os.Getegid()) {
			if err := f.Chown(int(st.Uid), int(st.Gid)); err != nil {
				return err
			}
		}
	}
	return f.Chmod(mode)
}

// Drop removes what is here of a file that will not be gone on with.
func (t Target) Drop() (piece.State, error) {
	if err := checkPath(t.Path); err != nil {
		return piece.State{}, err
	}
	f, _, err := piece.OpenPart(t.part(), false)
	if errors.Is(err, fs.ErrNotExist) {
		return piece.State{Word: piece.Part}, nil
	}
	if err != nil {
		return piece.State{}, t.partError(err)
	}
	defer func() { _ = f.Close() }()
	return piece.State{Word: piece.Part}, explain(t.Path, disk.Remove("files.drop", t.part()))
}

// room refuses a file whose rest does not fit on its disk. What the file system
// keeps for root stays free.
func (t Target) room(have int64) error {
	var st unix.Statfs_t
	if err := unix.Statfs(filepath.Dir(t.Path), &st); err != nil {
		return explain(t.Path, err)
	}
	need := t.Size - have
	if free := int64(st.Bavail) * st.Bsize; need > free {
		return refuse(unix.ENOSPC, "%s: dom0's disk has no room for it: %d bytes are to come, %d are free", t.Path, need, free)
	}
	return nil
}

func (t Target) partError(err error) error {
	switch {
	case errors.Is(err, piece.ErrBusy):
		return refuse(unix.EBUSY, "%s: %v", t.Path, piece.ErrBusy)
	case errors.Is(err, piece.ErrForeign):
		return refuse(unix.ENOTEMPTY, "%s: something else is where its part should be; in dom0: ls -l %s", t.Path, t.part())
	}
	return explain(t.Path, fmt.Errorf("part: %w", err))
}
