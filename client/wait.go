package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"qvmremote/client/watch"
	"qvmremote/queue"
)

// Events are what Wait tells meanwhile, from its own goroutine. Any may be
// left out.
type Events struct {
	// Word is called when the request's word in dom0 changes. It is a file's
	// content; see [queue.Escape].
	Word func(queue.Word)
	// Tick is called every Waits.Tick with the time waited and the longest
	// time Wait may take, and once after Waits.Early if dom0 is not connected
	// then: whoever waits in vain should not have to wait long to learn it.
	Tick           func(waited, limit time.Duration)
	Stdout, Stderr io.Writer // the command's output, raw, as it comes
}

var (
	// ErrNotTaken says that dom0 did not take a request in time; it has been
	// withdrawn.
	ErrNotTaken = errors.New("dom0 did not look; the request was withdrawn. To find out why: qvm-remote doctor")
	// ErrNoAnswer says that dom0 took a request and gave no answer in time.
	ErrNoAnswer = errors.New("dom0 took the request and has not answered")
)

// Wait waits for the end of a request and then files its answer in the
// history. The error is [ErrBadResult], [ErrNotTaken], [ErrNoAnswer], an
// [OutputError], or the context's; then the request may still run, except
// after ErrNotTaken. With version 1 also [ErrLegacyTimeout], where it may run,
// or [ErrLegacyGone], where it will not.
func (c *Client) Wait(ctx context.Context, t *Ticket, e Events) (Outcome, error) {
	w := c.newWaiter(t, e)
	defer w.close()
	o, err := w.run(ctx)
	return c.settle(t, o, err)
}

// settle records the end of a wait.
func (c *Client) settle(t *Ticket, o Outcome, err error) (Outcome, error) {
	switch {
	case err == nil:
		if c.file(t) { // else another waiter did, and wrote the line
			c.note(ending(t, o))
		}
	case errors.Is(err, ErrBadResult): // stays, for a good one may yet replace it
		c.note(fmt.Sprintf("DONE id=%s exit=%d unbelieved", t.ID, queue.ExitInternal))
	case errors.Is(err, ErrLegacyGone):
		c.retract(t) // an old dom0 leaves the token
		c.note("DENIED id=" + t.ID)
	case errors.Is(err, ErrNotTaken), errors.Is(err, ErrNoAnswer), errors.Is(err, ErrLegacyTimeout):
		c.note(fmt.Sprintf("TIMEOUT id=%s after=%ds", t.ID, int(time.Since(t.since)/time.Second)))
	}
	return o, err
}

func ending(t *Ticket, o Outcome) string {
	switch {
	case o.State == queue.StateExit:
		return fmt.Sprintf("DONE id=%s exit=%d", t.ID, o.Exit)
	case o.State == queue.StateTimeout:
		return fmt.Sprintf("TIMEOUT id=%s after=%ds", t.ID, t.Timeout)
	case o.State == queue.StateDenied:
		return fmt.Sprintf("DENIED id=%s reason=%s", t.ID, queue.Escape(string(o.Reason), 32))
	}
	return fmt.Sprintf("DONE id=%s exit=%d state=%s", t.ID, o.Exit, o.State)
}

// waiter follows one request.
type waiter struct {
	c        *Client
	t        *Ticket
	e        Events
	out, err *tail
	watcher  *watch.Watcher
	taken    bool
	word     queue.Word
	end      legacyEnd // of a version-1 request
}

func (c *Client) newWaiter(t *Ticket, e Events) *waiter {
	open := func(ending string) func() (*os.File, error) {
		return func() (*os.File, error) { return c.open(t, ending) }
	}
	return &waiter{c: c, t: t, e: e, out: newTail(open(queue.Out), e.Stdout), err: newTail(open(queue.Err), e.Stderr)}
}

func (w *waiter) close() {
	w.out.close()
	w.err.close()
	if w.watcher != nil {
		w.watcher.Close()
	}
}

func (w *waiter) run(ctx context.Context) (Outcome, error) {
	tick := time.NewTicker(w.c.Waits.Tick)
	defer tick.Stop()
	early := time.NewTimer(w.c.Waits.Early)
	defer early.Stop()
	for begun := time.Now(); ; {
		pause, err := w.watch(ctx, time.Since(begun))
		if err != nil {
			return Outcome{}, err
		}
		if over, err := w.look(); err != nil || over {
			if err != nil {
				return Outcome{}, err
			}
			return w.c.verify(w.t, w.out, w.err)
		}
		pause = min(pause, w.end.pause(w.c))
		left := w.limit() - time.Since(w.t.since)
		if left <= 0 {
			if err := w.overdue(); err != nil {
				return Outcome{}, err
			}
			continue // taken in the last moment
		}
		deadline := time.NewTimer(min(left, pause))
		select {
		case <-ctx.Done():
			deadline.Stop()
			return Outcome{}, ctx.Err()
		case <-w.changed():
		case <-deadline.C:
		case <-early.C:
			if connected, _ := w.c.Connected(); !connected && !w.t.legacy {
				w.tell()
			}
		case <-tick.C: // looks once more, should a change have gone unseen
			w.tell()
		}
		deadline.Stop()
	}
}

// tell says how long it waits.
func (w *waiter) tell() {
	if w.e.Tick != nil {
		w.e.Tick(time.Since(w.t.since), w.limit())
	}
}

