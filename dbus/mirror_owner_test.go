package dbus

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	godbus "github.com/godbus/dbus/v5"

	"qvmremote/test/bus"
)

func TestMirrorFollowsTheNameToAnotherOwner(t *testing.T) {
	t.Parallel()
	b := bus.Start(t)
	manager, executor := newFake(t, b), newFake(t, b)
	stopped := Manager{State: Stopped, AuditHead: 10}
	manager.has(stopped, work)
	manager.own()
	c := dial(t, b)
	m := mirror(t, c)
	await(t, m, "the manager's state", available)

	executor.has(running, personal)
	executor.reply("ExportAuditText", lines(10, 12), uint64(12))
	running := running
	running.AuditHead = 12 // two were written while nobody told of them
	executor.has(running, personal)
	executor.own()
	manager.changes(map[string]any{"Pid": uint32(99)}) // it does not have the name any more
	got := await(t, m, "the executor's state", func(s Snapshot) bool { return s.Manager.State == Running && available(s) })
	if got.Manager.Pid != running.Pid || len(got.Qubes) != 1 || got.Qubes[0] != personal {
		t.Errorf("after the hand-over: %+v", got)
	}
	executor.tells(11, 12) // one of them once more
	if news := awaitNews(t, m, 10, 13); !onlyAdded(news) || len(news) != 3 {
		t.Errorf("news over the hand-over: %+v", news)
	}
	if len(executor.got("Subscribe")) != 1 {
		t.Error("it did not subscribe with the new owner")
	}
}

func TestMirrorAsksAgainWhenTheNameVanishes(t *testing.T) {
	t.Parallel()
	b := bus.Start(t)
	f := newFake(t, b)
	f.has(running, work)
	f.own()
	c := dial(t, b)
	m := mirror(t, c)
	await(t, m, "the first state", available)
	f.release()
	got := await(t, m, "the loss", func(s Snapshot) bool { return s.Availability == Restarting || s.Availability == NoService })
	if !got.Stale || got.Why == "" || len(got.Qubes) != 1 {
		t.Errorf("while nobody is there: %+v", got)
	}
	f.own()
	await(t, m, "the state again", available)
	if n := len(f.got("Subscribe")); n < 2 {
		t.Errorf("it subscribed %d times", n)
	}
}

// TestMirrorStartsTheService: whoever subscribes when nobody owns the name has
// the bus start a program that does.
func TestMirrorStartsTheService(t *testing.T) {
	t.Parallel()
	b := bus.Start(t)
	b.Activatable(t, Name, os.Args[0], nil, []string{serviceVariable + "=1"})
	f := newFake(t, b)
	f.has(Manager{State: Running}, work)
	f.own()
	m := mirror(t, dial(t, b))
	await(t, m, "the state of who is there", func(s Snapshot) bool { return available(s) && s.Manager.State == Running })
	f.release()
	got := await(t, m, "the state of who was started", func(s Snapshot) bool { return available(s) && s.Manager.State == Stopped })
	if len(got.Qubes) != 1 || got.Qubes[0] != personal {
		t.Errorf("the qubes are %+v", got.Qubes)
	}
}

// TestMirrorDoesNotHammer: a service that cannot be started is tried a few
// times, and again when the user says so or the name appears.
func TestMirrorDoesNotHammer(t *testing.T) {
	t.Parallel()
	b := bus.Start(t)
	tries := t.TempDir() + "/tries"
	b.Activatable(t, Name, "/bin/sh", []string{"-c", "echo >>" + tries + "; exit 1"}, nil)
	count := func() int {
		text, err := os.ReadFile(tries)
		if err != nil && !os.IsNotExist(err) {
			t.Error(err)
		}
		return strings.Count(string(text), "\n")
	}
	m := mirror(t, dial(t, b), func(l *limits) { l.tries = 3 })
	got := await(t, m, "a failure", is(NoService))
	if !strings.Contains(got.Why, "journalctl -u qvm-remote-manage") {
		t.Errorf("it says %q", got.Why)
	}
	eventually(t, "the last try", func() bool { return count() == 4 })
	m.Retry() // maybe before the bus has said that the last try failed
	eventually(t, "more tries", func() bool { return count() >= 7 })
	f := newFake(t, b)
	f.has(running)
	f.own()
	await(t, m, "the service that appeared", available)
	if n := count(); n > 8 {
		t.Errorf("it was started %d times", n)
	}
}

