package approval

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"qvmremote/daemon/boot"
	"qvmremote/queue"
)

// desk is a book of a test's own, on a boot of its own.
type desk struct {
	*Book
	t         *testing.T
	now       time.Duration
	kept      []byte
	full      error // what keeping says
	fullAfter int   // so many more are kept, 0 for any number
	last      int64
}

func newDesk(t *testing.T) *desk {
	d := &desk{t: t, now: time.Hour}
	d.restart("one")
	return d
}

// restart is another run, in the boot of that name.
func (d *desk) restart(id string) {
	d.t.Helper()
	b, err := New(boot.Clock{ID: id, Now: func() time.Duration { return d.now }}, d.kept, func(state []byte) error {
		err := d.full
		if err == nil {
			d.kept = state
			if d.fullAfter--; d.fullAfter == 0 {
				d.full = errors.New("disk full")
			}
		}
		return err
	})
	if err != nil {
		d.t.Fatal(err)
	}
	d.Book = b
}

func hash(text string) string { return queue.HashOf(queue.SumOf([]byte(text)), queue.Sum{}) }

func (d *desk) question(qube, text string) Question {
	d.last++
	return Question{Number: d.last, Qube: qube, Key: "k-" + qube, Hash: hash(text)}
}

func (d *desk) ask(qube, text string) *Turn {
	d.t.Helper()
	turn, err := d.Ask(d.question(qube, text))
	if err != nil {
		d.t.Fatalf("%s asks %q: %v", qube, text, err)
	}
	return turn
}

// says is "" while there is no answer.
func says(t *Turn) string {
	select {
	case a := <-t.Answer():
		return fmt.Sprintf("%v by %d, %s", a.Approved, a.By, a.Who)
	default:
		return ""
	}
}

func (d *desk) expect(what string, t *Turn, want string) {
	d.t.Helper()
	if got := says(t); got != want {
		d.t.Fatalf("%s: got %q, want %q", what, got, want)
	}
}

func (d *desk) must(err error) {
	d.t.Helper()
	if err != nil {
		d.t.Fatal(err)
	}
}

func TestAnApprovalNamesTheBytes(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	turn := d.ask("work", "id")
	if err := d.Approve(1, hash("other"), Scope{}, "ann", "cli"); !errors.Is(err, ErrHash) {
		t.Fatalf("another hash: %v", err)
	}
	if err := d.Approve(2, hash("id"), Scope{}, "ann", "cli"); !errors.Is(err, ErrNone) {
		t.Fatalf("another number: %v", err)
	}
	d.expect("before", turn, "")
	d.must(d.Approve(1, hash("id"), Scope{}, "ann", "cli"))
	d.expect("after", turn, "true by 1, ann")
	if err := d.Approve(1, hash("id"), Scope{}, "ann", "cli"); !errors.Is(err, ErrNone) {
		t.Fatalf("twice: %v", err)
	}
	d.expect("the same bytes again", d.ask("work", "id"), "")
}

func TestAQubeHasOneOpenQuestionAndTwentyBehindIt(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	var turns []*Turn
	for i := range 1 + MaxWaiting {
		turns = append(turns, d.ask("work", fmt.Sprint(i)))
	}
	if _, err := d.Ask(d.question("work", "more")); !errors.Is(err, ErrFull) {
		t.Fatalf("one more: %v", err)
	}
	other := d.ask("other", "id")
	open := d.Open()
	if len(open) != 2 || open[0].Qube != "work" || open[0].Waiting != MaxWaiting || open[1].Qube != "other" || open[1].Waiting != 0 {
		t.Fatalf("open are %+v", open)
	}
	if err := d.Approve(2, hash("1"), Scope{}, "ann", "cli"); !errors.Is(err, ErrNone) {
		t.Errorf("one that waits and was never shown: %v", err)
	}
	d.Withdraw(turns[0])
	if q, err := d.Find(2); err != nil || q.Waiting != MaxWaiting-1 {
		t.Fatalf("the next one is not open: %+v, %v", q, err)
	}
	for _, turn := range append(turns[1:], other) {
		d.Withdraw(turn)
	}
	if len(d.Open()) != 0 {
		t.Error("something is open that nobody waits for")
	}
}

