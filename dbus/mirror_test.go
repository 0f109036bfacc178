package dbus

import (
	"context"
	"slices"
	"testing"
	"time"

	godbus "github.com/godbus/dbus/v5"
	"github.com/google/go-cmp/cmp"

	"qvmremote/test/bus"
)

var (
	work     = Qube{Name: "work", Label: "blue", PowerState: "Running", Running: 1, AuthorizedAt: time.Unix(9, 0), LastSeq: 4}
	personal = Qube{Name: "per-sonal", Label: "yellow", Configured: true, KeyState: "good"}
	running  = Manager{Version: "2", Features: []string{"x"}, State: Running, Since: time.Unix(5, 0), Pid: 7, Waiting: 2,
		Health: []Problem{{"c", "info", "t", "x"}}, AuditHead: 10}
)

func TestMirrorShowsWhatIs(t *testing.T) {
	t.Parallel()
	c, f := serve(t)
	f.has(running, work, personal)
	m := mirror(t, c)
	got := await(t, m, "the first state", available)
	want := Snapshot{Availability: Available, Manager: running, Qubes: []Qube{personal, work}}
	if !cmp.Equal(got, want) {
		t.Error(cmp.Diff(want, got))
	}
	if n := len(f.got("Subscribe")); n != 1 {
		t.Errorf("it subscribed %d times", n)
	}
	got.Qubes[0].Name, got.Manager.Health[0].Code = "changed", "changed"
	if !cmp.Equal(m.Snapshot(), want) {
		t.Error("who has a snapshot can change the mirror")
	}
}

func TestMirrorFollows(t *testing.T) {
	t.Parallel()
	c, f := serve(t)
	f.has(running, work)
	m := mirror(t, c)
	await(t, m, "the first state", available)
	asked := func() int {
		f.mu.Lock()
		defer f.mu.Unlock()
		return len(f.calls)
	}
	before := asked()

	f.changes(map[string]any{"State": Paused, "Waiting": uint32(3), "Later": "of another version"})
	f.changesOf(QubePath("work"), QubeInterface, map[string]any{"PowerState": "Halted"})
	f.changesOf(QubePath("never-heard-of"), QubeInterface, map[string]any{"PowerState": "Halted"})
	f.emit(ManagerPath, ObjectManager+".InterfacesAdded", QubePath(personal.Name),
		map[string]map[string]godbus.Variant{QubeInterface: properties(t, QubeInterface, &personal)})
	got := await(t, m, "a second qube", func(s Snapshot) bool { return len(s.Qubes) == 2 })
	if got.Manager.State != Paused || got.Manager.Waiting != 3 || got.Qubes[1].PowerState != "Halted" || got.Qubes[1].Label != "blue" ||
		got.Qubes[0] != personal {
		t.Errorf("after some changes: %+v", got)
	}
	f.emit(ManagerPath, ObjectManager+".InterfacesRemoved", QubePath("work"), []string{QubeInterface})
	f.tells(10, 11)
	awaitNews(t, m, 10, 12)
	if got := m.Snapshot(); len(got.Qubes) != 1 || got.Qubes[0] != personal {
		t.Errorf("after one went away: %+v", got.Qubes)
	}
	if n := asked() - before; n != 0 {
		t.Errorf("following took %d calls", n)
	}
}

func TestMirrorFetchesWhatIsInvalidated(t *testing.T) {
	t.Parallel()
	c, f := serve(t)
	f.has(running, work)
	m := mirror(t, c)
	await(t, m, "the first state", available)
	f.reply("Get", godbus.MakeVariant([]Problem{{"n", "error", "t", "x"}}))
	f.changes(nil, "Health")
	await(t, m, "the new health", func(s Snapshot) bool { return len(s.Manager.Health) == 1 && s.Manager.Health[0].Code == "n" })

	paused := running
	paused.State = Paused
	f.has(paused, work)
	f.changes(nil, "State") // of no property that may be told so
	await(t, m, "the new state", func(s Snapshot) bool { return s.Manager.State == Paused && available(s) })
	f.has(running)
	f.changes(map[string]any{"Running": "many"}) // of another form
	await(t, m, "the state read anew", func(s Snapshot) bool { return s.Manager.State == Running && available(s) })
}

// TestMirrorJoinsSignalsAndState: what is told while the state is being read
// is neither lost nor shown in an order that never was.
func TestMirrorJoinsSignalsAndState(t *testing.T) {
	t.Parallel()
	c, f := serve(t)
	f.on("GetManagedObjects", func(asked) ([]any, error) {
		f.changes(map[string]any{"Running": uint32(1)})
		f.changes(map[string]any{"Running": uint32(2)})
		f.tells(8, 9)
		f.emit(ManagerPath, ObjectManager+".InterfacesAdded", QubePath(personal.Name),
			map[string]map[string]godbus.Variant{QubeInterface: properties(t, QubeInterface, &personal)})
		f.changesOf(QubePath(personal.Name), QubeInterface, map[string]any{"Running": uint32(5)})
		return []any{managed(t, work)}, nil
	})
	f.on("GetAll", func(asked) ([]any, error) {
		f.tells(10) // these after the state was taken
		f.changes(map[string]any{"Running": uint32(7)})
		now := running
		now.Running = 2
		return []any{properties(t, ManagerInterface, &now)}, nil
	})
	m := mirror(t, c)
	got := await(t, m, "the first state", available)
	if got.Manager.Running != 7 || len(got.Qubes) != 2 || got.Qubes[0].Running != 5 {
		t.Errorf("the first state is %+v", got)
	}
	if news := awaitNews(t, m, 10, 11); !onlyAdded(news) {
		t.Errorf("news: %+v", news)
	}
}