// TestMirrorOfAServiceThatEndsAtOnce: it is there, is asked, and goes, over and
// over.
func TestMirrorOfAServiceThatEndsAtOnce(t *testing.T) {
	t.Parallel()
	b := bus.Start(t)
	f := newFake(t, b)
	f.has(running)
	m := mirror(t, dial(t, b), func(l *limits) { l.tries, l.delay = 2, time.Hour; l.longest = time.Hour })
	await(t, m, "nobody", is(NoService)) // the next try is in an hour
	for range 3 {
		f.own()
		await(t, m, "somebody", available)
		f.release()
		await(t, m, "nobody again", func(s Snapshot) bool { return s.Availability == Restarting || s.Availability == NoService })
	}
	if got := await(t, m, "the end of trying", is(NoService)); !strings.Contains(got.Why, "ends whenever") {
		t.Errorf("it says %q", got.Why)
	}
}

func TestMirrorOfAServiceThatHangs(t *testing.T) {
	t.Parallel()
	c, f := serve(t)
	c.patience = 50 * time.Millisecond
	hang(t, f, "GetManagedObjects")
	m := mirror(t, c, func(l *limits) { l.tries = 1 })
	if got := await(t, m, "the deadline", is(NoService)); got.Why != lateText {
		t.Errorf("it says %q", got.Why)
	}
	eventually(t, "the last try", func() bool { return len(f.got("GetManagedObjects")) == 2 })
	f.has(running)
	m.Retry()
	await(t, m, "the state", available)
}

func TestMirrorSaysWhyNot(t *testing.T) {
	t.Parallel()
	lacking := properties(t, ManagerInterface, &running)
	delete(lacking, "AuditHead")
	odd := managed(t, work)
	odd[QubePath("work")][QubeInterface]["Running"] = godbus.MakeVariant("many")
	for name, test := range map[string]struct {
		prepare func(*fake)
		want    Availability
	}{
		"not in the group": {func(f *fake) { f.fail("Subscribe", busName+".Error.AccessDenied", "no") }, Forbidden},
		"no such method":   {func(f *fake) { f.fail("GetManagedObjects", busName+".Error.UnknownMethod", "no") }, Mismatched},
		"no such object":   {func(f *fake) { f.fail("Subscribe", NoSuchObject.Name(), "no") }, Mismatched},
		"a property less":  {func(f *fake) { f.has(running); f.reply("GetAll", lacking) }, Mismatched},
		"an odd qube":      {func(f *fake) { f.reply("GetManagedObjects", odd) }, Mismatched},
		"another form":     {func(f *fake) { f.reply("GetManagedObjects", "x") }, Mismatched},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, f := serve(t)
			test.prepare(f)
			m := mirror(t, c)
			if got := await(t, m, string(test.want), is(test.want)); got.Why == "" {
				t.Error("it does not say why")
			}
			f.reply("Subscribe")
			f.has(running)
			m.Retry()
			await(t, m, "the state", available)
			if n := len(f.got("Subscribe")); n != 2 {
				t.Errorf("it asked %d times", n)
			}
		})
	}
}

// TestDescriptorsAreClosed runs alone, because it counts those of the process.
func TestDescriptorsAreClosed(t *testing.T) {
	c, f := serve(t)
	shut := func(a asked) { _ = os.NewFile(uintptr(a.Args[1].(godbus.UnixFD)), "key").Close() }
	f.on("AuthorizeQube", func(a asked) ([]any, error) { shut(a); return []any{"aa", []string{}}, nil })
	f.on("RotateKey", func(a asked) ([]any, error) { shut(a); return nil, godbus.NewError(Refused.Name(), []any{"no"}) })
	export(t, f, "x", 1, false)
	count := func() int {
		entries, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Skip(err)
		}
		return len(entries)
	}
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	round := func() {
		for _, ctx := range []context.Context{context.Background(), gone} {
			_, _, _ = c.AuthorizeQube(ctx, "work", testKey, Options{})
			_, _, _ = c.RotateKey(ctx, "work", testKey)
			_, _ = c.ExportAudit(ctx, io.Discard, "text")
		}
	}
	round()
	before := count()
	for range 20 {
		round()
	}
	eventually(t, fmt.Sprintf("as few descriptors as before, %d", before), func() bool { return count() <= before })
	c.Close()
	_, _, _ = c.AuthorizeQube(context.Background(), "work", testKey, Options{})
	eventually(t, "fewer descriptors", func() bool { return count() < before })
}
