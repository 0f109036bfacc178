package claim

import (
	"fmt"
	"testing"
	"time"

	"qvmremote/daemon/audit"
	"qvmremote/queue"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func claimOf(qube, id, key string, issued, number int64) audit.Record {
	return audit.Record{Seq: number, Time: noon, Event: audit.Claim, Qube: qube, ID: id, Number: number, Key: key, Issued: issued}
}

func after(r audit.Record, e audit.Event) audit.Record {
	r.Event = e
	return r
}

// again is a book made from what b carries, as a start makes it.
func again(t testing.TB, b *Book) *Book {
	t.Helper()
	state, _ := b.Carry()
	c := NewBook()
	c.limit = b.limit
	if err := c.Load(state); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestStatusFollowsTheLog(t *testing.T) {
	t.Parallel()
	b := NewBook()
	r := claimOf("work", "a", "k1", noon.Unix(), 7)
	steps := []struct {
		event audit.Event
		want  Status
	}{{audit.Claim, Open}, {audit.Run, Open}, {audit.Final, Final}, {audit.Delivered, Delivered}}
	if got := b.Lookup("work", "a"); got != Unknown {
		t.Fatalf("before its claim: %v", got)
	}
	for _, s := range steps {
		b.Apply(after(r, s.event))
		if got := b.Lookup("work", "a"); got != s.want {
			t.Errorf("after %s: %v, want %v", s.event, got, s.want)
		}
		if got := b.Lookup("vault", "a"); got != Unknown {
			t.Errorf("another qube's id became %v", got)
		}
	}
	if n := b.LastNumber(); n != 7 {
		t.Errorf("last number is %d, want 7", n)
	}
}

func TestOpenRequestsSurviveACarry(t *testing.T) {
	t.Parallel()
	b := NewBook()
	open, final, gone := claimOf("work", "open", "k1", 10, 1), claimOf("work", "final", "k1", 11, 2), claimOf("work", "gone", "k1", 12, 3)
	for _, r := range []audit.Record{open, after(open, audit.Run), final, after(final, audit.Final), gone, after(gone, audit.Delivered)} {
		b.Apply(r)
	}
	b.Forget(noon) // their issue times are long past: only the floor guards them now
	c := again(t, b)
	if n := len(c.All()); n != 2 {
		t.Fatalf("%d requests after the carry, want 2", n)
	}
	r, ok := c.Undelivered("work", "open")
	if !ok || r.Run == nil || r.Final != nil || r.Claim.Number != 1 {
		t.Errorf("the open request came back as %+v, %v", r, ok)
	}
	if r, ok = c.Undelivered("work", "final"); !ok || r.Final == nil {
		t.Errorf("the final request came back as %+v, %v", r, ok)
	}
	if _, ok = c.Undelivered("work", "gone"); ok {
		t.Error("a delivered request came back")
	}
	if c.Pending("work") != 1 || c.Pending("vault") != 0 {
		t.Errorf("pending: %d and %d, want 1 and 0", c.Pending("work"), c.Pending("vault"))
	}
	if floor, _ := c.Floor("work", "k1"); floor != 13 {
		t.Errorf("floor %d, want 13", floor)
	}
	if n := c.LastNumber(); n != 3 {
		t.Errorf("last number is %d, want 3", n)
	}
}

func TestAKeyBelongsToOneQube(t *testing.T) {
	t.Parallel()
	b := NewBook()
	b.Apply(audit.Record{Event: audit.Authorized, Qube: "work", Key: "k1", Floor: 5})
	b.Apply(audit.Record{Event: audit.Revoked, Qube: "work", Key: "k1"})
	if name, taken := again(t, b).Holder("k1", "vault"); !taken || name != "work" {
		t.Errorf("a key that work had: %q, %v", name, taken)
	}
	if _, taken := b.Holder("k1", "work"); taken {
		t.Error("work may not have its own key again")
	}
	if _, taken := b.Holder("k2", "vault"); taken {
		t.Error("a key nobody had is taken")
	}
}

func TestFloorsOnlyRise(t *testing.T) {
	t.Parallel()
	b := NewBook()
	if _, known := b.Floor("work", "k1"); known {
		t.Error("a key never seen has a floor")
	}
	for _, f := range []int64{5, 9, 3} {
		b.Apply(audit.Record{Event: audit.Floor, Qube: "work", Key: "k1", Floor: f})
	}
	if floor, known := b.Floor("work", "k1"); !known || floor != 9 {
		t.Errorf("floor %d, %v; want 9", floor, known)
	}
}

// A loss is told to every program that reads the log, also where the one that
// found it was not the executor.
func TestALossRaisesEveryFloor(t *testing.T) {
	t.Parallel()
	b := NewBook()
	b.Apply(audit.Record{Event: audit.Authorized, Qube: "work", Key: "k1", Floor: 5})
	b.Apply(claimOf("vault", "a", "k2", 7, 1))
	b.Apply(audit.Record{Event: audit.Loss, Time: noon})
	for qube, key := range map[string]string{"work": "k1", "vault": "k2"} {
		if floor, _ := b.Floor(qube, key); floor != noon.Add(queue.ClockSlack).Unix() {
			t.Errorf("%s: floor %d after a loss at %d", qube, floor, noon.Unix())
		}
	}
}

func TestTheFullestQubeGivesUpItsOldest(t *testing.T) {
	t.Parallel()
	b := NewBook()
	b.limit = 100
	for i := range int64(20) {
		b.Apply(claimOf("quiet", fmt.Sprint(i), "k1", 1000+i, i))
	}
	for i := range int64(500) {
		b.Apply(claimOf("loud", fmt.Sprint(i), "k2", 1000+i, 100+i))
	}
	if b.total > 100 {
		t.Errorf("%d claims held, the limit is 100", b.total)
	}
	if floor, _ := b.Floor("quiet", "k1"); floor != 0 {
		t.Errorf("the quiet qube's floor rose to %d", floor)
	}
	if floor, _ := b.Floor("loud", "k2"); floor <= 1000 || floor > 1500 {
		t.Errorf("the loud qube's floor is %d", floor)
	}
	for i := range int64(20) {
		if b.Lookup("quiet", fmt.Sprint(i)) == Unknown {
			t.Errorf("the quiet qube's claim %d was forgotten", i)
		}
	}
}

func TestPruneTellsTheFloorsItRaised(t *testing.T) {
	t.Parallel()
	b := NewBook()
	for i := range int64(10) {
		b.Apply(claimOf("work", fmt.Sprint(i), "k1", 100-i, i))
	}
	records := b.Prune(4) // the claims numbered 0 to 3, issued 100 to 97
	if len(records) != 1 || records[0].Event != audit.Floor || records[0].Floor != 101 || records[0].Qube != "work" {
		t.Fatalf("%+v", records)
	}
	if b.total != 0 {
		t.Errorf("%d claims are held that the floor covers", b.total)
	}
	if _, oldest := b.Carry(); oldest != -1 {
		t.Errorf("a start must read from %d although nothing is held", oldest)
	}
	if again := b.Prune(4); len(again) != 1 {
		t.Errorf("a floor that no record says yet is told %d times", len(again))
	}
	b.Apply(records[0])
	if again := b.Prune(4); len(again) != 0 {
		t.Errorf("pruning again raises %+v", again)
	}
}

func TestLoadRefusesWhatIsNoCarry(t *testing.T) {
	t.Parallel()
	if err := NewBook().Load([]byte(`{"number":`)); err == nil {
		t.Error("half a carry was taken for one")
	}
	b := NewBook()
	b.Apply(claimOf("work", "a", "k1", 1, 1))
	if err := b.Load(nil); err != nil || b.Lookup("work", "a") != Unknown {
		t.Errorf("an empty carry: %v, status %v", err, b.Lookup("work", "a"))
	}
}
