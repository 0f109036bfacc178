package mirror

import (
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-systemd/v22/journal"

	"qvmremote/daemon/audit"
)

func TestTheJournalHasFieldsToSearchBy(t *testing.T) {
	t.Parallel()
	m, _ := newLog(t)
	var got []Entry
	m.send = func(e Entry) error { got = append(got, e); return nil }
	must(t, m.Write(audit.Record{Seq: 41, Time: at, Event: audit.CarryEvent}))
	must(t, m.Write(audit.Record{Seq: 42, Time: at, Event: audit.Final, Qube: "work", ID: "x", Number: 7, State: audit.Denied, Reason: "stale\nX=1"}))
	if len(got) != 1 {
		t.Fatalf("%d entries", len(got))
	}
	want := map[string]string{
		"SYSLOG_IDENTIFIER": "qvm-remote-dom0", "QVM_REMOTE_SEQ": "42", "QVM_REMOTE_EVENT": "final", "QVM_REMOTE_QUBE": "work",
		"QVM_REMOTE_ID": "x", "QVM_REMOTE_NUMBER": "7", "QVM_REMOTE_STATE": "denied", "QVM_REMOTE_REASON": `stale\x0aX=1`,
	}
	if !maps.Equal(got[0].Fields, want) || got[0].Priority != journal.PriWarning || !strings.HasPrefix(got[0].Message, "REJECT vm=work id=x ") {
		t.Errorf("%+v", got[0])
	}
}

func TestHowLoudEachRecordIs(t *testing.T) {
	t.Parallel()
	for event, want := range map[audit.Event]journal.Priority{
		audit.Loss: journal.PriErr, audit.Refused: journal.PriWarning, audit.Authorized: journal.PriNotice,
		audit.Run: journal.PriInfo, audit.Delivered: journal.PriDebug, audit.Final: journal.PriNotice,
	} {
		if got := entry(audit.Record{Event: event, State: audit.Cancelled, Command: "ls"}).Priority; got != want {
			t.Errorf("%s: %d, want %d", event, got, want)
		}
	}
}

func TestAStuckJournalHoldsNothing(t *testing.T) {
	t.Parallel()
	m, path := newLog(t)
	m.wait = time.Millisecond
	release := make(chan struct{})
	m.send = func(Entry) error { <-release; return nil }
	for range 3 { // the first waits, the others find it late; none stays
		if err := m.Write(audit.Record{Time: at, Event: audit.Started}); !errors.Is(err, errLate) {
			t.Fatalf("got %v", err)
		}
	}
	if n := strings.Count(content(t, path), "\n"); n != 3 {
		t.Errorf("the file has %d lines", n)
	}
	close(release)
	m.wait = time.Minute
	for end := time.Now().Add(time.Minute); m.Write(audit.Record{Time: at, Event: audit.Started}) != nil; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the journal is never used again")
		}
	}
}

func TestAFailingJournalIsAWarning(t *testing.T) {
	t.Parallel()
	m, path := newLog(t)
	broken := errors.New("broken")
	m.send = func(Entry) error { return broken }
	if err := m.Write(audit.Record{Time: at, Event: audit.Started}); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	if content(t, path) == "" {
		t.Error("the file misses the record as well")
	}
}
