// Package archive is the history as a list that a desktop program shows: which
// entries there are under a filter, what their lines say, and files made of them.
// It guarantees:
//   - The list comes by the names of folders alone, the newest first; an entry is
//     opened when its line is wanted ([Rows.Next]) or a filter has to know.
//   - What this or another program adds, ends, deletes or puts back is in the
//     list soon after, each entry once and in its place; nothing is looked for
//     again and again.
//   - The changes it tells of add up: applied one after the other they are the
//     list.
//   - All that waits takes a context, and ends soon after it.
package archive

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"qvmremote/client"
	"qvmremote/client/watch"
	"qvmremote/queue"
)

// Splice says that at a row so many went and that these came.
type Splice struct {
	At, Removed int
	Added       []client.Entry
}

// Change is what is new of a list since the one before.
type Change struct {
	Splices []Splice
	Altered []client.Entry // what their lines said may be different now
	Looked  int            // entries that were looked at for the filter,
	Of      int            // of so many
	Problem error          // why some cannot be listed; nil again once they can
}

// Done reports whether all there is was looked at.
func (c Change) Done() bool { return c.Looked >= c.Of }

// chunk is how many entries a filter looks at between two looks for changes.
const chunk = 64

// paces of the watch, and of what is told while a search goes on.
var paces = watch.Paces{Rest: 30 * time.Millisecond, Blind: 5 * time.Second}

const tellEvery = 100 * time.Millisecond

// The first rows have the processor to themselves: to list a long history takes
// all of it, and what a person sees would wait for what they do not.
const (
	screenful = 60          // rows
	headStart = time.Second // at most, where nobody says that they are shown
)

// Follow lists what fits the filter, and then what changes, until ctx ends. It
// calls tell from its own goroutine: soon with the first rows, then at most ten
// times a second while there is more to come. The rest of a list without a filter
// waits until shown is closed, a second at most; a nil shown lets it come at once.
// An error other than the context's says why there can be no list.
func Follow(ctx context.Context, c *client.Client, f Filter, shown <-chan struct{}, tell func(Change)) error {
	return watch.Follow(ctx, paces, &follower{c: c, filter: f, shown: shown, wait: headStart, tell: tell})
}

type follower struct {
	c      *client.Client
	filter Filter
	shown  <-chan struct{}
	wait   time.Duration // for shown, at most
	tell   func(Change)
	notes  notes

	all   []client.Entry // that there are
	rows  []client.Entry // that fit; all where there is no filter
	todo  []client.Entry // to be held against the filter, the next one last
	next  Change
	told  time.Time
	first bool // something was told
	led   bool // the first rows had their head start
}

// notes are what the watcher saw.
type notes struct {
	mu      sync.Mutex
	entries map[client.Entry]bool
	ids     map[string]bool // whose answers moved
	days    map[string]bool
}

func (n *notes) take() (entries map[client.Entry]bool, ids, days map[string]bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	entries, ids, days = n.entries, n.ids, n.days
	n.entries, n.ids, n.days = map[client.Entry]bool{}, map[string]bool{}, map[string]bool{}
	return entries, ids, days
}

const comesAndGoes = unix.IN_CREATE | unix.IN_DELETE | unix.IN_MOVED_TO | unix.IN_MOVED_FROM

// Watch notes which entries come and go, and whose answers move from the queue
// to the history.
func (f *follower) Watch(w *watch.Watcher) error {
	f.notes.take()
	err := w.FolderOrBirth(f.c.Layout.History(), comesAndGoes, func(name string) bool {
		if !client.ValidDay(name) {
			return false
		}
		f.notes.mu.Lock()
		f.notes.days[name] = true
		f.notes.mu.Unlock()
		return true
	})
	if err != nil {
		return err
	}
	if err := w.Stays(f.c.Layout.Root); err != nil {
		return err
	}
	// An entry's folder is there before all of it is, a header in the queue after.
	for dir, what := range map[string]struct {
		mask    uint32
		endings []string
	}{
		f.c.Layout.ResultsDir(): {unix.IN_MOVED_FROM | unix.IN_DELETE, []string{queue.Exit, queue.Denied}},
		f.c.Layout.PendingDir(): {unix.IN_MOVED_TO, []string{queue.Auth}},
	} {
		if err := w.FolderOrBirth(dir, what.mask, func(name string) bool { return f.noteID(name, what.endings) }); err != nil {
			return err
		}
	}
	return nil
}

