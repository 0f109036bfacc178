package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"qvmremote/queue"
)

// LegacyVariable is the environment variable that makes the client speak
// version 1. Only "1" does: it must not be turned on by accident.
const LegacyVariable = "QVM_REMOTE_LEGACY"

// legacyMark is the file in a request's entry in the history that says it went
// to dom0 as version 1 has it. The header beside it never went anywhere.
const legacyMark = "legacy"

// LegacyRisk is what whoever uses version 1 has to know.
const LegacyRisk = "legacy, insecure: version 1 authenticates a command's id, not the command, and no answer is signed"

var (
	// ErrLegacyCannot says that version 1 has no way to do what was asked for.
	ErrLegacyCannot = errors.New("version 1 (QVM_REMOTE_LEGACY=1) cannot do this")
	// ErrLegacyGone says that a version-1 request was removed without a word,
	// which is how the first implementation refuses.
	ErrLegacyGone = errors.New("the request is gone and has no answer: unless it was taken back here, dom0 refused it " +
		"(version 1 does not say so: a wrong or missing key, or a command that is no text). See /var/log/qubes/qvm-remote.log in dom0")
	// ErrLegacyTimeout says that the time given with -t is over. Version 1
	// does not tell dom0 of it.
	ErrLegacyTimeout = errors.New("timed out; version 1 cannot stop the command, which may still run in dom0")
	// ErrLegacyCancel is what became of a version-1 request that was to be
	// cancelled.
	ErrLegacyCancel = fmt.Errorf("%w: it has no cancel. If dom0 had not read the request yet it is withdrawn, else the command runs on",
		ErrLegacyCannot)
)

var errExitNumber = fmt.Errorf("%w: its exit code is no number", ErrBadResult)

// checkLegacy refuses what version 1 cannot carry.
func (c *Client) checkLegacy(r Request) error {
	switch {
	case !c.Legacy:
	case r.Stdin != nil:
		return fmt.Errorf("%w: it has no standard input for a command", ErrLegacyCannot)
	case r.Detach:
		return fmt.Errorf("%w: --detach needs version 2", ErrLegacyCannot)
	case r.Within != 0:
		return fmt.Errorf("%w: --within needs version 2", ErrLegacyCannot)
	}
	return nil
}

// legacyTicket makes of t what version 1 can carry: dom0 learns of no time, so
// a timeout only bounds the wait here, and the limits are those dom0 has.
func legacyTicket(t *Ticket, r Request) {
	t.legacy = true
	t.patience = r.Timeout
	t.Timeout = queue.DefaultTimeout
	t.Expires = t.Issued + int64(queue.DefaultWithin/time.Second)
}

// legacyEnd follows the end of a version-1 request, which no single step marks:
// dom0 may write each file in place, and .meta behind .exit.
type legacyEnd struct {
	numbered time.Time // since when .exit holds a number
	gone     time.Time // since when nothing of the request is anywhere
}

// look reports whether an answer is all there, or [ErrLegacyGone] when none
// will come. taken is whether dom0 has the request.
func (l *legacyEnd) look(c *Client, t *Ticket) (over, taken bool, err error) {
	if c.has(t, queue.Denied) {
		return true, true, nil
	}
	b, rerr := c.read(t, queue.Exit, 16)
	if _, number := exitNumber(b); rerr == nil && number {
		if l.numbered.IsZero() {
			l.numbered = time.Now()
		}
		meta, _ := c.read(t, queue.Meta, queue.MaxHeader) // its last line ends it: it is written in place
		return bytes.Contains(meta, []byte("exit_code=")) || time.Since(l.numbered) >= c.Waits.Meta, true, nil
	}
	l.numbered = time.Time{}
	if exists(c.Layout.Body(t.ID)) { // moved to running in one step, so it never is in neither
		l.gone = time.Time{}
		return false, false, nil
	}
	if exists(c.Layout.Running(t.ID)) || c.has(t, queue.Out) || c.has(t, queue.Exit) {
		l.gone = time.Time{}
		return false, true, nil
	}
	if l.gone.IsZero() {
		l.gone = time.Now()
	}
	if time.Since(l.gone) >= c.Waits.Meta {
		return false, true, ErrLegacyGone
	}
	return false, true, nil
}

