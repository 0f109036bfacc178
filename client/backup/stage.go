package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"qvmremote/client"
)

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
	if err := s.k.flush(s.dir); err != nil {
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

// present are the ids of the entries in a history, on whatever day.
func present(history folder) (map[string]bool, error) {
	here := map[string]bool{}
	days, err := history.names()
	if err != nil {
		return nil, err
	}
	for _, day := range days {
		d, err := history.sub(day)
		if err != nil {
			continue // a day that is no folder is found when it is needed
		}
		ids, err := d.names()
		d.close()
		if err != nil {
			return nil, err
		}
		for _, id := range ids {
			here[id] = true
		}
	}
	return here, nil
}

// Missing is how many entries of a backup are not here: what a restore would add.
func (k *Keeper) Missing(c Contents) (int, error) {
	here := map[string]bool{}
	root, err := openFolder(k.Client.Layout.Root)
	if err == nil {
		defer root.close()
		var history folder
		if history, err = root.sub("history"); err == nil {
			defer history.close()
			here, err = present(history)
		}
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, fmt.Errorf("cannot read the history: %w", err)
	}
	missing := map[string]bool{}
	for _, m := range c.members {
		if day, id, _, ok := m.Entry(); ok && !here[id] {
			missing[day+"/"+id] = true
		}
	}
	return len(missing), nil
}

// compare finds the entries that are not here, on whatever day.
func (s *stage) compare() error {
	here, err := present(s.history)
	if err != nil {
		return err
	}
	s.missing = map[string]bool{}
	var bytes int64
	seen := map[string]bool{}
	oldest := s.k.Client.Now().Add(-s.k.Client.Keeping.Age).Format("2006-01-02")
	for _, m := range s.contents.members {
		day, id, _, ok := m.Entry()
		at := day + "/" + id
		if !ok {
			continue
		}
		if here[id] {
			seen[at] = true
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
