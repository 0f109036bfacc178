package life

import (
	"context"
	"testing"
	"time"

	"qvmremote/daemon/audit"
	"qvmremote/daemon/paths"
	"qvmremote/dbus"
)

func TestHouseLives(t *testing.T) {
	t.Parallel()
	h := Start(t, Options{History: true, Running: true, Records: 400})
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	found := map[audit.State]int{}
	events := map[audit.Event]int{}
	if err := audit.Read(ctx, h.Root().Audit(), 0, func(r audit.Record, _ []byte) error {
		events[r.Event]++
		if r.Time.After(time.Now().Add(-time.Hour)) {
			found[r.State]++
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for _, s := range []audit.State{audit.Exit, audit.Timeout, audit.Cancelled, audit.Denied, audit.Interrupted} {
		if found[s] == 0 {
			t.Errorf("no request of the last hour is %s: %v", s, found)
		}
	}
	for _, e := range []audit.Event{audit.Refused, audit.Replayed, audit.Authorized, audit.Started} {
		if events[e] == 0 {
			t.Errorf("no record %s: %v", e, events)
		}
	}
	if events[audit.Torn]+events[audit.Loss]+events[audit.Unreadable] > 0 {
		t.Errorf("the log is damaged: %v", events)
	}
}

// TestManagerAnswersWhereNoExecutorRuns goes from stopped to running, a crash,
// and back, as somebody on the bus sees it.
func TestManagerAnswersWhereNoExecutorRuns(t *testing.T) {
	t.Parallel()
	h := Start(t, Options{Stopped: true})
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	state := func() string {
		t.Helper()
		v, err := h.Bus.Connect(t).Object(dbus.Name, dbus.ManagerPath).GetProperty(dbus.ManagerInterface + ".State")
		if err != nil {
			t.Fatal(err)
		}
		s, _ := v.Value().(string)
		return s
	}
	for _, step := range []struct {
		what func() error
		want string
	}{
		{func() error { return nil }, "stopped"},
		{func() error { return h.Start(ctx) }, "running"},
		{func() error { return h.Stop(ctx) }, "stopped"},
		{func() error { return h.Start(ctx) }, "running"},
		{func() error { h.Kill(); return nil }, "stopped"},
	} {
		if err := step.what(); err != nil {
			t.Fatal(err)
		}
		if got := state(); got != step.want {
			t.Errorf("the state is %q, want %q", got, step.want)
		}
	}
}

func TestPastIsWholeAndLong(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	const records = 4000
	root := paths.Root(t.TempDir())
	if err := FillAudit(ctx, root, records, nil); err != nil {
		t.Fatal(err)
	}
	report, err := audit.Verify(ctx, root.Audit(), nil)
	if err != nil || !report.OK() {
		t.Fatalf("%v, %v", report, err)
	}
	n, first, last := 0, time.Time{}, time.Time{}
	if err := audit.Read(ctx, root.Audit(), 0, func(r audit.Record, _ []byte) error {
		if n++; n == 1 {
			first = r.Time
		}
		if r.Time.Before(last) {
			t.Errorf("record %d is older than the one before", r.Seq)
		}
		last = r.Time
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if n < records || time.Since(first) < 390*24*time.Hour || time.Since(last) > 48*time.Hour || time.Since(last) < 0 {
		t.Errorf("%d records from %v to %v", n, first, last)
	}
}
