package backup

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"

	"qvmremote/queue"
)

var (
	// ErrNoBackup says that a file is no archive of this package.
	ErrNoBackup = errors.New("this is no backup that qvm-remote made")
	// ErrDamaged says that an archive is not what its manifest says.
	ErrDamaged = errors.New("the backup is damaged")
)

// archive is an open archive. It is read from its beginning each time.
type archive struct {
	f    io.ReadSeeker
	size int64
	most limits
	manifest
}

// openArchive opens the file at path, which may be no symlink, and reads what
// it says is in it.
func (k *Keeper) openArchive(path string) (a *archive, close func() error, err error) {
	f, size, err := queue.OpenRegular(path)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot read the backup: %w", err)
	}
	a = &archive{f: f, size: size, most: k.limits}
	if _, err := a.begin(); err != nil {
		_ = f.Close()
		return nil, nil, err
	}
	return a, f.Close, nil
}

// stream is an archive while it is read.
type stream struct {
	file *bufio.Reader
	zip  *gzip.Reader
	left quota
	tar  *tar.Reader
}

// quota ends a stream after so many bytes, however small they were packed.
type quota struct {
	r    io.Reader
	left int64
}

var errQuota = fmt.Errorf("%w: it is longer than its manifest says", ErrDamaged)

func (q *quota) Read(p []byte) (int, error) {
	if q.left <= 0 {
		return 0, errQuota
	}
	n, err := q.r.Read(p[:min(int64(len(p)), q.left)])
	q.left -= int64(n)
	return n, err
}

const tarBlock = 512

// inTar is how many bytes a member takes of the stream.
func inTar(size int64) int64 { return tarBlock + (size+tarBlock-1)/tarBlock*tarBlock }

// begin reads the manifest. After it the stream has exactly the bytes left that
// the manifest says.
func (a *archive) begin() (*stream, error) {
	if a.size > a.most.total+a.most.manifest {
		return nil, refuse("it has %d bytes, which is more than a backup can have", a.size)
	}
	if _, err := a.f.Seek(0, io.SeekStart); err != nil {
		return nil, fmt.Errorf("cannot read the backup: %w", err)
	}
	s := &stream{file: bufio.NewReaderSize(a.f, 1<<16)}
	var err error
	if s.zip, err = gzip.NewReader(s.file); err != nil {
		return nil, fmt.Errorf("%w: it is not packed with gzip", ErrNoBackup)
	}
	s.zip.Multistream(false)
	s.left = quota{s.zip, inTar(a.most.manifest)}
	s.tar = tar.NewReader(&s.left)
	h, err := s.tar.Next()
	if err != nil || h.Name != manifestName || h.Typeflag != tar.TypeReg {
		return nil, fmt.Errorf("%w: it does not begin with a manifest", ErrNoBackup)
	}
	if h.Size > a.most.manifest {
		return nil, refuse("its manifest has %d bytes, at most %d belong there", h.Size, a.most.manifest)
	}
	text, err := io.ReadAll(s.tar)
	if err != nil {
		return nil, damaged(err)
	}
	if a.manifest, err = parseManifest(text, a.most); err != nil {
		return nil, err
	}
	if err := a.sameHeader(h, Member{Name: manifestName, Size: int64(len(text))}); err != nil {
		return nil, err
	}
	padding := (tarBlock - int64(len(text))%tarBlock) % tarBlock
	s.left.left = padding + 2*tarBlock
	for _, m := range a.members {
		s.left.left += inTar(m.Size)
	}
	return s, nil
}

// damaged puts an error of reading into words.
func damaged(err error) error {
	switch {
	case errors.Is(err, ErrDamaged):
		return err
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%w: it ends too early", ErrDamaged)
	}
	return fmt.Errorf("%w: %w", ErrDamaged, err)
}

// each reads all members. Their hashes are the caller's to check.
func (a *archive) each(use func(Member, io.Reader) error) error {
	before := a.manifest.encode()
	s, err := a.begin()
	if err != nil {
		return err
	}
	if string(before) != string(a.manifest.encode()) {
		return fmt.Errorf("%w: it changed while it was read", ErrDamaged)
	}
	for _, m := range a.members {
		h, err := s.tar.Next()
		if errors.Is(err, io.EOF) {
			return fmt.Errorf("%w: %s is missing", ErrDamaged, queue.Quote(m.Name, 120))
		}
		if err != nil {
			return damaged(err)
		}
		if err := a.sameHeader(h, m); err != nil {
			return err
		}
		if err := use(m, sound{s.tar}); err != nil {
			return err
		}
	}
	return a.end(s)
}

// sound puts errors of an archive into words, so that its reader can tell them
// from its own.
type sound struct{ r io.Reader }

func (s sound) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = damaged(err)
	}
	return n, err
}

// end refuses anything after the last member.
func (a *archive) end(s *stream) error {
	if h, err := s.tar.Next(); err == nil {
		return refuse("%s is not in the manifest", queue.Quote(h.Name, 120))
	} else if !errors.Is(err, io.EOF) {
		return damaged(err)
	}
	if s.left.left != 0 {
		return fmt.Errorf("%w: it ends too early", ErrDamaged)
	}
	// With nothing left of the tar file gzip compares its checksum.
	if n, err := io.ReadFull(s.zip, make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
		if n != 0 {
			return errQuota
		}
		return damaged(err)
	}
	if _, err := s.file.ReadByte(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: something follows its end", ErrDamaged)
	}
	return nil
}

// kinds are the types of tar's members that no backup has.
var kinds = map[byte]string{tar.TypeLink: "a hard link", tar.TypeSymlink: "a symlink", tar.TypeChar: "a device",
	tar.TypeBlock: "a device", tar.TypeDir: "a folder", tar.TypeFifo: "a FIFO"}

// sameHeader refuses a header that this package would not have written.
func (a *archive) sameHeader(h *tar.Header, m Member) error {
	shown := queue.Quote(h.Name, 120)
	if h.Typeflag != tar.TypeReg {
		kind := kinds[h.Typeflag]
		if kind == "" {
			kind = "no plain file"
		}
		return refuse("%s is %s", shown, kind)
	}
	if h.Name != m.Name {
		if err := (Member{Name: h.Name}).Check(); err != nil {
			return err
		}
		return refuse("%s is not what the manifest has in this place", shown)
	}
	if h.Size != m.Size {
		return refuse("%s has %d bytes, and %d in the manifest", shown, h.Size, m.Size)
	}
	want := a.header(m)
	if h.Format != want.Format || h.Mode != want.Mode || !h.ModTime.Equal(want.ModTime) || h.Linkname != "" ||
		h.Uid != 0 || h.Gid != 0 || h.Uname != "" || h.Gname != "" || h.Devmajor != 0 || h.Devminor != 0 || len(h.PAXRecords) != 0 {
		return refuse("%s has a header that qvm-remote does not write", shown)
	}
	return nil
}