// pause is after what time to look again although nothing changed.
func (l *legacyEnd) pause(c *Client) time.Duration {
	since := l.numbered
	if since.IsZero() {
		since = l.gone
	}
	if since.IsZero() {
		return 1<<63 - 1
	}
	return max(c.Waits.Meta-time.Since(since), 0)
}

// exitNumber reads an .exit file as the first implementation writes it: a
// number, below zero for a command that a signal killed.
func exitNumber(b []byte) (int, bool) {
	n, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil || n < -64 || n > 255 {
		return 0, false
	}
	if n < 0 {
		n = 128 - n
	}
	return n, true
}

// legacyOutcome reads the answer to a version-1 request. Nothing of it is
// authenticated.
func (c *Client) legacyOutcome(t *Ticket, out, err *tail) (Outcome, error) {
	o := Outcome{ID: t.ID, State: queue.StateExit, Legacy: true}
	if c.has(t, queue.Denied) && !c.has(t, queue.Exit) {
		b, err := c.read(t, queue.Denied, queue.MaxDenied)
		if err != nil {
			return Outcome{}, fmt.Errorf("%w: %w", ErrBadResult, err)
		}
		c.retract(t)
		o.State, o.Exit = queue.StateDenied, queue.ExitDenied
		o.Reason, o.Sentence = splitDenied(b)
		return o, nil
	}
	b, rerr := c.read(t, queue.Exit, 16)
	n, number := exitNumber(b)
	if rerr != nil || !number {
		return Outcome{}, errExitNumber
	}
	o.Exit = n
	for _, part := range []*tail{out, err} {
		if err := part.rest(); err != nil {
			return Outcome{}, err
		}
	}
	if meta, err := c.read(t, queue.Meta, queue.MaxHeader); err == nil {
		o.Duration = metaDuration(meta)
	}
	o.CutOut, o.CutErr = out.cut(), err.cut()
	return o, nil
}

// legacyOverdue ends a wait for a version-1 request: it cannot be taken back
// once dom0 has read it, so what is said is that it may run.
func (w *waiter) legacyOverdue() error {
	c, t, taken := w.c, w.t, w.taken
	c.retract(t)
	if over, err := w.look(); err != nil || over {
		return err
	}
	if !w.end.numbered.IsZero() { // it ended right now: as good as all there
		w.end.numbered = w.end.numbered.Add(-c.Waits.Meta)
		return nil
	}
	taken = taken || exists(c.Layout.Running(t.ID)) || c.has(t, queue.Out)
	switch {
	case c.has(t, queue.Exit):
		return errExitNumber
	case t.patience != 0:
		return fmt.Errorf("%w: waited %ds", ErrLegacyTimeout, int(t.patience/time.Second))
	case taken:
		return fmt.Errorf("%w; later: qvm-remote wait %s", ErrNoAnswer, t.ID)
	}
	return ErrNotTaken
}

// legacyAnswers asks dom0 for a sign of life, where nothing else shows whether
// it looks into the queue. Version 1 has no other way than to run a command.
func (c *Client) legacyAnswers(ctx context.Context) bool {
	ctx, stop := context.WithTimeout(ctx, c.Waits.Status)
	defer stop()
	o, err := c.Ping(ctx)
	return err == nil && o.State == queue.StateExit && o.Exit == 0
}

// LegacyMode reads [LegacyVariable].
func LegacyMode() (bool, error) {
	switch v := os.Getenv(LegacyVariable); v {
	case "", "0":
		return false, nil
	case "1":
		return true, nil
	default:
		return false, fmt.Errorf("%s is %s; it must be 1 (speak version 1, insecure) or 0", LegacyVariable, queue.Quote(v, 40))
	}
}
