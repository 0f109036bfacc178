package backup

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"qvmremote/client"
	"qvmremote/queue"
)

// Why something is left out.
const (
	noFolder  = "it is no folder"
	noFile    = "it is no plain file"
	noRequest = "it is no request"
	tooLarge  = "it is too large"
	noRoom    = "there is no room for all of the history in one backup"
)

// collected is what a qube has to save.
type collected struct {
	root    folder
	entries []*entry
	small   map[string][]byte // by name: what is not of the history
	only    []string          // files of the history; none = all
	left    []LeftOut
}

func (c *collected) close() {
	if c.root.f != nil {
		c.root.close()
	}
}

// members lists everything, in the order in which it is saved.
func (c *collected) members() []Member {
	var list []Member
	for _, e := range c.entries {
		for _, m := range e.files {
			list = append(list, m)
		}
	}
	for name, b := range c.small {
		list = append(list, Member{name, int64(len(b)), sha256.Sum256(b)})
	}
	slices.SortFunc(list, func(a, b Member) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// collect looks at everything once, or of the history at some files only. A
// folder that is not there is an empty one.
func (k *Keeper) collect(ctx context.Context, only ...string) (*collected, error) {
	c := &collected{small: map[string][]byte{}, only: only}
	var err error
	if c.root, err = openFolder(k.Client.Layout.Root); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("cannot read the qube's data: %w", err)
	}
	if c.root.f == nil {
		return c, k.collectSettings(c)
	}
	for file, name := range map[string]string{"audit.log": LogName, "audit.log.1": oldLogName} {
		if err := c.take(c.root, file, name); err != nil {
			c.close()
			return nil, err
		}
	}
	if err = k.collectSettings(c); err == nil {
		err = c.collectHistory(ctx, k.limits)
	}
	if err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

func (k *Keeper) collectSettings(c *collected) error {
	d, err := openFolder(k.Settings)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		c.leave(settingsName, "its folder cannot be read: "+err.Error())
		return nil
	}
	defer d.close()
	return c.take(d, "client.conf", settingsName)
}

// take reads a file that is saved as name. What is no plain file, or too large,
// is left out.
func (c *collected) take(d folder, file, name string) error {
	f, size, err := d.open(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case errors.Is(err, queue.ErrNotRegular):
		c.leave(name, noFile)
		return nil
	case err != nil:
		return fmt.Errorf("cannot read what is to be saved: %w", err)
	}
	defer f.Close()
	if size > singles[name] {
		c.leave(name, tooLarge)
		return nil
	}
	b, err := io.ReadAll(io.LimitReader(f, size)) // a log may grow meanwhile
	if err != nil {
		return fmt.Errorf("cannot read what is to be saved: %w", err)
	}
	c.small[name] = b
	return nil
}

func (c *collected) leave(name, why string) { c.left = append(c.left, LeftOut{name, why}) }

// collectHistory takes the newest requests for as long as there is room.
func (c *collected) collectHistory(ctx context.Context, room limits) error {
	history, err := c.root.sub("history")
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot read the history: %w", err)
	}
	defer history.close()
	days, err := history.names()
	if err != nil {
		return fmt.Errorf("cannot read the history: %w", err)
	}
	days = slices.DeleteFunc(days, func(d string) bool { return !validDay(d) })
	slices.SortFunc(days, func(a, b string) int { return strings.Compare(b, a) })
	t := tally{limits: room}
	for _, b := range c.small {
		t.count, t.bytes = t.count+1, t.bytes+int64(len(b))
	}
	t.count++ // the keys, perhaps
	t.bytes += singles[keyName]
	for _, day := range days {
		if err := c.collectDay(ctx, history, day, &t); err != nil {
			return err
		}
	}
	return nil
}

func (c *collected) collectDay(ctx context.Context, history folder, day string, t *tally) error {
	d, err := history.sub(day)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // it was pruned right now
	}
	if err != nil {
		c.leave(historyDir+"/"+day, noFolder)
		return nil
	}
	defer d.close()
	ids, err := d.names()
	if err != nil {
		return fmt.Errorf("cannot read the history: %w", err)
	}
	ids = slices.DeleteFunc(ids, client.Deleted)
	slices.SortFunc(ids, func(a, b string) int { return strings.Compare(b, a) })
	for _, id := range ids {
		if err := ctx.Err(); err != nil {
			return err
		}
		name := historyDir + "/" + day + "/" + id
		if !queue.ValidID(id) {
			c.leave(name, noRequest)
			continue
		}
		e, err := readEntry(d, day, id, c.only)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case errors.Is(err, ErrNotSafe), errors.Is(err, queue.ErrNotRegular), errors.Is(err, queue.ErrTooLarge):
			c.leave(name, err.Error())
		case err != nil:
			return fmt.Errorf("cannot read the history: %w", err)
		case !t.fits(e):
			c.leave(name, noRoom)
		default:
			c.entries = append(c.entries, e)
		}
	}
	return nil
}

// fits counts an entry where there is room for it.
func (t *tally) fits(e *entry) bool {
	bytes := t.bytes
	for _, m := range e.files {
		bytes += m.Size
	}
	if t.count+len(e.files) > t.members || bytes > t.total {
		return false
	}
	t.count, t.bytes = t.count+len(e.files), bytes
	return true
}

// readEntry hashes the files of one request.
func readEntry(day folder, date, id string, only []string) (*entry, error) {
	d, err := day.sub(id)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			err = refuse(noFolder)
		}
		return nil, err
	}
	defer d.close()
	names, err := d.names()
	if err != nil {
		return nil, err
	}
	e := newEntry(date, id)
	for _, file := range names {
		limit, known := entryFiles[file]
		if !known || len(only) > 0 && !slices.Contains(only, file) {
			continue // not asked for, half-written, or not ours
		}
		f, size, err := d.open(file)
		if err != nil {
			return nil, err
		}
		m := Member{Name: e.name(file)}
		if size > limit {
			err = fmt.Errorf("%s is %w", file, queue.ErrTooLarge)
		} else {
			m.Size, m.SHA256, e.header, err = hashed(f, limit, file, e.header)
		}
		_ = f.Close()
		if err != nil {
			return nil, err
		}
		e.files[file] = m
	}
	return e, e.check()
}

// hashed reads a file of an entry to its end; of a request it keeps the header.
func hashed(f *os.File, limit int64, file string, header []byte) (int64, [sha256.Size]byte, []byte, error) {
	h := sha256.New()
	var kept bytes.Buffer
	to := io.Writer(h)
	if file == "request" {
		to = io.MultiWriter(h, &kept)
	}
	n, err := io.Copy(to, io.LimitReader(f, limit+1))
	if err == nil && n > limit {
		err = fmt.Errorf("%s is %w", file, queue.ErrTooLarge)
	}
	if file == "request" {
		header = kept.Bytes()
	}
	return n, [sha256.Size]byte(h.Sum(nil)), header, err
}
