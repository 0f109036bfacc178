package claim

import (
	"testing"
	"time"

	"qvmremote/daemon/audit"
)

// TestALossFoundByAClockThatFellBack: what was claimed before the clock fell
// back must lie below the floor.
func TestALossFoundByAClockThatFellBack(t *testing.T) {
	b := NewBook()
	day := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	b.Apply(audit.Record{Event: audit.Floor, Qube: "work", Key: "k", Floor: day.Unix(), Time: day})
	b.Apply(audit.Record{Event: audit.Claim, Qube: "work", ID: "a", Key: "k", Number: 1, Issued: day.Unix() + 10, Expires: day.Unix() + 20, Time: day.Add(10 * time.Second)})
	early := day.Add(-30 * 24 * time.Hour)
	if floor := b.FloorAfterLoss(early); floor <= day.Unix()+10 {
		t.Errorf("floor after a loss: %d, the newest record is of %d", floor, day.Unix()+10)
	}
	b.Apply(audit.Record{Event: audit.Loss, Time: early})
	if floor, _ := b.Floor("work", "k"); floor <= day.Unix()+10 {
		t.Errorf("floor after a loss that another program found: %d", floor)
	}
}
