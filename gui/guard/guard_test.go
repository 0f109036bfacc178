package guard

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// scene is a guard, its clock, and how often something was decided.
type scene struct {
	*Guard
	t       testing.TB
	at      time.Time
	decided int
}

func newScene(t testing.TB) *scene {
	s := &scene{t: t, at: time.Unix(1_000_000, 0)}
	s.Guard = New(func() time.Time { return s.at })
	return s
}

func (s *scene) pass(d time.Duration) { s.at = s.at.Add(d) }

func (s *scene) press() { s.Press(func() { s.decided++ }) }

func (s *scene) expect(what string, decided int) {
	s.t.Helper()
	if s.decided != decided {
		s.t.Errorf("%s: %d decisions, want %d", what, s.decided, decided)
	}
}

// open is a scene in which a press counts.
func open(t testing.TB) *scene {
	s := newScene(t)
	s.Focus(true)
	s.Show(1)
	s.pass(Pause)
	return s
}

func TestAPressCountsOnceBothHaveLasted(t *testing.T) {
	t.Parallel()
	for name, begin := range map[string]func(*scene){
		"focus first": func(s *scene) { s.Focus(true); s.pass(time.Hour); s.Show(1) },
		"shown first": func(s *scene) { s.Show(1); s.pass(time.Hour); s.Focus(true) },
	} {
		s := newScene(t)
		s.press()
		begin(s)
		s.press()
		if s.Ready() || s.Left() != Pause {
			t.Errorf("%s: at first it is ready, or waits %v", name, s.Left())
		}
		s.pass(Pause - 1)
		s.press()
		s.expect(name+", too early", 0)
		s.pass(1)
		if !s.Ready() || s.Left() != 0 {
			t.Errorf("%s: it is not ready after the pause", name)
		}
		s.press()
		s.expect(name, 1)
	}
}

func TestWhatBeginsAnew(t *testing.T) {
	t.Parallel()
	for name, happen := range map[string]func(*scene){
		"the focus was elsewhere":  func(s *scene) { s.Focus(false); s.Focus(true) },
		"another request is there": func(s *scene) { s.Show(2) },
		"it was out of sight":      func(s *scene) { s.Hide(); s.Show(1) },
		"the decision has failed":  func(s *scene) { s.Again() },
	} {
		s := open(t)
		happen(s)
		s.press()
		s.expect(name, 0)
		s.pass(Pause)
		s.press()
		s.expect(name+", a pause later", 1)
	}
}

func TestTheSameAgainDoesNotBeginAnew(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.Show(1)
	s.Focus(true)
	s.press()
	s.expect("shown again", 1)
}

func TestASecondPressDecidesNothing(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.press()
	s.press()
	s.pass(time.Hour)
	s.press()
	s.Focus(false)
	s.Focus(true)
	s.pass(Pause)
	s.press()
	s.expect("pressed four times", 1)
	if s.Ready() || s.Left() != 0 {
		t.Error("it is ready, or will be, though it was decided")
	}
}

func TestAKeyThatIsHeldWhileARequestComesDecidesNothing(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.Focus(true)
	s.KeyDown()
	s.pass(time.Minute)
	s.Show(1)
	for range 100 { // it repeats
		s.pass(100 * time.Millisecond)
		s.KeyDown()
		s.press()
	}
	s.KeyUp()
	s.expect("held", 0)
	s.KeyDown()
	s.press()
	s.expect("pressed anew, and not let go", 0)
	if s.Ready() {
		t.Error("another press counts while the key is down")
	}
	s.press()
	s.KeyUp()
	s.KeyUp()
	s.expect("let go", 1)
}

func TestAKeyDecidesNothingWhereWhatItMeantIsGone(t *testing.T) {
	t.Parallel()
	for name, happen := range map[string]func(*scene){
		"the focus is elsewhere":   func(s *scene) { s.Focus(false) },
		"another request is there": func(s *scene) { s.Show(2) },
		"it is out of sight":       func(s *scene) { s.Hide() },
	} {
		s := open(t)
		s.KeyDown()
		s.press()
		happen(s)
		s.KeyUp()
		s.pass(time.Hour)
		s.KeyUp()
		s.expect(name, 0)
	}
}

// TestNothingIsDecidedUnseen: whatever happens in whatever order, a decision is
// about a request that was shown, with the focus, for a pause, and it is the only
// one about it.
func TestNothingIsDecidedUnseen(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		s := newScene(t)
		var number uint64
		var shown, focused, down time.Time
		began := func() time.Time { // of both
			if shown.IsZero() || focused.IsZero() {
				return time.Time{}
			}
			if focused.After(shown) {
				return focused
			}
			return shown
		}
		decided := map[uint64]bool{}
		decide := func() {
			if began().IsZero() || s.at.Sub(began()) < Pause {
				r.Fatalf("decided after %v", s.at.Sub(began()))
			}
			if !down.IsZero() && down.Sub(began()) < Pause {
				r.Fatal("decided by a key that was down before")
			}
			if decided[number] {
				r.Fatal("decided twice")
			}
			decided[number] = true
		}
		r.Repeat(map[string]func(*rapid.T){
			"time":  func(r *rapid.T) { s.pass(time.Duration(rapid.Int64Range(1, int64(2*Pause)).Draw(r, "d"))) },
			"press": func(*rapid.T) { s.Press(decide) },
			"show": func(r *rapid.T) {
				if !shown.IsZero() && rapid.Bool().Draw(r, "same") {
					s.Show(number)
					return
				}
				number++
				shown = s.at
				s.Show(number)
			},
			"hide":  func(*rapid.T) { s.Hide(); shown = time.Time{}; number++ },
			"leave": func(*rapid.T) { s.Focus(false); focused, down = time.Time{}, time.Time{} },
			"enter": func(*rapid.T) {
				s.Focus(true)
				if focused.IsZero() {
					focused = s.at
				}
			},
			"down": func(*rapid.T) {
				s.KeyDown()
				if down.IsZero() {
					down = s.at
				}
			},
			"up": func(*rapid.T) { s.KeyUp(); down = time.Time{} },
		})
	})
}