func TestAGrantIsForOneQubeOneKeyAndItsTime(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.ask("work", "id")
	d.must(d.Approve(1, hash("id"), Scope{For: 10 * time.Minute}, "ann", "cli"))
	d.now += 10*time.Minute - 1
	d.expect("the same command", d.ask("work", "id"), "true by 1, ann")
	d.expect("another command", d.ask("work", "ls"), "")
	d.expect("another qube", d.ask("other", "id"), "")
	q := d.question("work", "id")
	q.Key = "another"
	turn, err := d.Ask(q)
	d.must(err)
	d.expect("another key", turn, "")
	d.now++
	d.expect("after its time", d.ask("work", "id"), "")
}

func TestAGrantForTheQubeIsForAllItAsks(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	first, waiting := d.ask("work", "id"), d.ask("work", "ls")
	d.must(d.Approve(1, hash("id"), Scope{Qube: true, UntilReboot: true}, "ann", "cli"))
	d.expect("the first", first, "true by 1, ann")
	d.expect("what waited behind it", waiting, "true by 1, ann")
	d.restart("one")
	d.now += 1000 * time.Hour
	d.expect("after a restart", d.ask("work", "anything"), "true by 1, ann")
	if n, err := d.Revoke("work", 1); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	d.expect("when it was taken back", d.ask("work", "anything"), "")
	d.ask("other", "id")
	d.must(d.Approve(d.last, hash("id"), Scope{Qube: true, UntilReboot: true}, "ann", "cli"))
	d.restart("two")
	d.expect("after a reboot", d.ask("other", "id"), "")
}

func TestACountedGrantIsCountedDownBeforeItIsUsed(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.ask("work", "id")
	d.must(d.Approve(1, hash("id"), Scope{Count: 2}, "ann", "cli"))
	d.expect("the first of two", d.ask("work", "id"), "true by 1, ann")
	d.full = errors.New("disk full")
	if turn, err := d.Ask(d.question("work", "id")); !errors.Is(err, d.full) || says(turn) != "" {
		t.Fatalf("it was used though that could not be kept: %v", err)
	}
	d.full = nil
	d.restart("one")
	d.expect("the second", d.ask("work", "id"), "true by 1, ann")
	d.restart("one")
	d.expect("the third of two", d.ask("work", "id"), "")
}

// TestWhatIsUsedUpCanBeTakenBack: the last of a count, and an answer to one
// request, which wait for their turn; what is approved later with the same
// number of another qube, or anew, counts.
func TestWhatIsUsedUpCanBeTakenBack(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	once := d.ask("work", "id")
	d.must(d.Approve(1, hash("id"), Scope{Count: 1}, "ann", "cli"))
	last := d.ask("work", "id")
	answers := map[string]Answer{"the request itself": <-once.Answer(), "the last of a count": <-last.Answer()}
	for what, a := range answers {
		if err := d.Holds(a); err != nil {
			t.Errorf("%s does not count: %v", what, err)
		}
	}
	if n, err := d.Revoke("work", 1); n != 0 || err != nil {
		t.Errorf("taken back: %d, %v", n, err)
	}
	for what, a := range answers {
		if err := d.Holds(a); !errors.Is(err, ErrTaken) {
			t.Errorf("%s counts after it was taken back: %v", what, err)
		}
	}
	later := d.ask("work", "id")
	if n, err := d.Revoke("work", 3); n != 0 || err != nil {
		t.Errorf("before it is approved: %d, %v", n, err)
	}
	d.must(d.Approve(3, hash("id"), Scope{}, "ann", "cli"))
	if err := d.Holds(<-later.Answer()); err != nil {
		t.Errorf("what was approved after that: %v", err)
	}
}

// TestAYesStandsWhateverBecomesOfThoseBehind.
func TestAYesStandsWhateverBecomesOfThoseBehind(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	first, second := d.ask("work", "id"), d.ask("work", "id")
	d.fullAfter = 1
	if err := d.Approve(1, hash("id"), Scope{Count: 5}, "ann", "cli"); !errors.Is(err, ErrBehind) {
		t.Errorf("the second cannot be counted down: %v", err)
	}
	d.expect("the first", first, "true by 1, ann")
	d.expect("the second", second, "")
}

func TestWhatCannotBeKeptIsNotApproved(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	turn := d.ask("work", "id")
	d.full = errors.New("disk full")
	if err := d.Approve(1, hash("id"), Scope{Count: 2}, "ann", "cli"); !errors.Is(err, d.full) {
		t.Fatal(err)
	}
	if err := d.Deny(1, false, "ann", "cli"); !errors.Is(err, d.full) {
		t.Fatal(err)
	}
	d.expect("after both", turn, "")
	d.full = nil
	d.must(d.Approve(1, hash("id"), Scope{}, "ann", "cli"))
	d.expect("then", turn, "true by 1, ann")
	d.expect("nothing was granted beyond", d.ask("work", "id"), "")
}

