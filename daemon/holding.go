package daemon

import (
	"errors"

	"qvmremote/daemon/keys"
	"qvmremote/queue"
)

// holding returns the keys dom0 holds for the qube, or why it holds none that
// count.
func (q *qube) holding() (keys.Held, *queue.Denial) { return q.holdingOf(q.currentUUID) }

// holdingOf is holding for the qube that has the uuid.
func (q *qube) holdingOf(uuid func() string) (keys.Held, *queue.Denial) {
	held, err := q.x.keys.Get(q.name)
	switch {
	case errors.Is(err, keys.ErrNoKey):
		return held, &queue.Denial{Reason: queue.NoKey}
	case err != nil:
		q.x.complain(HealthKey+q.name, "cannot read the key of "+q.name, err)
		return held, &queue.Denial{Reason: queue.NotReady, Detail: "its key in dom0 cannot be read; dom0's log says why"}
	}
	q.x.complain(HealthKey+q.name, "", nil)
	switch {
	case held.Meta.Suspended != 0:
		return held, &queue.Denial{Reason: queue.Suspended}
	case held.Meta.Over(q.x.boot):
		return held, &queue.Denial{Reason: queue.GrantEnded}
	case held.Meta.UUID == "":
		return held, nil
	}
	switch uuid() {
	case held.Meta.UUID:
	case "":
		return held, &queue.Denial{Reason: queue.NotReady, Detail: "it cannot tell whether this is the qube that was authorised"}
	default:
		return held, &queue.Denial{Reason: queue.OtherQube}
	}
	return held, nil
}
