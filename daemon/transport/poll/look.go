package poll

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"qvmremote/queue"
)

// found is what a look brought.
type found struct {
	requests []request
	cancels  []cancel
	bare     []string // of version 1: scripts without a token
}

// request is one that lies in the queue.
type request struct {
	id     string
	header []byte // or, of version 1, the token; up to 1025 bytes
	length int64  // of its script; -1: there is none, or it is no plain file
	script []byte // base64; nil where it was not brought
}

type cancel struct {
	id     string
	header []byte
}

const (
	maxRequests = 16
	maxCancels  = 64
	maxBare     = queue.MaxNames
	maxHeld     = 4000 // ids that are told to be known; more are brought again
)

// look makes one look and keeps what it found.
func (c *conn) look(ctx context.Context) error {
	done, err := c.d.Share.take(ctx, c)
	if err != nil {
		return err
	}
	defer done()
	in, wanted := c.begin()
	var f found
	var acks map[string]bool
	err = c.begun(ctx, c.d.Times.Call, bytes.NewReader(in), func(a *answer) (err error) {
		f, acks, err = readLook(a, wanted)
		return err
	})
	c.settle(f, acks, err)
	return err
}

// begin says what a look carries to the qube.
func (c *conn) begin() (said []byte, wanted map[string]bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.looked = time.Now()
	c.carrying, c.changes, c.landed = c.changes, nil, make(chan struct{})
	var in bytes.Buffer
	if c.d.Legacy(c.qube) {
		in.WriteString("legacy\n")
	}
	wanted = map[string]bool{}
	for _, ch := range c.carrying {
		in.WriteString(ch.line)
		wanted[ch.key] = true
	}
	for id, until := range c.skip {
		if c.looked.After(until) {
			delete(c.skip, id)
		}
	}
	held := slices.Concat(keysOf(c.known), keysOf(c.skip))
	for part := range slices.Chunk(held[:min(len(held), maxHeld)], 100) {
		fmt.Fprintf(&in, "known %s\n", strings.Join(part, " "))
	}
	in.WriteString("look\nend\n")
	return in.Bytes(), wanted
}

func keysOf[V any](m map[string]V) (keys []string) {
	for k := range m {
		keys = append(keys, k)
	}
	return keys
}

// settle takes over what a look found, and what became of the changes it
// carried: those of a look that failed are carried again.
func (c *conn) settle(f found, acks map[string]bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, ch := range c.carrying {
		done, acked := acks[ch.key]
		if err != nil || !acked {
			if !ch.gone {
				c.changes = append(c.changes, ch)
			}
			continue
		}
		c.acknowledged(ch, done)
	}
	c.carrying = nil
	close(c.landed)
	if err != nil {
		return
	}
	if c.fresh(f) {
		c.number++
		c.stir()
	}
	c.found, c.told = f, max(c.number, 1)
	c.number = c.told
}

// fresh reports whether a look found what the one before had not; c.mu is held.
func (c *conn) fresh(f found) bool {
	for _, r := range f.requests {
		if !slices.ContainsFunc(c.found.requests, func(o request) bool { return o.id == r.id && bytes.Equal(o.header, r.header) }) {
			return true
		}
	}
	for _, r := range f.cancels {
		if !slices.ContainsFunc(c.found.cancels, func(o cancel) bool { return o.id == r.id && bytes.Equal(o.header, r.header) }) {
			return true
		}
	}
	return false
}

// readLook reads the answer to a look. acks tell what became of each change that
// was wanted.
func readLook(a *answer, wanted map[string]bool) (f found, acks map[string]bool, err error) {
	acks = map[string]bool{}
	for {
		words, more, err := a.line()
		if err != nil || !more {
			return f, acks, err
		}
		if len(words) == 3 && (words[0] == "ok" || words[0] == "no") {
			if key := words[1] + " " + words[2]; wanted[key] {
				acks[key] = words[0] == "ok"
			}
			continue
		}
		if err := f.take(words); err != nil {
			return found{}, nil, err
		}
	}
}

// take adds one line.
func (f *found) take(words []string) error {
	bad := fmt.Errorf("%w: a look says %s", ErrAnswer, queue.Quote(strings.Join(words, " "), 80))
	if len(words) < 2 || !queue.ValidID(words[1]) {
		return bad
	}
	id := words[1]
	switch {
	case words[0] == "cancel" && len(words) == 3 && len(f.cancels) < maxCancels:
		header, err := small(words[2])
		if err != nil {
			return bad
		}
		f.cancels = append(f.cancels, cancel{id, header})
	case words[0] == "request" && len(words) == 4 && len(f.requests) < maxRequests && f.of(id) == nil:
		header, err := small(words[3])
		if err != nil {
			return bad
		}
		r := request{id: id, header: header, length: -1}
		if words[2] != "-" {
			if r.length, err = number(words[2]); err != nil {
				return bad
			}
		}
		f.requests = append(f.requests, r)
	case words[0] == "body" && len(words) == 3 && f.of(id) != nil && f.of(id).script == nil:
		f.of(id).script = []byte(words[2])
	case words[0] == "body" && len(words) == 2 && f.of(id) != nil: // base64 of nothing
		f.of(id).script = []byte{}
	case words[0] == "bare" && len(words) == 2 && len(f.bare) < maxBare:
		f.bare = append(f.bare, id)
	default:
		return bad
	}
	return nil
}

// of is the request of that id, nil if there is none.
func (f *found) of(id string) *request {
	i := slices.IndexFunc(f.requests, func(r request) bool { return r.id == id })
	if i < 0 {
		return nil
	}
	return &f.requests[i]
}

// small reads base64 of a header, or of one that is too long by a byte; "-" is
// nothing.
func small(s string) ([]byte, error) {
	if s == "-" {
		return nil, nil
	}
	if len(s) > base64.StdEncoding.EncodedLen(queue.MaxHeader+1) {
		return nil, ErrAnswer
	}
	return base64.StdEncoding.DecodeString(s)
}

// number reads a size.
func number(s string) (int64, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err == nil && (n < 0 || strconv.FormatInt(n, 10) != s) {
		err = ErrAnswer
	}
	return n, err
}