func (f *follower) noteID(name string, endings []string) bool {
	for _, ending := range endings {
		if id, ok := strings.CutSuffix(name, ending); ok {
			f.notes.mu.Lock()
			f.notes.ids[id] = true
			f.notes.mu.Unlock()
			return true
		}
	}
	return false
}

// watchDay notes the entries of one day. Without it, as for a day of another
// account, what is there is listed and changes are not seen.
func (f *follower) watchDay(w *watch.Watcher, day string) {
	_ = w.Folder(filepath.Join(f.c.Layout.History(), day), comesAndGoes, func(name string) bool {
		if !queue.ValidID(name) {
			return false
		}
		f.notes.mu.Lock()
		f.notes.entries[client.Entry{Day: day, ID: name}] = true
		f.notes.mu.Unlock()
		return true
	})
}

// Look takes in what changed, and holds some more entries against the filter.
func (f *follower) Look(ctx context.Context, w *watch.Watcher, fresh bool) (time.Duration, error) {
	if fresh {
		if err := f.list(ctx, w); err != nil {
			return 0, err
		}
	} else {
		f.takeNotes(w)
	}
	if err := f.sift(ctx); err != nil {
		return 0, err
	}
	if f.flush(len(f.todo) == 0); len(f.todo) > 0 {
		return 0, nil
	}
	return watch.Never, nil
}

// list holds what there is against what was there.
func (f *follower) list(ctx context.Context, w *watch.Watcher) error {
	days, err := f.c.Days()
	if err != nil {
		return err
	}
	f.next.Problem = nil
	var before []client.Entry
	before, f.all = f.all, nil
	if before != nil {
		f.all = make([]client.Entry, 0, len(before))
	}
	for _, day := range days {
		if err := ctx.Err(); err != nil {
			return err
		}
		f.watchDay(w, day) // first, so that nothing is missed
		list, err := f.c.Entries(day)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			f.next.Problem = err
		}
		f.all = append(f.all, list...)
		if before == nil && f.filter.None() {
			f.insert(f.lead(ctx, list))
			f.flush(false)
		}
	}
	if before == nil {
		if !f.filter.None() {
			f.todo = slices.Clone(f.all)
			slices.Reverse(f.todo)
		}
		return nil
	}
	came, went := differences(before, f.all)
	for _, e := range went {
		f.drop(e)
	}
	f.come(came)
	return nil
}

// lead tells of the first rows alone, once there are enough of them, and waits
// until they are shown. It returns what is left of the list: a list on the screen
// makes widgets for far more rows than one sees, if they are there.
func (f *follower) lead(ctx context.Context, list []client.Entry) (rest []client.Entry) {
	missing := screenful - len(f.rows)
	if f.led || len(list) < missing {
		return list
	}
	f.led = true
	f.insert(list[:missing:missing])
	f.flush(true)
	if f.shown == nil {
		return list[missing:]
	}
	late := time.NewTimer(f.wait)
	defer late.Stop()
	select {
	case <-ctx.Done():
	case <-f.shown:
	case <-late.C:
	}
	return list[missing:]
}

// come takes new entries: into the list, or to be held against the filter.
func (f *follower) come(list []client.Entry) {
	if f.filter.None() {
		f.insert(list)
		return
	}
	f.todo = append(f.todo, list...)
}

