package claim

import (
	"time"

	"qvmremote/daemon/audit"
	"qvmremote/queue"
)

// FloorAfterLoss is the issue time (Unix seconds) above everything that lost
// records could have claimed. The clock alone does not tell: with the power cut
// that lost them it may have fallen back, so the newest record there still is
// counts too.
func (b *Book) FloorAfterLoss(now time.Time) int64 {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.floorAfterLoss(now)
}

func (b *Book) floorAfterLoss(now time.Time) int64 {
	return max(now.Unix(), b.newest) + int64(queue.ClockSlack/time.Second)
}

// lose raises every floor above what a lost record could have claimed: the
// loss may have been found, and the log signed anew, by another program than
// the one that claims.
func (b *Book) lose(r audit.Record) {
	floor := b.floorAfterLoss(r.Time)
	for name, q := range b.qubes {
		for key := range q.floors {
			b.raise(name, key, floor)
		}
	}
}
