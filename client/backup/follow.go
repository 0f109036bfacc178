package backup

import (
	"context"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"qvmremote/client/watch"
)

// Label is what an archive says of itself at its beginning. Nothing behind that
// was read, which [Keeper.Check] does.
type Label struct {
	About
	Entries int
	Keys    bool
}

// Label reads an archive's label.
func (k *Keeper) Label(path string) (Label, error) {
	a, closeFile, err := k.openArchive(path)
	if err != nil {
		return Label{}, err
	}
	defer closeFile()
	l := Label{About: a.About}
	last := ""
	for _, m := range a.members {
		day, id, _, ok := m.Entry()
		if at := day + "/" + id; ok && at != last {
			l.Entries, last = l.Entries+1, at
		}
		l.Keys = l.Keys || m.Name == keyName
	}
	return l, nil
}

// Listed is an archive with its label, or with why it has none.
type Listed struct {
	Archive
	Label
	Problem error
}

// paces let a listing follow what changes, and spare the disk where much does.
var paces = watch.Paces{Rest: time.Second / 2, Blind: 10 * time.Second}

// Follow lists the newest archives in [Keeper.Dir], at most that many, and says
// how many older ones there are; and again after each change, until ctx ends. It
// calls tell from its own goroutine.
func (k *Keeper) Follow(ctx context.Context, most int, tell func(newest []Listed, older int)) error {
	return watch.Follow(ctx, paces, &follower{k, most, tell, nil})
}

type follower struct {
	k    *Keeper
	most int
	tell func([]Listed, int)
	read map[Archive]Listed // those that were told last
}

// Watch watches the folder, which may not be there yet.
func (f *follower) Watch(w *watch.Watcher) error {
	if err := w.Stays(f.k.Dir); err != nil {
		return err
	}
	// A file counts once it was written to its end.
	return w.FolderOrBirth(f.k.Dir, unix.IN_CLOSE_WRITE|unix.IN_DELETE|unix.IN_MOVED_TO|unix.IN_MOVED_FROM,
		func(name string) bool { return strings.HasSuffix(name, ArchiveEnding) })
}

// Look lists them; the label of one that was told before is not read again.
func (f *follower) Look(ctx context.Context, _ *watch.Watcher, fresh bool) (time.Duration, error) {
	if fresh {
		f.read = nil
	}
	all, err := f.k.List()
	if err != nil {
		return 0, err
	}
	newest := make([]Listed, 0, f.most)
	read := map[Archive]Listed{}
	for _, a := range all[:min(len(all), f.most)] {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		one, known := f.read[a]
		if !known {
			one = Listed{Archive: a}
			one.Label, one.Problem = f.k.Label(a.Path)
		}
		newest = append(newest, one)
		read[a] = one
	}
	f.read = read
	f.tell(newest, len(all)-len(newest))
	return watch.Never, nil
}