func TestTheSameBytesAreNotAskedAboutAtOnceAfterANo(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	pause := 30 * time.Second
	for range 5 {
		turn, same, else_ := d.ask("work", "id"), d.ask("work", "id"), d.ask("work", "ls")
		d.must(d.Deny(d.last-2, false, "ann", "cli"))
		d.expect("the one denied", turn, fmt.Sprintf("false by %d, ann", d.last-2))
		d.expect("the same behind it", same, fmt.Sprintf("false by %d, ann", d.last-2))
		d.expect("another behind it", else_, "")
		d.Withdraw(else_)
		d.now += pause - time.Second
		if _, err := d.Ask(d.question("work", "id")); !errors.Is(err, ErrDenied) || !strings.Contains(err.Error(), "in 1 s") {
			t.Fatalf("within %v: %v", pause, err)
		}
		d.restart("one")
		if _, err := d.Ask(d.question("work", "id")); !errors.Is(err, ErrDenied) {
			t.Fatalf("within %v, after a restart: %v", pause, err)
		}
		d.Withdraw(d.ask("work", "other bytes"))
		d.now += time.Second
		pause *= 2
	}
	d.ask("work", "id")
	d.must(d.Approve(d.last, hash("id"), Scope{}, "ann", "cli"))
	d.ask("work", "id")
	d.must(d.Deny(d.last, false, "ann", "cli"))
	d.now += 30 * time.Second
	d.ask("work", "id") // a yes in between made the pause short again
	d.must(d.Deny(d.last, true, "ann", "cli"))
	d.now += 1000 * time.Hour
	if _, err := d.Ask(d.question("work", "id")); !errors.Is(err, ErrDenied) || !strings.Contains(err.Error(), "reboots") {
		t.Fatalf("denied until the reboot: %v", err)
	}
	d.restart("two")
	d.ask("work", "id")
}

// TestANoIsNotLiftedByAYesToAllElse: only one to the very bytes does that.
func TestANoIsNotLiftedByAYesToAllElse(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.ask("work", "evil")
	d.must(d.Deny(d.last, true, "ann", "cli"))
	d.ask("work", "id")
	d.must(d.Approve(d.last, hash("id"), Scope{Qube: true, UntilReboot: true}, "ann", "cli"))
	if turn, err := d.Ask(d.question("work", "evil")); !errors.Is(err, ErrDenied) {
		t.Fatalf("what was denied until the reboot: %v, %v", turn, err)
	}
	d.expect("all else", d.ask("work", "ls"), "true by 2, ann")
	d.restart("two")
	d.ask("work", "evil")
	d.must(d.Approve(d.last, hash("evil"), Scope{For: time.Hour}, "ann", "cli"))
	d.expect("the very bytes, once approved", d.ask("work", "evil"), fmt.Sprintf("true by %d, ann", d.last-1))
}

func TestScopesThatNobodyMayGrant(t *testing.T) {
	t.Parallel()
	for _, s := range []Scope{{For: -1}, {For: MaxFor + 1}, {Count: -1}, {Count: MaxCount + 1}, {For: 1, UntilReboot: true}, {Qube: true}} {
		if err := s.Check(); !errors.Is(err, ErrScope) {
			t.Errorf("%+v: %v", s, err)
		}
	}
	for _, s := range []Scope{{}, {For: time.Minute}, {Count: 3}, {For: time.Minute, Count: 3}, {UntilReboot: true}, {Qube: true, Count: 2}} {
		if err := s.Check(); err != nil || s.String() == "" {
			t.Errorf("%+v: %v", s, err)
		}
	}
}

func TestAStateThatCannotBeReadGrantsNothing(t *testing.T) {
	t.Parallel()
	clock := boot.Clock{ID: "one", Now: func() time.Duration { return 1 }}
	for _, text := range []string{"{", "[]", `{"grants":[{"qube":"work","key":"k","who":"x","evil":1}]}`, "\x00"} {
		b, err := New(clock, []byte(text), func([]byte) error { return nil })
		if err == nil || b == nil || len(b.Grants()) != 0 {
			t.Errorf("%q: %v", text, err)
		}
	}
}