// insert shows entries, which are sorted. What follows each other in the list
// comes at once.
func (f *follower) insert(list []client.Entry) {
	for len(list) > 0 {
		at, there := find(f.rows, list[0])
		if there {
			list = list[1:]
			continue
		}
		n := len(list)
		if at < len(f.rows) {
			n, _ = find(list, f.rows[at])
		}
		f.rows = slices.Insert(f.rows, at, list[:n]...)
		f.splice(at, list[:n:n])
		list = list[n:]
	}
}

// splice adds to what is next; days that follow each other are one.
func (f *follower) splice(at int, added []client.Entry) {
	if n := len(f.next.Splices); n > 0 {
		if last := &f.next.Splices[n-1]; last.Removed == 0 && last.At+len(last.Added) == at {
			last.Added = append(last.Added, added...)
			return
		}
	}
	f.next.Splices = append(f.next.Splices, Splice{At: at, Added: added})
}

// drop shows an entry no longer.
func (f *follower) drop(e client.Entry) {
	at, there := find(f.rows, e)
	if !there {
		return
	}
	f.rows = slices.Delete(f.rows, at, at+1)
	if n := len(f.next.Splices); n > 0 {
		if last := &f.next.Splices[n-1]; last.At == at && len(last.Added) == 0 {
			last.Removed++
			return
		}
	}
	f.next.Splices = append(f.next.Splices, Splice{At: at, Removed: 1})
}

// takeNotes follows what the watcher saw.
func (f *follower) takeNotes(w *watch.Watcher) {
	entries, ids, days := f.notes.take()
	for day := range days {
		f.watchDay(w, day)
		list, err := f.c.Entries(day)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			f.next.Problem = err
		}
		for _, e := range list {
			entries[e] = true
		}
	}
	var came []client.Entry
	for e := range entries {
		at, known := find(f.all, e)
		switch there := f.c.There(e); {
		case there && !known:
			f.all = slices.Insert(f.all, at, e)
			came = append(came, e)
		case there: // it went and came back
			f.alter(e)
		case known:
			f.all = slices.Delete(f.all, at, at+1)
			f.drop(e)
		}
	}
	slices.SortFunc(came, client.Entry.Compare)
	f.come(came)
	f.takeAnswers(ids)
}

// takeAnswers marks what belongs to ids. Their days are not in the answers'
// names, but an id says when it was made, or is looked for.
func (f *follower) takeAnswers(ids map[string]bool) {
	if len(ids) == 0 {
		return
	}
	for _, e := range f.all {
		if ids[e.ID] {
			f.alter(e)
		}
	}
}

func (f *follower) alter(e client.Entry) {
	f.next.Altered = append(f.next.Altered, e)
	if !f.filter.None() {
		f.todo = append(f.todo, e)
	}
}

// sift holds some entries against the filter.
func (f *follower) sift(ctx context.Context) error {
	var fit []client.Entry
	for range min(chunk, len(f.todo)) {
		e := f.todo[len(f.todo)-1]
		f.todo = f.todo[:len(f.todo)-1]
		if _, there := find(f.all, e); !there {
			continue
		}
		fits, err := f.filter.fits(ctx, f.c, e)
		if err != nil {
			return err
		}
		if fits {
			fit = append(fit, e)
		} else {
			f.drop(e)
		}
	}
	slices.SortFunc(fit, client.Entry.Compare)
	f.insert(slices.Compact(fit))
	return nil
}

// flush tells what is new, the first rows at once, others now and then.
func (f *follower) flush(now bool) {
	enough := !f.first && len(f.rows) > 0
	if !now && !enough && time.Since(f.told) < tellEvery {
		return
	}
	f.first = f.first || len(f.rows) > 0
	f.told = time.Now()
	f.next.Of = len(f.all)
	f.next.Looked = max(len(f.all)-len(f.todo), 0)
	next := f.next
	f.next = Change{Problem: next.Problem}
	f.tell(next)
}
