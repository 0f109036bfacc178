package backup

import (
	"bytes"
	"context"
	"time"

	"qvmremote/queue"
)

// Saved is a request of the history with the files that were asked for.
type Saved struct {
	Day, ID string
	// Over says that it has an answer and that nobody can have it run any more.
	Over  bool
	Files []Member

	c *collected
}

// Read returns one of its files. One that changed meanwhile is an error.
func (s Saved) Read(m Member) ([]byte, error) {
	var b bytes.Buffer
	err := s.c.copy(&b, m)
	return b.Bytes(), err
}

// Look hands over the whole history in the order of its names, of each request
// some files, and then both parts of the log together. It returns what it could
// not read.
func (k *Keeper) Look(ctx context.Context, files []string, use func(Saved) error) (log []byte, left []LeftOut, err error) {
	c, err := k.collect(ctx, files...)
	if err != nil {
		return nil, nil, err
	}
	defer c.close()
	for i := len(c.entries) - 1; i >= 0; i-- { // the newest are first
		e := c.entries[i]
		s := Saved{Day: e.day, ID: e.id, Over: e.over(k.Client.Now()), c: c}
		for _, m := range e.files {
			s.Files = append(s.Files, m)
		}
		if err := use(s); err != nil {
			return nil, nil, err
		}
	}
	return append(bytes.Clone(c.small[oldLogName]), c.small[LogName]...), c.left, nil
}

// over reports whether a request has an answer and its time to start is past. By
// the answer alone it could be one that was denied and put into the queue again.
func (e *entry) over(now time.Time) bool {
	if len(e.header) == 0 {
		return e.ended()
	}
	r, err := queue.ReadOwnRequest(e.header)
	return err == nil && e.ended() && now.After(time.Unix(r.Expires, 0).Add(queue.ClockSlack))
}
