package backup

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"qvmremote/client"
	"qvmremote/queue"
)

// Keeper makes and restores the backups of one qube.
type Keeper struct {
	Client   *client.Client
	Dir      string // where archives are kept
	Settings string // the folder of the desktop program's settings

	limits limits
	work   int               // of the passphrase
	step   func(what string) // tests end the process here
	flush  func(folder) error
}

// New returns a keeper of a client's queue with the default folders, which are
// ~/qvm-remote-backups and ~/.config/qvm-remote. It touches no file.
func New(c *client.Client) (*Keeper, error) {
	home, err := os.UserHomeDir()
	if err != nil {
		return nil, fmt.Errorf("cannot find the home folder: %w; set HOME", err)
	}
	config, err := os.UserConfigDir()
	if err != nil {
		return nil, fmt.Errorf("cannot find the folder of settings: %w", err)
	}
	return &Keeper{Client: c, Dir: filepath.Join(home, "qvm-remote-backups"), Settings: filepath.Join(config, "qvm-remote"),
		limits: bounds, work: workFactor, step: func(string) {}, flush: folder.flush}, nil
}

// Made is an archive that was made.
type Made struct {
	Path    string
	Size    int64
	Entries int
	Keys    bool
	LeftOut []LeftOut
}

// errChanged says that a file was another one when it was read again.
var errChanged = errors.New("the history changes while it is saved; try again")

// Create makes an archive of everything in [Keeper.Dir]. With a passphrase the
// keys are in it, encrypted; without one they are left out.
func (k *Keeper) Create(ctx context.Context, passphrase string) (Made, error) {
	return k.create(ctx, backupPrefix, passphrase)
}

func (k *Keeper) create(ctx context.Context, prefix, passphrase string) (Made, error) {
	var sealed []byte
	if passphrase != "" {
		both, err := k.ownKeys()
		if err != nil {
			return Made{}, err
		}
		if sealed, err = k.seal(both, passphrase); err != nil {
			return Made{}, err
		}
	}
	if err := os.MkdirAll(k.Dir, 0o700); err != nil {
		return Made{}, fmt.Errorf("cannot make a backup: %w", client.Explain(err))
	}
	dir, err := openFolderAt(k.Dir)
	if err != nil {
		return Made{}, fmt.Errorf("cannot make a backup: %w", client.Explain(err))
	}
	defer dir.close()
	sweepScratch(dir)
	for tries := 3; ; tries-- {
		made, err := k.attempt(ctx, dir, prefix, sealed)
		if err == nil {
			return made, nil
		}
		if !errors.Is(err, errChanged) || tries == 1 {
			return Made{}, fmt.Errorf("cannot make a backup: %w", client.Explain(err))
		}
	}
}

// attempt writes the archive under another name first.
func (k *Keeper) attempt(ctx context.Context, dir folder, prefix string, sealed []byte) (Made, error) {
	c, err := k.collect(ctx)
	if err != nil {
		return Made{}, err
	}
	defer c.close()
	if sealed != nil {
		c.small[keyName] = sealed
	}
	temp := scratch(scratchPrefix) + scratchEnding
	f, err := dir.create(temp)
	if err != nil {
		return Made{}, err
	}
	defer f.Close()
	defer dir.remove(temp)
	if err := closed(f); err != nil {
		return Made{}, err
	}
	k.step("created")
	if err := k.write(ctx, f, c); err != nil {
		return Made{}, err
	}
	info, err := f.Stat()
	if err == nil {
		err = f.Sync()
	}
	if err != nil {
		return Made{}, err
	}
	k.step("written")
	name, err := publish(dir, temp, prefix+k.Client.Now().Format("20060102-150405"))
	if err != nil {
		return Made{}, err
	}
	return Made{Path: filepath.Join(k.Dir, name), Size: info.Size(), Entries: len(c.entries), Keys: sealed != nil, LeftOut: c.left}, dir.f.Sync()
}

