package client

import (
	"context"
	"errors"
	"math"
	"os"
	"syscall"
	"time"

	"qvmremote/queue"
)

// lookFresh is how old the mark of a poll may be while dom0 counts as looking.
const lookFresh = time.Minute

// Status is what can be seen from the qube without asking dom0. With version 1
// nothing shows whether dom0 looks, so there it is asked, by a command.
type Status struct {
	Qube        string // its name, or "-"
	Root        string
	Fingerprint string // of the key; "" without one
	KeyProblem  string // why the key cannot be used; "" if it can or there is none
	Connected   bool   // dom0 looks into the queue
	Legacy      bool   // this client speaks version 1: see [LegacyRisk]
	LastLook    time.Time

	Pending, Running, Results, Cancels int // requests, not files
	Orphans                            int // scripts without a header and headers without a script
	Stale                              int // files
}

// Clean reports whether nothing in the queue is left over.
func (s *Status) Clean() bool { return s.Stale == 0 }

// Good reports whether a command could run now, as far as the qube can see.
func (s *Status) Good() bool { return s.Fingerprint != "" && s.Connected && s.Clean() }

// Status looks at the queue.
func (c *Client) Status(ctx context.Context) (*Status, error) {
	s := &Status{Qube: c.QubeName(ctx), Root: c.Layout.Root, Legacy: c.Legacy}
	switch k, err := c.Key(); {
	case err == nil:
		s.Fingerprint = k.Fingerprint()
	case !errors.Is(err, ErrNoKey):
		s.KeyProblem = err.Error()
	}
	s.Connected, s.LastLook = c.Connected()
	if c.Legacy && !s.Connected && s.Fingerprint != "" {
		s.Connected = c.legacyAnswers(ctx)
	}
	files, _, err := c.Files(ctx, math.MaxInt)
	if err != nil {
		return nil, err
	}
	s.count(files)
	return s, nil
}

func (s *Status) count(files []File) {
	type key struct {
		folder queue.Folder
		id     string
	}
	seen := map[key]bool{}
	bodies, headers := map[string]bool{}, map[string]bool{}
	for _, f := range files {
		if f.Stale {
			s.Stale++
		}
		switch {
		case f.ID == "":
		case f.Folder == queue.FolderPending && f.Name == f.ID:
			bodies[f.ID] = true
		case f.Folder == queue.FolderPending && f.Name == f.ID+queue.Auth:
			headers[f.ID] = true
		default:
			seen[key{f.Folder, f.ID}] = true
		}
	}
	for k := range seen {
		switch k.folder {
		case queue.FolderRunning:
			s.Running++
		case queue.FolderResults:
			s.Results++
		case queue.FolderCancel:
			s.Cancels++
		}
	}
	for id := range headers {
		if bodies[id] {
			s.Pending++
		} else {
			s.Orphans++
		}
		delete(bodies, id)
	}
	s.Orphans += len(bodies)
}

// Connected reports whether dom0 looks into the queue: an agent serves it, or
// a look left its mark less than a minute ago; and when it did.
func (c *Client) Connected() (bool, time.Time) {
	if c.served() {
		return true, c.Now()
	}
	info, err := os.Lstat(c.Layout.LastLook())
	if err != nil {
		return false, time.Time{}
	}
	age := c.Now().Sub(info.ModTime())
	return age < lookFresh && age > -lookFresh, info.ModTime()
}

// served reports whether an agent holds its lock.
func (c *Client) served() bool {
	f, _, err := queue.OpenRegular(c.Layout.AgentLock())
	if err != nil {
		return false
	}
	defer f.Close() // and with it the lock, if it could be had
	return errors.Is(syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB), syscall.EWOULDBLOCK)
}
