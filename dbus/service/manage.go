package service

import (
	"context"
	"time"

	godbus "github.com/godbus/dbus/v5"

	"qvmremote/dbus"
)

// Manage answers for an executor that does not run, until ctx ends or nobody
// has needed it for a while. It looks at no qube and claims nothing.
//
// An executor that starts takes the name; the manager then stays in the queue
// for it while somebody is subscribed to it, so that an executor that dies
// leaves no gap. ready is called once calls are answered. leaving is called
// before the name is given back: whoever starts managers must know by then that
// this one is no answer to a call that comes later.
func Manage(ctx context.Context, o Options, ready, leaving func()) error {
	s, err := takeName(ctx, o, godbus.NameFlagAllowReplacement)
	if err != nil {
		return err
	}
	s.watchBoot()
	s.begin()
	ready()
	why := s.untilIdle(ctx)
	o.Log.Info("the manager ends", "why", why)
	leaving()
	// The deadline is for the bus; ctx may have ended already.
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*o.Times.Handover)
	defer cancel()
	if err := s.close(last); err != nil && why != busGone {
		return err
	}
	return nil
}

// lookAgain is how often a manager looks whether an executor that it does not
// see on the bus still runs.
const lookAgain = time.Second

const busGone = "the message bus is gone"

// untilIdle returns why the manager is to end.
func (s *Service) untilIdle(ctx context.Context) string {
	wait := time.NewTimer(s.o.Times.Idle)
	defer wait.Stop()
	// An executor that dies gives its name back and its lock a moment later, or
	// it is one without a bus, whose end nothing tells.
	again := time.NewTimer(0)
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			return "it was asked to"
		case <-s.conn.Context().Done():
			return busGone
		case <-s.owner:
			// An executor came or went.
			s.objects.look.reread()
			again.Reset(lookAgain)
		case <-again.C:
			if s.owned.Load() && s.objects.now.Load().manager["State"] != dbus.Stopped {
				s.objects.touch()
				again.Reset(lookAgain)
			}
		case <-wait.C:
			left := s.o.Times.Idle - s.traffic.idle()
			if left <= 0 && !s.clients.subscribed() {
				return "nobody needs " + dbus.Name
			}
			wait.Reset(max(left, s.o.Times.Idle/2))
		}
	}
}
