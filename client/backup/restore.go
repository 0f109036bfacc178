package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"qvmremote/client"
)

// Choice is what to take out of a backup besides the history.
type Choice struct {
	Log      bool // its lines join those that are here
	Settings bool // in place of those that are here
	Keys     bool
	// Passphrase opens the keys.
	Passphrase string
	// ReplaceKey has them take the place of another key that is here.
	ReplaceKey bool
}

// Restored is what a restore did.
type Restored struct {
	Safety   string // the archive of what was here before
	Added    int    // entries of the history
	Present  int    // entries that were here already, and stayed as they are
	Old      int    // added ones that the history will not keep for their age
	LogLines int
	Settings bool
	Keys     bool
}

// Restore checks the archive at path, makes a safety archive and then adds what
// is missing here. An error after the check says what was done until then.
func (k *Keeper) Restore(ctx context.Context, path string, ch Choice) (Restored, error) {
	a, closeFile, err := k.openArchive(path)
	if err != nil {
		return Restored{}, err
	}
	defer closeFile()
	return k.Merge(ctx, a.each, ch)
}

// Merge is Restore from any source.
func (k *Keeper) Merge(ctx context.Context, from Source, ch Choice) (Restored, error) {
	c, err := check(ctx, from, k.limits)
	if err != nil {
		return Restored{}, err
	}
	var both keys
	if ch.Keys {
		if !c.Keys {
			return Restored{}, ErrNoKeys
		}
		if both, err = k.unseal(c.small[keyName], ch.Passphrase); err != nil {
			return Restored{}, err
		}
		if now, err := k.Client.Key(); err == nil && !now.Equal(both.now) && !ch.ReplaceKey {
			return Restored{}, client.ErrKeyExists
		}
	}
	if err := k.Client.Prepare(); err != nil {
		return Restored{}, err
	}
	root, err := openFolder(k.Client.Layout.Root)
	if err != nil {
		return Restored{}, fmt.Errorf("cannot restore: %w", err)
	}
	defer root.close()
	history, err := root.sub("history")
	if err != nil {
		return Restored{}, fmt.Errorf("cannot restore: %w", err)
	}
	defer history.close()
	if err := history.lock(); err != nil {
		return Restored{}, err
	}
	k.step("locked")
	safety, err := k.create(ctx, safetyPrefix, "")
	if err != nil {
		return Restored{}, fmt.Errorf("nothing was restored, for what is here could not be saved first: %w", err)
	}
	k.step("safe")
	done := Restored{Safety: safety.Path}
	s := stage{k: k, history: history, contents: c, done: &done}
	if err := s.run(ctx, from); err != nil {
		return done, fmt.Errorf("cannot restore the history: %w", client.Explain(err))
	}
	return done, k.rest(root, c, ch, both, &done)
}

// rest restores what is not of the history.
func (k *Keeper) rest(root folder, c Contents, ch Choice, both keys, done *Restored) (err error) {
	if ch.Log {
		if done.LogLines, err = mergeLog(root, c.small[oldLogName], c.small[LogName]); err != nil {
			return fmt.Errorf("cannot restore the log: %w", client.Explain(err))
		}
	}
	if text, ok := c.small[settingsName]; ok && ch.Settings {
		if err := k.placeSettings(text); err != nil {
			return fmt.Errorf("cannot restore the settings: %w", client.Explain(err))
		}
		done.Settings = true
	}
	if ch.Keys {
		if done.Keys, err = k.placeKeys(both, ch.ReplaceKey); err != nil {
			return fmt.Errorf("cannot restore the key: %w", err)
		}
	}
	return nil
}

func (k *Keeper) placeSettings(text []byte) error {
	if err := os.MkdirAll(k.Settings, 0o700); err != nil {
		return err
	}
	d, err := openFolder(k.Settings)
	if err != nil {
		return err
	}
	defer d.close()
	temp := scratch(scratchPrefix) + scratchEnding
	if err := d.write(temp, text); err != nil {
		return err
	}
	if err := unix.Renameat(d.fd(), temp, d.fd(), "client.conf"); err != nil {
		d.remove(temp)
		return err
	}
	return nil
}

// write makes a new file with that text.
func (d folder) write(name string, text []byte) error {
	f, err := d.create(name)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		d.remove(name)
	}
	return err
}

const stagePrefix = ".restore-"

// stage writes the entries that are missing into a folder beside the days of the
// history, and moves each into its place when all of them are on the disk.
type stage struct {
	k        *Keeper
	history  folder
	contents Contents
	done     *Restored
	dir      folder
	missing  map[string]bool // day/id
	order    []string
}

