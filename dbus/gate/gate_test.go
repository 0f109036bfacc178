package gate

import (
	"context"
	"errors"
	"os"
	"runtime"
	"testing"
	"time"

	"qvmremote/test/bus"
	"qvmremote/test/bus/polkit"
)

// nobody is a user that is not root, whatever its name.
const nobody = 65534

func member(name string) Member { return Member{"org.example.Thing1", name} }

// table has a member for each action, named after it.
func table() Table {
	all := Table{member(Open): Open, member("fault"): "org.qvmremote1.no-such-action", member("empty"): ""}
	for _, a := range Actions() {
		all[member(a)] = a
	}
	return all
}

// scene is a bus with a gate and a polkit on it.
type scene struct {
	bus    *bus.Bus
	gate   *Gate
	polkit *polkit.Fake
}

func newScene(t *testing.T) *scene {
	t.Helper()
	b := bus.Start(t)
	return &scene{bus: b, gate: New(b.Connect(t), table()), polkit: polkit.Start(t, b)}
}

// caller connects a user and introduces it to the gate.
func (s *scene) caller(t *testing.T, uid int) Caller {
	t.Helper()
	conn := s.bus.ConnectAs(t, uid)
	c := Caller{Sender: conn.Names()[0]}
	var err error
	if c.UID, err = s.gate.Identify(context.Background(), c.Sender); err != nil || int(c.UID) != uid {
		t.Fatalf("user %d is identified as %d: %v", uid, c.UID, err)
	}
	return c
}

// somebody is a caller that is not root.
func (s *scene) somebody(t *testing.T) Caller {
	t.Helper()
	if os.Geteuid() != 0 {
		return s.caller(t, os.Geteuid())
	}
	return s.caller(t, nobody)
}

// check fails the test unless err is exactly a denial for this cause, or nil.
func check(t *testing.T, err, cause error) {
	t.Helper()
	var d *Denied
	switch {
	case cause == nil && err != nil:
		t.Errorf("denied: %v", err)
	case cause != nil && !errors.As(err, &d):
		t.Errorf("got %v, want a denial because %v", err, cause)
	case cause != nil && (!errors.Is(err, cause) || d.Reason == ""):
		t.Errorf("denied because %v (%v), want because %v", d.Cause, err, cause)
	}
}

// behaviours are what a polkit may do, and what must come of it for a caller
// that is not root: nil is a pass.
var behaviours = map[string]struct {
	answer      polkit.Answer
	allowed     bool // the action is on the list, all others are not
	interactive bool
	want        error
}{
	"yes":                  {polkit.ByList, true, false, nil},
	"yes, may ask":         {polkit.ByList, true, true, nil},
	"no":                   {polkit.ByList, false, false, ErrRefused},
	"no, may ask":          {polkit.ByList, false, true, ErrRefused},
	"password":             {polkit.Password, false, false, ErrPasswordNeeded},
	"password, may ask":    {polkit.Password, false, true, nil},
	"no agent":             {polkit.Challenge, false, true, ErrPasswordNeeded},
	"dismissed":            {polkit.Dismissed, false, true, ErrPasswordNeeded},
	"unknown action":       {polkit.Failure, true, false, ErrNoPolkit},
	"garbage":              {polkit.Garbage, true, false, ErrNoPolkit},
	"garbage, may ask":     {polkit.Garbage, true, true, ErrNoPolkit},
	"no answer":            {polkit.Hang, true, false, ErrNoPolkit},
	"no password for long": {polkit.Hang, true, true, ErrPasswordNeeded},
}

// TestEveryUserActionAndPolkit goes through all of them.
func TestEveryUserActionAndPolkit(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	callers := []Caller{s.somebody(t)}
	if os.Geteuid() == 0 {
		callers = append(callers, s.caller(t, 0))
	}
	for name, b := range behaviours {
		for _, c := range callers {
			c.Interactive = b.interactive
			for _, action := range Actions() {
				s.polkit.Forget()
				others := without(Actions(), action)
				if b.allowed {
					others = []string{action}
				}
				s.polkit.SetAllowed(others...)
				s.polkit.SetAnswer(b.answer)
				s.gate.limits = defaults()
				if b.answer == polkit.Hang {
					s.gate.limits.quiet, s.gate.limits.interactive = 30*time.Millisecond, 30*time.Millisecond
				}
				err := s.gate.Check(context.Background(), member(action), c)
				want := b.want
				if c.UID == 0 {
					want = nil
				}
				check(t, err, want)
				s.asked(t, action, c)
				if t.Failed() {
					t.Fatalf("that was: user %d, %s, polkit's answer %q", c.UID, action, name)
				}
			}
			s.polkit.Forget()
			check(t, s.gate.Check(context.Background(), member(Open), c), nil)
			for _, m := range []Member{member("unknown"), member("fault"), member("empty"), {"", View}, {"org.example.Thing2", View}, {}} {
				check(t, s.gate.Check(context.Background(), m, c), ErrUnknownMember)
			}
			if n := len(s.polkit.Calls()); n != 0 {
				t.Errorf("polkit was asked %d times about what it does not decide", n)
			}
		}
	}
}

