package qubes

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// qubesd is one of the test's own: it accepts, reads the request, and says what
// the test says.
type qubesd struct {
	t     *testing.T
	tools *Tools
	dir   string // of the tools
	ln    net.Listener
	told  chan error
	heard chan string
}

const patience = time.Minute

// follow begins to follow a qubesd that listens, in a dom0 with a qvm-ls whose
// calls are counted.
func follow(t *testing.T, times Times) *qubesd {
	t.Helper()
	tools, dir := dom0(t)
	d := &qubesd{t: t, tools: tools, dir: dir, told: make(chan error, 10), heard: make(chan string, 10)}
	script(t, dir, "qvm-ls", `echo x >>`+dir+`/calls; cat `+dir+`/list`)
	d.is("Halted")
	d.listen()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	tools.Changes(ctx, func(qube string) { d.heard <- qube })
	go func() {
		defer close(ended)
		tools.Follow(ctx, times, func(err error) { d.told <- err })
	}()
	t.Cleanup(func() {
		cancel()
		receive(t, "the end of following", ended)
		_ = d.ln.Close()
	})
	return d
}

func quick() Times {
	return Times{Answer: patience, Backoff: time.Millisecond, MaxPause: 10 * time.Millisecond, Renew: time.Hour}
}

func (d *qubesd) listen() {
	d.t.Helper()
	path := d.tools.Root.Qubesd()
	must(d.t, os.MkdirAll(filepath.Dir(path), 0o755))
	var err error
	d.ln, err = net.Listen("unix", path)
	must(d.t, err)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func receive[T any](t *testing.T, what string, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatalf("it never came: %s", what)
		panic("not reached")
	}
}

// accepts takes the next connection, and what it asks for.
func (d *qubesd) accepts() net.Conn {
	d.t.Helper()
	c, err := d.ln.Accept()
	must(d.t, err)
	d.t.Cleanup(func() { _ = c.Close() })
	must(d.t, c.SetDeadline(time.Now().Add(patience)))
	request, err := io.ReadAll(c)
	if string(request) != "admin.Events+ dom0 name dom0\x00" || err != nil {
		d.t.Fatalf("asked for %q, %v", request, err)
	}
	return c
}

// up takes a connection and begins to tell of events.
func (d *qubesd) up() net.Conn {
	d.t.Helper()
	c := d.accepts()
	d.say(c, sent("", established))
	if err := receive(d.t, "that events are followed", d.told); err != nil {
		d.t.Fatalf("not followed: %v", err)
	}
	return c
}

func (d *qubesd) say(c net.Conn, what string) {
	d.t.Helper()
	_, err := io.WriteString(c, what)
	must(d.t, err)
}

// event says one and waits until it was taken in.
func (d *qubesd) event(c net.Conn, qube, name string) {
	d.t.Helper()
	d.say(c, sent(qube, name))
	if got := receive(d.t, name, d.heard); got != qube {
		d.t.Fatalf("%s was heard of %q", name, got)
	}
}

// is makes work be in a state, another qube being halted.
func (d *qubesd) is(state string) {
	d.t.Helper()
	must(d.t, os.WriteFile(d.dir+"/list", []byte("dom0|Running|AdminVM|black|-\nother|Halted|AppVM|red|-\nwork|"+state+"|AppVM|red|-\n"), 0o600))
}

func (d *qubesd) calls() int {
	b, _ := os.ReadFile(d.dir + "/calls")
	return strings.Count(string(b), "x")
}

// asks fails the test unless work's state is so, and costs so many calls.
func (d *qubesd) asks(maxAge time.Duration, want State, calls int) {
	d.t.Helper()
	before := d.calls()
	state, err := d.tools.State(d.t.Context(), "work", maxAge)
	if err != nil || state != want || d.calls()-before != calls {
		d.t.Errorf("State(%s): %q, %v, %d calls, want %q, %d", maxAge, state, err, d.calls()-before, want, calls)
	}
}

// TestStatesAreNotAskedForWhileNothingHappens: an answer has no age then, and
// holds until an event about the qube.
func TestStatesAreNotAskedForWhileNothingHappens(t *testing.T) {
	d := follow(t, quick())
	c := d.accepts()
	d.asks(time.Hour, Halted, 1) // before qubesd listened to us
	d.is("Running")
	d.say(c, sent("", established))
	if err := receive(t, "that events are followed", d.told); err != nil {
		t.Fatal(err)
	}
	d.asks(time.Hour, Running, 1)
	d.asks(time.Nanosecond, Running, 0)
	d.asks(0, Running, 1)
	d.event(c, "other", "domain-start")
	d.asks(time.Nanosecond, Running, 0)
	if list, err := d.tools.Snapshot(t.Context(), time.Nanosecond); err != nil || len(list) != 2 || d.calls() != 4 {
		t.Errorf("all: %v, %v, after %d calls", list, err, d.calls())
	}
	d.is("Halted")
	d.say(c, sent("work", "domain-qdb-change:/x")+sent("work", "domain-is-fully-usable"))
	d.event(c, "work", "domain-shutdown")
	d.asks(time.Hour, Halted, 1)
	d.asks(time.Nanosecond, Halted, 0)
	d.event(c, "", "domain-add") // of nobody knows whom
	d.asks(time.Hour, Halted, 1)
}

