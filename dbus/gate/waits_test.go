package gate

import (
	"context"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"qvmremote/test/bus"
	"qvmremote/test/bus/polkit"
)

func TestEndedCallTakesItsQuestionBack(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	c := s.somebody(t)
	c.Interactive = true
	s.polkit.SetAnswer(polkit.Hang)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	done := s.start(ctx, c)
	s.polkit.Await(t, 1, 0)
	cancel()
	check(t, <-done, context.Canceled)
	s.polkit.Await(t, 1, 1)
	if q, x := s.polkit.Calls()[0].Cancel, s.polkit.Cancelled()[0]; q != x {
		t.Errorf("question %q was asked, %q was cancelled", q, x)
	}

	// who is gone already is not asked about
	check(t, s.gate.Check(ctx, member(View), c), context.Canceled)
	if n := len(s.polkit.Calls()); n != 1 {
		t.Errorf("polkit was asked %d times", n)
	}
}

func TestDeadlineTakesTheQuestionBack(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.polkit.SetAnswer(polkit.Hang)
	for i, interactive := range []bool{false, true} {
		c := s.somebody(t)
		c.Interactive = interactive
		// the other wait is too long for the test
		s.gate.limits.quiet, s.gate.limits.interactive = 30*time.Millisecond, time.Hour
		want := ErrNoPolkit
		if interactive {
			s.gate.limits.quiet, s.gate.limits.interactive = time.Hour, 30*time.Millisecond
			want = ErrPasswordNeeded
		}
		check(t, s.gate.Check(context.Background(), member(View), c), want)
		s.polkit.Await(t, i+1, i+1)
		if q, x := s.polkit.Calls()[i].Cancel, s.polkit.Cancelled()[i]; q != x {
			t.Errorf("question %q was asked, %q was cancelled", q, x)
		}
	}
}

// TestPolkitBeingStartedHearsTheCancel: the question waits on the bus until
// polkit is there, and its end must not overtake it or be lost.
func TestPolkitBeingStartedHearsTheCancel(t *testing.T) {
	t.Parallel()
	b := bus.Start(t)
	s := &scene{bus: b, gate: New(b.Connect(t), table())}
	c := s.somebody(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	slow := t.TempDir() + "/go"
	b.Activatable(t, polkitName, self, nil, []string{"GATE_TEST_WAIT_FOR=" + slow})
	s.gate.limits.quiet = 30 * time.Millisecond
	check(t, s.gate.Check(context.Background(), member(View), c), ErrNoPolkit)
	s.polkit = polkit.Start(t, b) // in place of the program that is still starting
	s.polkit.Await(t, 1, 1)
	if q, x := s.polkit.Calls()[0].Cancel, s.polkit.Cancelled()[0]; q != x {
		t.Errorf("question %q was asked, %q was cancelled", q, x)
	}
}

func TestQuestionsAreBounded(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.gate.limits.perSender, s.gate.limits.inAll = 2, 3
	s.polkit.SetAnswer(polkit.Hang)
	one, two := s.somebody(t), s.somebody(t)
	ctx := context.Background()
	var ends []<-chan error
	hold := func(c Caller) {
		ends = append(ends, s.start(ctx, c))
		s.polkit.Await(t, len(ends), 0)
	}
	hold(one)
	hold(one)
	check(t, s.gate.Check(ctx, member(View), one), ErrBusy)
	hold(two) // another caller is not in the first one's way
	check(t, s.gate.Check(ctx, member(View), two), ErrBusy)
	check(t, s.gate.Check(ctx, member(Open), two), nil)
	if os.Geteuid() == 0 {
		check(t, s.gate.Check(ctx, member(StopEverything), s.caller(t, 0)), nil)
	}

	s.polkit.SetAllowed(View)
	for _, end := range ends {
		check(t, <-end, nil)
	}
	check(t, s.gate.Check(ctx, member(View), one), nil)
	if n := len(s.polkit.Calls()); n != len(ends)+1 {
		t.Errorf("polkit was asked %d times, want %d", n, len(ends)+1)
	}
	if n := len(s.gate.asking) + s.gate.askingAll; n != 0 {
		t.Errorf("%d questions are still counted", n)
	}
}

func TestDefaultLimitsAreTheDocumentedOnes(t *testing.T) {
	t.Parallel()
	want := limits{5 * time.Second, 25 * time.Second, 2 * time.Minute, 8, 64, 1024}
	if got := New(nil, nil).limits; got != want {
		t.Errorf("limits %+v, want %+v", got, want)
	}
}

// TestLiarsAreDenied: the UID in a Caller opens nothing that the bus does not
// confirm, a zero one least of all.
func TestLiarsAreDenied(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.polkit.SetAllowed(Actions()...)
	honest := s.somebody(t)
	for _, c := range []Caller{
		{},
		{Sender: honest.Sender},
		{Sender: honest.Sender, UID: honest.UID + 1},
		{Sender: ":1.4711", UID: honest.UID},
		{Sender: ":1.4711"},
		{Sender: "org.freedesktop.DBus"},
		{Sender: polkitName, UID: uint32(os.Geteuid())},
		{Sender: ":" + fmt.Sprintf("%0300d", 1)},
	} {
		check(t, s.gate.Check(context.Background(), member(ManageKeys), c), ErrUnknownCaller)
	}
	if n := len(s.polkit.Calls()); n != 0 {
		t.Errorf("polkit was asked about %d liars", n)
	}
	check(t, s.gate.Check(context.Background(), member(ManageKeys), honest), nil)
}

func TestIdentifyRemembersBoundedly(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.gate.limits.callers = 3
	var names []string
	for range 7 {
		c := s.somebody(t)
		names = append(names, c.Sender)
		if n := len(s.gate.uids); n > 3 {
			t.Fatalf("%d users are remembered", n)
		}
	}
	slices.Sort(names)
	if n := len(slices.Compact(names)); n != 7 {
		t.Errorf("%d callers of 7 have names of their own", n)
	}
	if _, err := s.gate.Identify(context.Background(), ":1.4711"); err == nil {
		t.Error("a caller that is not there has a user")
	}
	if _, ok := s.gate.uids[":1.4711"]; ok {
		t.Error("the failure is remembered")
	}
}

// TestMain lets the bus start this program as a polkit that takes its time.
func TestMain(m *testing.M) {
	file := os.Getenv("GATE_TEST_WAIT_FOR")
	if file == "" {
		os.Exit(m.Run())
	}
	for range 1000 { // ends by itself, should its bus leave it behind
		if _, err := os.Stat(file); err == nil {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}
