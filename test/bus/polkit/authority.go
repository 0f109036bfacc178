package polkit

import (
	"slices"

	"github.com/godbus/dbus/v5"
)

// authority is what is exported: the methods below and nothing else of Fake.
type authority struct{ f *Fake }

type subject struct {
	Kind    string
	Details map[string]dbus.Variant
}

type result struct {
	Authorized, Challenge bool
	Details               map[string]string
}

// CheckAuthorization answers one question. Its result is a [result], except
// where the answer is garbage.
func (a authority) CheckAuthorization(s subject, action string, details map[string]string, flags uint32, cancel string) (any, *dbus.Error) {
	name, _ := s.Details["name"].Value().(string)
	a.f.change(func() {
		a.f.calls = append(a.f.calls, Call{s.Kind, name, action, details, flags, cancel})
	})
	for {
		a.f.mu.Lock()
		answer, allowed, changed := a.f.answer, slices.Contains(a.f.allowed, action), a.f.changed
		dead := cancel != "" && slices.Contains(a.f.cancelled, cancel)
		a.f.mu.Unlock()
		if dead {
			return result{}, failure("Cancelled", "the question was cancelled")
		}
		if answer == Keep && flags&AllowInteraction != 0 && !allowed {
			a.f.change(func() { a.f.allowed = append(slices.Clip(a.f.allowed), action) })
			allowed = true
		}
		if answer != Hang {
			return answer.to(allowed, flags)
		}
		select {
		case <-changed:
		case <-a.f.conn.Context().Done():
			return result{}, failure("Failed", "polkit is gone")
		}
	}
}

func (answer Answer) to(allowed bool, flags uint32) (any, *dbus.Error) {
	none := map[string]string{}
	switch answer {
	case ByList:
		return result{allowed, false, none}, nil
	case Password:
		mayAsk := flags&AllowInteraction != 0
		return result{mayAsk, !mayAsk, none}, nil
	case Keep:
		return result{allowed, !allowed, none}, nil
	case Challenge:
		return result{false, true, none}, nil
	case Dismissed:
		return result{false, false, map[string]string{"polkit.dismissed": "true"}}, nil
	case Garbage:
		return "yes", nil
	default:
		return result{}, failure("Failed", "the action is not registered")
	}
}

// CancelCheckAuthorization ends a question that hangs.
func (a authority) CancelCheckAuthorization(cancel string) *dbus.Error {
	a.f.change(func() { a.f.cancelled = append(a.f.cancelled, cancel) })
	return nil
}

func failure(name, text string) *dbus.Error {
	return dbus.NewError("org.freedesktop.PolicyKit1.Error."+name, []any{text})
}