func without(all []string, one string) (others []string) {
	for _, a := range all {
		if a != one {
			others = append(others, a)
		}
	}
	return others
}

// asked checks what polkit was asked: of root nothing, else one question, about
// the caller by its bus name alone.
func (s *scene) asked(t *testing.T, action string, c Caller) {
	t.Helper()
	calls := s.polkit.Calls()
	if c.UID == 0 {
		if len(calls) != 0 {
			t.Errorf("polkit was asked about root: %+v", calls)
		}
		return
	}
	// A question whose deadline passed may arrive after Check has returned.
	s.polkit.Await(t, 1, 0)
	calls = s.polkit.Calls()
	if len(calls) != 1 {
		t.Errorf("polkit was asked %d times", len(calls))
	}
	q := calls[0]
	if q.Kind != "system-bus-name" || q.Subject != c.Sender || q.Action != action || len(q.Details) != 0 || q.Cancel == "" {
		t.Errorf("polkit was asked %+v", q)
	}
	if (q.Flags == polkit.AllowInteraction) != c.Interactive || q.Flags > 1 {
		t.Errorf("flags %d for a call with interaction allowed: %v", q.Flags, c.Interactive)
	}
}

func TestNoPolkitIsNoPermission(t *testing.T) {
	t.Parallel()
	b := bus.Start(t)
	s := &scene{bus: b, gate: New(b.Connect(t), table())}
	c := s.somebody(t)
	for _, action := range Actions() {
		check(t, s.gate.Check(context.Background(), member(action), c), ErrNoPolkit)
	}
	check(t, s.gate.Check(context.Background(), member(Open), c), nil)
}

func TestPolkitThatCannotStartIsNoPermission(t *testing.T) {
	t.Parallel()
	b := bus.Start(t)
	s := &scene{bus: b, gate: New(b.Connect(t), table())}
	b.Activatable(t, polkitName, "/bin/false", nil, nil)
	check(t, s.gate.Check(context.Background(), member(View), s.somebody(t)), ErrNoPolkit)
}

func TestPolkitThatDiesIsNoPermission(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	c := s.somebody(t)
	s.polkit.SetAnswer(polkit.Hang)
	done := s.start(context.Background(), c)
	s.polkit.Await(t, 1, 0)
	s.polkit.Stop()
	check(t, <-done, ErrNoPolkit)
}

func TestBusThatDiesIsNoPermission(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	c := s.somebody(t)
	s.bus.Stop()
	<-s.gate.conn.Context().Done()
	check(t, s.gate.Check(context.Background(), member(View), c), ErrNoPolkit)
	c.Sender = ":1.4711"
	check(t, s.gate.Check(context.Background(), member(View), c), ErrUnknownCaller)
}

// start begins a check of View.
func (s *scene) start(ctx context.Context, c Caller) <-chan error {
	done := make(chan error, 1)
	go func() { done <- s.gate.Check(ctx, member(View), c) }()
	return done
}

func TestAnswersAreNotRemembered(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	c := s.somebody(t)
	s.polkit.SetAllowed(View)
	check(t, s.gate.Check(context.Background(), member(View), c), nil)
	s.polkit.SetAllowed()
	check(t, s.gate.Check(context.Background(), member(View), c), ErrRefused)
	s.polkit.SetAllowed(View)
	check(t, s.gate.Check(context.Background(), member(View), c), nil)
}

func TestTableIsCopied(t *testing.T) {
	t.Parallel()
	b := bus.Start(t)
	rules := Table{}
	g := New(b.Connect(t), rules)
	rules[member(View)] = Open
	check(t, g.Check(context.Background(), member(View), Caller{}), ErrUnknownMember)
}

// TestQuestionsLeaveNothing runs alone, so that all goroutines are its own.
func TestQuestionsLeaveNothing(t *testing.T) {
	s := newScene(t)
	c := s.somebody(t)
	s.polkit.SetAllowed(View)
	check(t, s.gate.Check(context.Background(), member(View), c), nil)
	before := runtime.NumGoroutine()

	s.polkit.Forget()
	s.polkit.SetAnswer(polkit.Hang)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var ends []<-chan error
	for range s.gate.limits.perSender {
		ends = append(ends, s.start(ctx, c))
	}
	s.polkit.Await(t, len(ends), 0)
	cancel()
	for _, end := range ends {
		check(t, <-end, context.Canceled)
	}
	s.polkit.Await(t, len(ends), len(ends))
	if n := len(s.gate.asking) + s.gate.askingAll; n != 0 {
		t.Errorf("%d questions are still counted", n)
	}
	for late := time.Now().Add(time.Minute); runtime.NumGoroutine() > before; runtime.Gosched() {
		if time.Now().After(late) {
			t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), before)
		}
	}
}