// closed refuses a file system that would let other accounts read the file.
func closed(f *os.File) error {
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return err
	}
	info, err := f.Stat()
	if err == nil && info.Mode().Perm()&0o077 != 0 {
		err = errors.New("this file system lets every account read it; choose another folder")
	}
	return err
}

// publish gives an archive its name; another one of the same second keeps its.
func publish(dir folder, temp, name string) (string, error) {
	for i := 1; ; i++ {
		try := name + ArchiveEnding
		if i > 1 {
			try = fmt.Sprintf("%s-%d%s", name, i, ArchiveEnding)
		}
		err := dir.move(temp, dir, try)
		if err == nil || !errors.Is(err, fs.ErrExist) || i == 1000 {
			return try, err
		}
	}
}

// sweepScratch removes what programs left that were ended while they wrote: one
// that still writes holds the file's lock.
func sweepScratch(dir folder) {
	names, _ := dir.names()
	for _, name := range names {
		if !strings.HasPrefix(name, scratchPrefix) || !strings.HasSuffix(name, scratchEnding) {
			continue
		}
		f, _, err := dir.open(name)
		if err != nil {
			continue
		}
		info, err := f.Stat()
		// An hour: between making a file and locking it, it looks abandoned.
		if err == nil && time.Since(info.ModTime()) > time.Hour && unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil {
			dir.remove(name)
		}
		_ = f.Close()
	}
}

// write writes the archive: gzip, in it tar, in that the manifest first.
func (k *Keeper) write(ctx context.Context, to io.Writer, c *collected) error {
	key := "none"
	if now, err := k.Client.Key(); err == nil {
		key = now.Fingerprint()
	}
	f := manifest{About{k.Client.Now().Truncate(time.Second), k.Client.QubeName(ctx), key}, c.members()}
	buffered := bufio.NewWriterSize(to, 1<<18)
	z, err := gzip.NewWriterLevel(buffered, gzip.BestSpeed)
	if err != nil {
		return err
	}
	w := tar.NewWriter(z)
	text := f.encode()
	if int64(len(text)) > k.limits.manifest {
		return errors.New("there are too many files for one backup")
	}
	if err := w.WriteHeader(f.header(Member{Name: manifestName, Size: int64(len(text))})); err != nil {
		return err
	}
	if _, err := w.Write(text); err != nil {
		return err
	}
	for _, m := range f.members {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := w.WriteHeader(f.header(m)); err != nil {
			return err
		}
		if err := c.copy(w, m); err != nil {
			return err
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	if err := z.Close(); err != nil {
		return err
	}
	return buffered.Flush()
}

// header is the one that a member has in an archive.
func (f manifest) header(m Member) *tar.Header {
	return &tar.Header{Typeflag: tar.TypeReg, Name: m.Name, Size: m.Size, Mode: 0o600, ModTime: f.Made, Format: tar.FormatUSTAR}
}

// copy writes a member, which must be what it was when it was hashed.
func (c *collected) copy(w io.Writer, m Member) error {
	if b, ok := c.small[m.Name]; ok {
		_, err := w.Write(b)
		return err
	}
	f, err := c.open(m)
	if errors.Is(err, fs.ErrNotExist) {
		return errChanged
	}
	if err != nil {
		return err
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.Copy(io.MultiWriter(w, h), io.LimitReader(f, m.Size))
	if err == nil && (n != m.Size || [sha256.Size]byte(h.Sum(nil)) != m.SHA256) {
		err = errChanged
	}
	return err
}

// open opens a file of the history, from the data folder down.
func (c *collected) open(m Member) (*os.File, error) {
	day, id, file, ok := m.Entry()
	if !ok {
		return nil, fmt.Errorf("%s: %w", m.Name, queue.ErrNotRegular)
	}
	at := c.root
	for _, name := range []string{"history", day, id} {
		next, err := at.sub(name)
		if at != c.root {
			at.close()
		}
		if err != nil {
			return nil, err
		}
		at = next
	}
	defer at.close()
	f, _, err := at.open(file)
	return f, err
}
