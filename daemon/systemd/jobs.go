package systemd

import (
	"context"
	"errors"
	"fmt"

	godbus "github.com/godbus/dbus/v5"
)

// mode lets a new job take the place of one that contradicts it, as systemctl
// has it.
const mode = "replace"

// Start starts unit and waits until it is up. A unit that runs is left alone.
// What systemd could not do is a [*JobError].
func (u Units) Start(ctx context.Context, unit string) error {
	return u.job(ctx, "start", unit, true)
}

// Stop stops unit. Without wait it returns once systemd has accepted the job: a
// service that stops itself can wait for no more.
func (u Units) Stop(ctx context.Context, unit string, wait bool) error {
	return u.job(ctx, "stop", unit, wait)
}

// Restart stops unit where it runs, and starts it. For wait see [Units.Stop].
func (u Units) Restart(ctx context.Context, unit string, wait bool) error {
	return u.job(ctx, "restart", unit, wait)
}

func (u Units) job(ctx context.Context, verb, unit string, wait bool) error {
	limit := CallLimit
	if wait {
		limit = JobLimit
	}
	return u.with(ctx, limit, verb, unit, func(l *link) error {
		var ended chan *godbus.Signal
		if wait { // before the job can end
			var err error
			if ended, err = l.listen(godbus.WithMatchInterface(manager), godbus.WithMatchMember("JobRemoved"), godbus.WithMatchObjectPath(path)); err != nil {
				return err
			}
		}
		id, err := l.enqueue(verb, unit)
		if err != nil || !wait {
			return err
		}
		result, err := l.result(ended, id)
		if err == nil && result != "done" {
			err = &JobError{Unit: unit, Verb: verb, Result: result}
		}
		return err
	})
}

func (l *link) enqueue(verb, unit string) (id int, err error) {
	// No channel: go-systemd would take anybody's word for the end of the job.
	switch verb {
	case "start", "restart":
		// systemd counts starts, so that a service that breaks again and again is
		// left alone in the end. A person who asks begins a new count. Where that
		// fails, for a unit that systemd does not have in memory, there is none.
		_ = l.manager.ResetFailedUnitContext(l.ctx, unit)
	}
	switch verb {
	case "start":
		id, err = l.manager.StartUnitContext(l.ctx, unit, mode, nil)
	case "stop":
		id, err = l.manager.StopUnitContext(l.ctx, unit, mode, nil)
	case "restart":
		id, err = l.manager.RestartUnitContext(l.ctx, unit, mode, nil)
	}
	if err == nil && id == 0 {
		err = errors.New("its answer names no job")
	}
	return id, err
}

// result waits for the end of job id.
func (l *link) result(ended <-chan *godbus.Signal, id int) (string, error) {
	for {
		s, err := l.next(ended)
		if err != nil {
			return "", err
		}
		var number uint32
		var job godbus.ObjectPath
		var unit, result string
		if s.Name != manager+".JobRemoved" || godbus.Store(s.Body, &number, &job, &unit, &result) != nil {
			continue
		}
		if int(number) == id {
			return result, nil
		}
	}
}

// listen hears the signals of systemd that match, in their order.
func (l *link) listen(match ...godbus.MatchOption) (chan *godbus.Signal, error) {
	ch := make(chan *godbus.Signal)
	l.conn.Signal(ch)
	return ch, l.also(match...)
}

func (l *link) also(match ...godbus.MatchOption) error {
	return l.conn.AddMatchSignalContext(l.ctx, append(match, godbus.WithMatchSender(name))...)
}

// next waits for a signal of systemd's or the bus's own. Anybody may send us
// signals that we did not ask for; those are dropped.
func (l *link) next(signals <-chan *godbus.Signal) (*godbus.Signal, error) {
	for {
		select {
		case <-l.ctx.Done():
			return nil, l.ctx.Err()
		case s, ok := <-signals:
			if !ok || s == nil {
				return nil, errors.New("the bus went away")
			}
			if s.Sender == "org.freedesktop.DBus" {
				return s, nil
			}
			ours, err := l.fromSystemd(s.Sender)
			if err != nil {
				return nil, err
			}
			if ours {
				return s, nil
			}
		}
	}
}

// fromSystemd reports whether sender owns systemd's name, which changes when
// systemd executes itself anew.
func (l *link) fromSystemd(sender string) (bool, error) {
	if sender == l.owner {
		return true, nil
	}
	owner, err := l.whoOwns()
	if err != nil {
		var e godbus.Error
		if errors.As(err, &e) { // nobody has it at the moment
			return false, nil
		}
		return false, fmt.Errorf("ask the bus who systemd is: %w", err)
	}
	l.owner = owner
	return sender == owner, nil
}
