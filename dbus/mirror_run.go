package dbus

import (
	"context"
	"errors"
	"sync"
	"time"

	godbus "github.com/godbus/dbus/v5"
)

// watcher is a mirror's goroutine: it alone changes what is in here, and what
// the mirror shows. It never waits for the bus. What must wait is done beside
// it and comes back as a step, which counts only if nothing has made it void:
// a change of owner, or reading everything anew.
type watcher struct {
	*Mirror
	ctx     context.Context
	beside  sync.WaitGroup
	steps   chan step
	matched bool   // signals come
	owner   string // of the name, "" for nobody

	work     context.Context // what steps belong to
	stopWork context.CancelFunc

	live    bool             // everything was read from owner, and signals are applied as they come
	since   time.Time        // it is live
	pending []*godbus.Signal // came while everything is being read
	lost    bool             // some of them did not fit

	failures int
	later    *time.Timer // the next try; nil: none is due

	healthAsked, healthAgain bool
	recordsAsked             bool
}

type step struct {
	of   context.Context
	then func()
}

func (m *Mirror) run(ctx context.Context) {
	w := &watcher{Mirror: m, ctx: ctx, steps: make(chan step)}
	w.work, w.stopWork = context.WithCancel(ctx)
	defer func() {
		w.renew()
		w.end()
		w.beside.Wait()
		w.sayFarewell()
		m.client.signals.shut()
		close(m.changed)
		close(m.ended)
	}()
	w.read()
	for w.wait() {
	}
}

// wait does the next thing; false at the end.
func (w *watcher) wait() bool {
	var later <-chan time.Time
	if w.later != nil {
		later = w.later.C
	}
	select {
	case <-w.ctx.Done():
		return false
	case <-w.client.signals.ready:
		return w.drain()
	case s := <-w.steps:
		// Signals that came before the answer come before it here as well.
		if !w.drain() {
			return false
		}
		if s.of == w.work {
			s.then()
		}
	case <-later:
		w.read()
	case <-w.retry:
		if !w.live {
			w.failures = 0
			w.read()
		}
	}
	return true
}

// background does what waits for the bus; what it returns is done by the
// watcher, if that still makes sense then.
func (w *watcher) background(do func(context.Context) (then func())) {
	ctx := w.work
	w.beside.Add(1)
	go func() {
		defer w.beside.Done()
		then := do(ctx)
		select {
		case w.steps <- step{ctx, then}:
		case <-ctx.Done():
		}
	}()
}

// renew makes void what is under way.
func (w *watcher) renew() {
	w.stopWork()
	w.work, w.stopWork = context.WithCancel(w.ctx)
	if w.later != nil {
		w.later.Stop()
		w.later = nil
	}
	w.live, w.pending, w.lost = false, nil, false
	w.healthAsked, w.healthAgain, w.recordsAsked = false, false, false
}

// read reads everything, from whoever owns the name, or whom asking starts.
func (w *watcher) read() {
	w.renew()
	w.publish(func() { w.shown.Stale = true })
	if !w.matched {
		w.background(w.listen)
		return
	}
	owner := w.owner
	w.background(func(ctx context.Context) func() {
		r := manager("Subscribe")
		r.dest, r.silent = owner, true
		err := w.client.call(ctx, r)
		if err == nil && owner == "" {
			// Whom that started has told its name before it answered; it is gone.
			err = &Error{Code: Unavailable, Text: absentText}
		}
		var m Manager
		var all objects
		if err == nil {
			m, all, err = w.client.status(ctx, owner)
		}
		var qubes map[string]Qube
		var requests map[uint64]Request
		if err == nil {
			qubes, err = all.qubes()
		}
		if err == nil {
			requests, err = all.requests()
		}
		return func() { w.took(m, qubes, requests, err) }
	})
}

// matches are the rules for the signals that a mirror needs. The bus takes the
// name for whoever owns it at the moment of sending.
var matches = [...]string{
	"type='signal',sender='" + Name + "'",
	"type='signal',sender='" + busName + "',interface='" + busName + "',member='NameOwnerChanged',arg0='" + Name + "'",
}

func matchCall(method, rule string) request {
	return request{dest: busName, path: busPath, iface: busName, method: method, args: []any{rule}}
}

// listen makes signals come, before anything is read, so that none is missed.
func (w *watcher) listen(ctx context.Context) func() {
	for _, rule := range matches {
		if err := w.client.call(ctx, matchCall("AddMatch", rule)); err != nil {
			return func() { w.failed(err) }
		}
	}
	owner, at, err := w.client.owner(ctx)
	if err != nil {
		return func() { w.failed(err) }
	}
	return func() {
		w.matched = true
		w.owner = w.client.signals.own(owner, at)
		w.read()
	}
}

// took is that everything was read, or could not be.
func (w *watcher) took(m Manager, qubes map[string]Qube, requests map[uint64]Request, err error) {
	switch {
	case err != nil:
		w.failed(err)
		return
	case w.lost:
		w.read()
		return
	}
	pending := w.pending
	w.live, w.since, w.pending = true, time.Now(), nil
	ok := true
	w.publish(func() {
		w.shown = Snapshot{Availability: Available, Manager: m}
		w.qubes, w.requests = qubes, requests
		w.records.restart(m.AuditHead)
		// These may be older than what was read, but end where that does: only
		// together are they shown.
		for _, s := range pending {
			ok = w.apply(s) && ok
		}
	})
	w.follow(ok)
}

// failed is that the service could not be read.
func (w *watcher) failed(err error) {
	w.renew()
	var e *Error
	code := Failed
	if errors.As(err, &e) {
		code = e.Code
	}
	why := NoService
	switch code {
	case NotAuthorized:
		why = Forbidden
	case Incompatible, NoSuchObject, InvalidArgument:
		why = Mismatched
	case Disconnected:
		why = NoBus
	default:
		w.failures++
		w.tryLater()
	}
	w.unavailable(why, err.Error())
}

func (w *watcher) unavailable(a Availability, why string) {
	w.publish(func() { w.shown.Availability, w.shown.Why, w.shown.Stale = a, why, true })
}

// tryLater sets the time of the next try, if there is to be one.
func (w *watcher) tryLater() bool {
	if w.failures > w.limits.tries {
		return false
	}
	delay := w.limits.delay << (w.failures - 1)
	w.later = time.NewTimer(min(delay, w.limits.longest))
	return true
}

// ownerIs is that the name has another owner now.
func (w *watcher) ownerIs(owner string) {
	if owner == w.owner {
		return
	}
	w.owner = owner
	if owner != "" {
		w.read()
		return
	}
	// Asked for again at once, unless it ended as soon as it was there.
	if w.live && time.Since(w.since) >= w.limits.settled {
		w.failures = 0
	}
	w.failures++
	if w.failures == 1 {
		w.unavailable(Restarting, "qvm-remote's service restarts")
		w.read()
		return
	}
	w.renew()
	if w.tryLater() {
		w.unavailable(Restarting, "qvm-remote's service ended and is started again")
	} else {
		w.unavailable(NoService, "qvm-remote's service ends whenever it is started: see journalctl -u qvm-remote-manage")
	}
}

// sayFarewell ends what read and listen began, without waiting.
func (w *watcher) sayFarewell() {
	if !w.matched {
		return
	}
	if w.owner != "" {
		r := manager("Unsubscribe")
		r.dest, r.silent, r.farewell = w.owner, true, true
		_ = w.client.call(context.Background(), r)
	}
	for _, rule := range matches {
		r := matchCall("RemoveMatch", rule)
		r.farewell = true
		_ = w.client.call(context.Background(), r)
	}
}
