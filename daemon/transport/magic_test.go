package transport

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"qvmremote/queue"
)

func TestNoiseBeforeTheMagicLineIsDropped(t *testing.T) {
	t.Parallel()
	half := queue.Magic[:len(queue.Magic)-1]
	for name, pieces := range map[string][]string{
		"none":              {queue.Magic},
		"a greeting":        {"Welcome\n", queue.Magic},
		"without line end":  {"prompt$ " + queue.Magic},
		"split":             strings.SplitAfter("noise\n"+queue.Magic, ""),
		"begun twice":       {half, half, queue.Magic},
		"a prefix of it":    {"qvm-remote", "-agent/q" + queue.Magic},
		"the first letter":  {"qqq" + queue.Magic},
		"another version":   {"qvm-remote-agent/1\n" + queue.Magic},
		"all that may come": {strings.Repeat("x", maxNoise), queue.Magic},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, result := dial(t, patient)
			go func() {
				for _, p := range pieces {
					a.say(p)
				}
			}()
			a.answer(a.read(), &queue.Hello{Version: "2", Qube: "me"})
			o := <-result
			if o.err != nil {
				t.Fatal(o.err)
			}
			defer o.conn.Close()
			if o.conn.Peer.Qube != "me" {
				t.Errorf("%+v", o.conn.Peer)
			}
		})
	}
}

func TestWhatIsNoAgent(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		times Times
		talk  func(a *fakeAgent)
	}{
		"silence":       {Times{Magic: 20 * time.Millisecond}, func(*fakeAgent) {}},
		"an early end":  {patient, func(a *fakeAgent) { a.say("command not found\n"); _ = a.out.Close() }},
		"too much":      {patient, func(a *fakeAgent) { _, _ = a.out.Write(bytes.Repeat([]byte("q"), maxNoise+len(queue.Magic)+1)) }},
		"a slow drip":   {Times{Magic: 50 * time.Millisecond}, func(a *fakeAgent) { a.say(queue.Magic[:4]) }},
		"no line's end": {Times{Magic: 50 * time.Millisecond}, func(a *fakeAgent) { a.say(strings.TrimSpace(queue.Magic)) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, result := dial(t, c.times)
			go c.talk(a)
			if o := <-result; !errors.Is(o.err, ErrNoAgent) {
				t.Errorf("%v", o.err)
			}
			<-a.ended
			if n, _ := a.in.Read(make([]byte, 1)); n != 0 {
				t.Error("dom0 sent something before the magic line")
			}
		})
	}
}

func TestDiallingEndsWithItsContext(t *testing.T) {
	t.Parallel()
	why := errors.New("why")
	for name, magic := range map[string]string{"before the magic line": "", "before the greeting": queue.Magic} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancelCause(context.Background())
			a, result := dialWith(t, ctx, patient, NewBudget(1, 1))
			a.say(magic)
			if magic != "" {
				a.read()
			}
			cancel(why)
			if o := <-result; !errors.Is(o.err, why) {
				t.Errorf("%v", o.err)
			}
			<-a.ended
		})
	}
}

func TestAnAgentThatDoesNotGreetIsLeft(t *testing.T) {
	t.Parallel()
	times := patient
	times.Answer = 20 * time.Millisecond
	a, result := dial(t, times)
	a.say(queue.Magic)
	if o := <-result; !errors.Is(o.err, ErrProtocol) {
		t.Errorf("%v", o.err)
	}
	<-a.ended
}