// changed is the watcher's signal, or never.
func (w *waiter) changed() <-chan struct{} {
	if w.watcher == nil {
		return nil
	}
	return w.watcher.Changed()
}

// limit is how long the wait may take, from its beginning.
func (w *waiter) limit() time.Duration {
	if w.t.patience != 0 {
		return w.t.patience
	}
	within := time.Duration(w.t.Expires-w.t.Issued) * time.Second
	if !w.taken {
		return within + w.c.Waits.Take
	}
	return within + time.Duration(w.t.Timeout)*time.Second + w.c.Waits.Answer
}

// watch begins to watch, and begins again where the queue was removed. It
// returns after what time to look in any case.
//
// To close an inotify descriptor takes the kernel up to 16 ms (it waits for a
// grace period), which is longer than a short command takes in all. So for the
// first Waits.Brief there is no watch but some 40 looks, each after an eighth
// of the time that has passed; from then on only changes wake the waiter.
func (w *waiter) watch(ctx context.Context, waited time.Duration) (pause time.Duration, err error) {
	const never = 1<<63 - 1
	switch {
	case w.watcher == nil && waited < w.c.Waits.Brief:
		return max(waited/8, 250*time.Microsecond), nil
	case w.watcher != nil && !w.watcher.Lost():
		return never, nil
	case w.watcher != nil:
		w.watcher.Close()
		w.watcher = nil
		w.out.close() // it may be another file when the queue is back
		w.err.close()
		select { // whoever took it away may be about to put it back
		case <-time.After(w.c.Waits.Settle):
		case <-ctx.Done():
		}
	}
	switch err := w.begin(); {
	case errors.Is(err, fs.ErrNotExist): // taken away once more
		return max(w.c.Waits.Settle, time.Millisecond), nil
	case err != nil:
		return 0, Explain(err)
	}
	for _, o := range w.outputs() {
		if o.tail.f != nil {
			_ = w.watcher.Content(w.c.Layout.Result(w.t.ID, o.ending)) // see look
		}
	}
	return never, nil
}

// begin makes and watches the folders where an answer comes.
func (w *waiter) begin() error {
	if err := w.c.Layout.Make(); err != nil {
		return err
	}
	watcher := watch.New(w.c.Waits.Pace)
	mine := func(name string) bool { return strings.HasPrefix(name, w.t.ID) }
	comes := uint32(unix.IN_CREATE | unix.IN_MOVED_TO)
	folders := map[string]uint32{
		w.c.Layout.ResultsDir():               comes | unix.IN_MOVED_FROM,
		w.c.Layout.RunningDir():               comes,
		filepath.Dir(w.c.Layout.RunningDir()): 0,
		w.c.Layout.Root:                       0,
	}
	if w.t.legacy { // files are filled in place, and a refusal is that the request is gone
		folders[w.c.Layout.ResultsDir()] |= unix.IN_CLOSE_WRITE
		folders[w.c.Layout.PendingDir()] = unix.IN_DELETE | unix.IN_MOVED_FROM
	}
	for dir, mask := range folders {
		if err := watcher.Folder(dir, mask, mine); err != nil {
			watcher.Close()
			return err
		}
	}
	w.watcher = watcher
	return nil
}

type output struct {
	tail   *tail
	ending string
}

func (w *waiter) outputs() []output { return []output{{w.out, queue.Out}, {w.err, queue.Err}} }

// look hands on what is new and reports whether the request has ended.
func (w *waiter) look() (over bool, err error) {
	over, err = w.ended() // before the output, so that none is left behind it
	if err != nil {
		return false, err
	}
	if b, err := queue.ReadSmall(w.c.Layout.Running(w.t.ID), 64); err == nil && !w.t.legacy {
		w.taken = true
		if word := queue.Word(b); word != w.word && !over {
			w.word = word
			if w.e.Word != nil {
				w.e.Word(word)
			}
		}
	}
	for _, o := range w.outputs() {
		opened, err := o.tail.follow()
		if opened {
			w.taken = true
			// Without this watch the output comes at the end; with it, what was
			// written before the watch began is looked for once more.
			if w.watcher != nil && err == nil && w.watcher.Content(w.c.Layout.Result(w.t.ID, o.ending)) == nil {
				_, err = o.tail.follow()
			}
		}
		if out := (*OutputError)(nil); errors.As(err, &out) {
			return false, err
		}
	}
	return over, nil
}

// ended reports whether the answer is there, and notes of a version-1 request,
// whose file in running is its script and no word, whether dom0 took it.
func (w *waiter) ended() (over bool, err error) {
	if !w.t.legacy {
		return w.c.ended(w.t), nil
	}
	over, w.taken, err = w.end.look(w.c, w.t)
	return over, err
}

// overdue ends a wait whose time is over. It returns nil when dom0 turned out
// to have taken the request just now.
func (w *waiter) overdue() error {
	if w.t.legacy {
		return w.legacyOverdue()
	}
	if w.taken {
		return fmt.Errorf("%w; later: qvm-remote wait %s", ErrNoAnswer, w.t.ID)
	}
	w.c.retract(w.t)
	if over, _ := w.look(); over || w.taken {
		w.taken = true
		return nil
	}
	if err := w.c.publishCancel(w.t); err != nil {
		return fmt.Errorf("%w (but it cannot be taken back for certain: %w)", ErrNotTaken, err)
	}
	return ErrNotTaken
}
