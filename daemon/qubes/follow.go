package qubes

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

// Times are the waits of [Tools.Follow], in one value so that tests shorten them.
type Times struct {
	Answer   time.Duration // qubesd answers, and ends an event that it began, within it
	Backoff  time.Duration // first pause before another try, doubling
	MaxPause time.Duration // longest
	Renew    time.Duration // a connection is believed for so long; after it states are asked for once more
}

// DefaultTimes are those of a real dom0.
func DefaultTimes() Times {
	return Times{Answer: 10 * time.Second, Backoff: 2 * time.Second, MaxPause: 5 * time.Minute, Renew: time.Hour}
}

// errRenewed says that a connection was used for as long as it may be.
var errRenewed = errors.New("the connection was used for its time")

// Follow follows qubesd's events until ctx ends, so that [Tools.State] and
// [Tools.Snapshot] need not ask again for what has not changed. An event is no
// more than a reason to ask: what a qube's state is, qvm-ls tells. Where events
// cannot be followed, answers age as they do without it. Only one may follow.
//
// told hears nil when events are followed from now on, and the reason when they
// are not, which wraps [ErrNoEvents] where there is nothing to follow: once for
// each change of that, not for each try.
func (t *Tools) Follow(ctx context.Context, times Times, told func(error)) {
	tell := onceEach(told)
	for pause := times.Backoff; ; {
		began := time.Now()
		err := t.hear(ctx, times, func() { tell(nil) })
		t.cache.unfollow()
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, errRenewed):
			continue
		case time.Since(began) > times.MaxPause:
			pause = times.Backoff
		}
		tell(err)
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		pause = min(2*pause, times.MaxPause)
	}
}

// onceEach passes on what is news: that it works, that it does not, and that
// there is nothing to follow, unless it stopped working before that.
func onceEach(told func(error)) func(error) {
	const (
		works = iota + 1
		absent
		broken
	)
	said := 0
	return func(err error) {
		now := broken
		switch {
		case err == nil:
			now = works
		case errors.Is(err, ErrNoEvents) && said != works:
			now = absent
		}
		if now == said || now == absent && said == broken {
			return
		}
		said = now
		told(err)
	}
}

// hear follows one connection to its end, which comes at the latest when it must
// be renewed. up is called once it tells of everything.
func (t *Tools) hear(ctx context.Context, times Times, up func()) error {
	conn, err := askForEvents(ctx, t.Root, times.Answer)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer func() {
		stop()
		_ = conn.Close()
	}()
	r := newEventReader(conn)
	e, err := r.next()
	if err == nil && e.name != established {
		err = errors.New("qubesd began with another event than it should")
	}
	if err != nil {
		return fmt.Errorf("cannot follow qubesd: %w", err)
	}
	t.cache.follow() // what was asked before may have changed before qubesd listened to us
	up()
	for until := time.Now().Add(times.Renew); ; {
		if err := conn.SetReadDeadline(until); err != nil {
			return err
		}
		err := r.begun()
		if errors.Is(err, os.ErrDeadlineExceeded) || err == nil && time.Now().After(until) {
			return errRenewed
		}
		if err == nil {
			err = conn.SetReadDeadline(time.Now().Add(times.Answer))
		}
		if err == nil {
			e, err = r.next()
		}
		if err != nil {
			return fmt.Errorf("cannot follow qubesd any more: %w", err)
		}
		if qube, w := e.means(); w != nothing {
			t.cache.heard(qube, w)
		}
	}
}