// TestAStateOnItsWayIsAskedFor: what a start or shutdown comes to may bring no
// event.
func TestAStateOnItsWayIsAskedFor(t *testing.T) {
	d := follow(t, quick())
	d.up()
	for _, state := range []State{"Transient", Halting, "Dying", "Crashed"} {
		d.is(string(state))
		d.asks(time.Nanosecond, state, 1)
	}
	d.asks(time.Hour, "Crashed", 0)
}

// TestAQubeThatIsShutDownDoesNotRun, whatever qvm-ls says until it is down, or
// stays.
func TestAQubeThatIsShutDownDoesNotRun(t *testing.T) {
	d := follow(t, quick())
	c := d.up()
	d.is("Running")
	d.asks(time.Hour, Running, 1)
	d.event(c, "work", "domain-pre-shutdown")
	d.asks(time.Hour, Halting, 1)
	d.event(c, "work", "property-set:label")
	d.asks(0, Halting, 1)
	if list, err := d.tools.Snapshot(t.Context(), time.Hour); err != nil || list[1].State != Halting {
		t.Errorf("%v, %v", list, err)
	}
	d.event(c, "work", "domain-shutdown-failed")
	d.asks(time.Hour, Running, 1)
	d.event(c, "work", "domain-pre-shutdown")
	must(t, c.Close())
	receive(t, "that it ended", d.told)
	d.asks(0, Halting, 1) // though nobody tells of its end any more
}

// TestWithoutQubesdStatesAreAskedFor, and that is said once, not at each try.
func TestWithoutQubesdStatesAreAskedFor(t *testing.T) {
	d := follow(t, quick())
	for _, last := range []string{"", sent("work", "")} {
		c := d.up()
		d.asks(time.Hour, Halted, 1)
		d.say(c, last)
		must(t, c.Close())
		if err := receive(t, "that it ended", d.told); err == nil {
			t.Fatal("it says that events are followed")
		}
		d.asks(time.Nanosecond, Halted, 1)
		for _, bad := range []string{"", "0\x00yes\x00", "2\x00E\x00\x00no\x00", "1\x00wo", sent("work", "domain-start"), "\xff"} {
			c := d.accepts()
			d.say(c, bad)
			must(t, c.Close())
		}
		d.asks(time.Nanosecond, Halted, 1)
	}
	must(t, d.ln.Close()) // which takes the socket away
	d.listen()
	d.up()
	d.asks(time.Hour, Halted, 1)
	d.asks(time.Nanosecond, Halted, 0)
	if len(d.told) > 0 {
		t.Errorf("more was told than is news: %v", <-d.told)
	}
}

// TestAQubesdThatHangs is left after a while, and so is one that is in the
// middle of an event.
func TestAQubesdThatHangs(t *testing.T) {
	times := quick()
	times.Answer = 50 * time.Millisecond
	d := follow(t, times)
	d.accepts()
	if err := receive(t, "that it hangs", d.told); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("without a word: %v", err)
	}
	d.say(d.up(), "1\x00wo")
	if err := receive(t, "that it hangs", d.told); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("with half an event: %v", err)
	}
}

// TestAConnectionIsRenewed: silence is not believed for ever, and the change is
// no news for anybody.
func TestAConnectionIsRenewed(t *testing.T) {
	times := quick()
	times.Renew = 20 * time.Millisecond
	d := follow(t, times)
	d.up()
	for range 3 {
		d.say(d.accepts(), sent("", established))
	}
	if len(d.told) > 0 {
		t.Errorf("told: %v", <-d.told)
	}
}

// TestNoQubesd: there is nothing to follow, which is no trouble.
func TestNoQubesd(t *testing.T) {
	tools, _ := dom0(t)
	ctx, cancel := context.WithCancel(t.Context())
	told, ended := make(chan error, 10), make(chan struct{})
	go func() {
		defer close(ended)
		tools.Follow(ctx, quick(), func(err error) { told <- err })
	}()
	if err := receive(t, "that there is none", told); !errors.Is(err, ErrNoEvents) {
		t.Errorf("%v", err)
	}
	cancel()
	receive(t, "the end", ended)
}

func TestWhatIsNoNewsIsNotTold(t *testing.T) {
	gone := fmt.Errorf("%w: here", ErrNoEvents)
	bad := errors.New("bad")
	var said []error
	tell := onceEach(func(err error) { said = append(said, err) })
	for _, err := range []error{gone, gone, bad, bad, gone, bad, nil, nil, gone, bad, nil, bad} {
		tell(err)
	}
	if want := []error{gone, bad, nil, gone, nil, bad}; !slices.Equal(said, want) {
		t.Errorf("%v", said)
	}
}

// TestTheRealQubesdIsNotMetInATest, also not by a link.
func TestTheRealQubesdIsNotMetInATest(t *testing.T) {
	tools, _ := dom0(t)
	elsewhere := t.TempDir()
	must(t, os.WriteFile(filepath.Join(elsewhere, "qubesd.sock"), nil, 0o600))
	must(t, os.Symlink(elsewhere, filepath.Join(string(tools.Root), "run")))
	if path, err := socket(tools.Root); err == nil || errors.Is(err, ErrNoEvents) {
		t.Errorf("%s, %v", path, err)
	}
}
