package backup

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"

	"qvmremote/queue"
)

// Source hands over the members of a backup, in the order of their names, and
// the same ones each time.
type Source func(use func(Member, io.Reader) error) error

// Contents is what a backup holds, all of it checked.
type Contents struct {
	About
	Entries  int
	Bytes    int64
	Log      bool
	Settings bool
	Keys     bool // encrypted

	members map[string]Member
	small   map[string][]byte
}

// Check reads a whole archive and says what is in it. It changes nothing.
func (k *Keeper) Check(ctx context.Context, path string) (Contents, error) {
	a, closeFile, err := k.openArchive(path)
	if err != nil {
		return Contents{}, err
	}
	defer closeFile()
	c, err := check(ctx, a.each, k.limits)
	c.About = a.About
	return c, err
}

// checker holds members against each other as they come.
type checker struct {
	tally
	Contents
	now *entry
}

// check reads all of a source. With hashes in it they must be right.
func check(ctx context.Context, from Source, bounds limits) (Contents, error) {
	c := checker{tally: tally{limits: bounds}, Contents: Contents{members: map[string]Member{}, small: map[string][]byte{}}}
	err := from(func(m Member, r io.Reader) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := c.tally.add(m); err != nil {
			return err
		}
		return c.member(m, r)
	})
	if err == nil {
		err = c.closeEntry()
	}
	if err != nil {
		return Contents{}, err
	}
	c.Bytes = c.tally.bytes
	_, newer := c.small[LogName]
	_, older := c.small[oldLogName]
	c.Log = newer || older
	_, c.Settings = c.small[settingsName]
	_, c.Keys = c.small[keyName]
	return c.Contents, nil
}

func (c *checker) member(m Member, r io.Reader) error {
	day, id, file, ok := m.Entry()
	if !ok || c.now == nil || c.now.day != day || c.now.id != id {
		if err := c.closeEntry(); err != nil {
			return err
		}
		if ok {
			c.now = newEntry(day, id)
		}
	}
	var kept bytes.Buffer
	to := io.Discard
	if !ok || file == "request" {
		to = &kept
	}
	got, err := drain(to, m, r)
	if err != nil {
		return err
	}
	c.members[m.Name] = got
	switch {
	case !ok:
		c.small[m.Name] = kept.Bytes()
	case file == "request":
		c.now.header = kept.Bytes()
	}
	if ok {
		c.now.files[file] = got
	}
	return nil
}

// closeEntry checks the entry that went by last.
func (c *checker) closeEntry() error {
	if c.now == nil {
		return nil
	}
	e := c.now
	c.now = nil
	c.Entries++
	return e.check()
}

// drain copies a member, and refuses one that is not what it should be. It
// returns the member with its hash.
func drain(to io.Writer, m Member, r io.Reader) (Member, error) {
	h := sha256.New()
	n, err := io.Copy(io.MultiWriter(to, h), io.LimitReader(r, m.Size))
	if err != nil {
		return Member{}, err
	}
	if n != m.Size {
		return Member{}, damaged(io.ErrUnexpectedEOF)
	}
	sum := [sha256.Size]byte(h.Sum(nil))
	if m.SHA256 != [sha256.Size]byte{} && m.SHA256 != sum {
		return Member{}, fmt.Errorf("%w: %s is not what was saved", ErrDamaged, queue.Quote(m.Name, 120))
	}
	m.SHA256 = sum
	return m, nil
}