func (s *stage) run(ctx context.Context, from Source) error {
	if err := s.sweep(); err != nil {
		return err
	}
	if err := s.compare(); err != nil {
		return err
	}
	if len(s.missing) == 0 {
		return nil
	}
	name := scratch(stagePrefix)
	var err error
	if s.dir, err = s.history.make(name); err != nil {
		return err
	}
	defer s.dir.close()
	defer os.RemoveAll(s.history.path(name)) // follows no symlinks
	if err := s.fill(ctx, from); err != nil {
		return err
	}
	if err := unix.Syncfs(s.dir.fd()); err != nil {
		return err
	}
	s.k.step("staged")
	for _, at := range s.order {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := s.place(at); err != nil {
			return err
		}
	}
	return s.history.f.Sync()
}

// sweep removes what a restore left that was ended; this one has the lock.
func (s *stage) sweep() error {
	names, err := s.history.names()
	for _, name := range names {
		if strings.HasPrefix(name, stagePrefix) {
			err = errors.Join(err, os.RemoveAll(s.history.path(name)))
		}
	}
	return err
}

// compare finds the entries that are not here, on whatever day.
func (s *stage) compare() error {
	here := map[string]bool{}
	days, err := s.history.names()
	if err != nil {
		return err
	}
	for _, day := range days {
		d, err := s.history.sub(day)
		if err != nil {
			continue // a day that is no folder is found when it is needed
		}
		ids, err := d.names()
		d.close()
		if err != nil {
			return err
		}
		for _, id := range ids {
			here[id] = true
		}
	}
	s.missing = map[string]bool{}
	var bytes int64
	seen := map[string]bool{}
	oldest := s.k.Client.Now().Add(-s.k.Client.Keeping.Age).Format("2006-01-02")
	for _, m := range s.contents.members {
		day, id, _, ok := m.Entry()
		at := day + "/" + id
		if !ok || here[id] {
			seen[at] = seen[at] || ok
			continue
		}
		bytes += m.Size + 4096
		if !s.missing[at] && day < oldest {
			s.done.Old++
		}
		s.missing[at] = true
	}
	s.done.Present = len(seen)
	for at := range s.missing {
		s.order = append(s.order, at)
	}
	slices.Sort(s.order)
	return s.room(bytes)
}

// room says early that there is too little of it.
func (s *stage) room(bytes int64) error {
	free, err := s.history.free()
	if err == nil && bytes > free {
		err = fmt.Errorf("%w: %d bytes are needed, %d are free", client.ErrDiskFull, bytes, free)
	}
	return err
}

// stageName is an entry's folder while it is staged.
func stageName(at string) string { return strings.Replace(at, "/", "_", 1) }

// fill writes the missing entries. The source must hand over what was checked.
func (s *stage) fill(ctx context.Context, from Source) error {
	return from(func(m Member, r io.Reader) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		day, id, file, ok := m.Entry()
		if !ok || !s.missing[day+"/"+id] {
			return nil
		}
		checked, known := s.contents.members[m.Name]
		if !known || checked.Size != m.Size {
			return fmt.Errorf("%w: it changed while it was read", ErrDamaged)
		}
		d, err := s.dir.make(stageName(day + "/" + id))
		if err != nil {
			return err
		}
		defer d.close()
		f, err := d.create(file)
		if err != nil {
			return err
		}
		_, err = drain(f, checked, r)
		if cerr := f.Close(); err == nil {
			err = cerr
		}
		s.k.step("file")
		return err
	})
}

// place moves one entry to its day.
func (s *stage) place(at string) error {
	day, id, _ := strings.Cut(at, "/")
	for tries := 3; ; tries-- {
		d, err := s.history.make(day)
		if err != nil {
			return err
		}
		err = s.dir.move(stageName(at), d, id)
		d.close()
		switch {
		case err == nil:
			s.done.Added++
			s.k.step("placed")
			return nil
		case errors.Is(err, unix.EEXIST):
			s.done.Present++
			return nil
		case !errors.Is(err, unix.ENOENT) || tries == 1: // an empty day may be pruned meanwhile
			return err
		}
	}
}

// Find is the path of an archive: a path as it is, or a name that is listed.
func (k *Keeper) Find(name string) string {
	if !strings.Contains(name, "/") && archiveName.MatchString(name) {
		if _, err := os.Lstat(name); err != nil {
			return filepath.Join(k.Dir, name)
		}
	}
	return name
}