func TestMirrorHeedsTheOwnerAlone(t *testing.T) {
	t.Parallel()
	b := bus.Start(t)
	f, other := newFake(t, b), newFake(t, b)
	f.has(running, work)
	f.own()
	c := dial(t, b)
	m := mirror(t, c)
	await(t, m, "the first state", available)
	// Sent to this client itself, which no rule about senders keeps away.
	msg := &godbus.Message{Type: godbus.TypeSignal, Body: []any{ManagerInterface, map[string]godbus.Variant{"State": godbus.MakeVariant(Stopped)}, []string{}}}
	msg.Headers = map[godbus.HeaderField]godbus.Variant{
		godbus.FieldDestination: godbus.MakeVariant(c.conn.Names()[0]),
		godbus.FieldPath:        godbus.MakeVariant(ManagerPath),
		godbus.FieldInterface:   godbus.MakeVariant(Properties),
		godbus.FieldMember:      godbus.MakeVariant("PropertiesChanged"),
		godbus.FieldSignature:   godbus.MakeVariant(godbus.SignatureOf(msg.Body...)),
	}
	if err := other.conn.Send(msg, nil).Err; err != nil {
		t.Fatal(err)
	}
	// What the other gets answered, the bus had after that.
	if err := other.conn.BusObject().Call(busName+".GetId", 0).Err; err != nil {
		t.Fatal(err)
	}
	f.changes(map[string]any{"Pid": uint32(8)})
	if got := await(t, m, "the next change", func(s Snapshot) bool { return s.Manager.Pid == 8 }); got.Manager.State != Running {
		t.Error("somebody else changed the state")
	}
}

// TestMirrorAsksNobody: no password is asked for out of the blue, whatever the
// client's own calls may do.
func TestMirrorAsksNobody(t *testing.T) {
	t.Parallel()
	c, f := serve(t)
	c.Interactive = true
	f.has(running)
	f.logs(20)
	f.reply("Get", godbus.MakeVariant([]Problem{}))
	m := mirror(t, c)
	await(t, m, "the first state", available)
	f.tells(12)
	f.changes(nil, "Health")
	awaitNews(t, m, 10, 13)
	await(t, m, "the new health", func(s Snapshot) bool { return len(s.Manager.Health) == 0 })
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, call := range f.calls {
		if call.Flags&godbus.FlagAllowInteractiveAuthorization != 0 {
			t.Errorf("polkit may ask because of %s", call.Method)
		}
	}
	if len(f.calls) < 4 {
		t.Errorf("only %d calls were looked at", len(f.calls))
	}
}

func TestMirrorEnds(t *testing.T) {
	t.Parallel()
	c, f := serve(t)
	f.has(running)
	m := mirror(t, c)
	await(t, m, "the first state", available)
	if _, err := NewMirror(context.Background(), c); err == nil {
		t.Error("a second mirror at the same time")
	}
	m.Close()
	eventually(t, "Unsubscribe", func() bool { return len(f.got("Unsubscribe")) == 1 })
	for range m.Changed() { // is closed
	}
	if err := c.Pause(context.Background()); err != nil {
		t.Errorf("the client after its mirror: %v", err)
	}
	ctx, stop := context.WithCancel(context.Background())
	second, err := NewMirror(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	await(t, second, "the second mirror's state", available)
	stop()
	for range second.Changed() {
	}
}

func TestMirrorWithoutBus(t *testing.T) {
	t.Parallel()
	b := bus.Start(t)
	f := newFake(t, b)
	f.has(running, work)
	f.own()
	c := dial(t, b)
	m := mirror(t, c)
	await(t, m, "the first state", available)
	b.Stop()
	got := await(t, m, "the loss", is(NoBus))
	if got.Why == "" || !got.Stale || !slices.Equal(got.Qubes, []Qube{work}) {
		t.Errorf("after the loss: %+v", got)
	}
	for range m.Changed() {
	}
	again := mirror(t, c)
	await(t, again, "the loss once more", is(NoBus))
	for range again.Changed() {
	}
}

// TestAnswersComeAfterTheirSignals: what came before an answer is known when
// the answer is looked at, even if both are there to be taken.
func TestAnswersComeAfterTheirSignals(t *testing.T) {
	t.Parallel()
	c := &Client{signals: newSignalQueue()}
	c.signals.open()
	c.signals.own(":1.1", 1)
	ctx := context.Background()
	w := &watcher{Mirror: &Mirror{client: c}, ctx: ctx, work: ctx, steps: make(chan step, 1)}
	before := -1
	w.steps <- step{ctx, func() { before = len(w.pending) }}
	c.signals.DeliverSignal("", "", &godbus.Signal{Sender: ":1.1", Sequence: 2})
	<-c.signals.ready
	if !w.wait() || before != 1 {
		t.Errorf("%d signals were known", before)
	}
}
