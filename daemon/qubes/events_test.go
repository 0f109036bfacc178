package qubes

import (
	"bytes"
	"strings"
	"testing"
)

// sent is an event as qubesd sends it.
func sent(subject, name string, pairs ...string) string {
	return "1\x00" + strings.Join(append([]string{subject, name}, pairs...), "\x00") + "\x00\x00"
}

func TestEventsAreReadOneByOne(t *testing.T) {
	r := newEventReader(strings.NewReader(sent("", established) + sent("work", "domain-start", "start_guid", "True", "empty", "") +
		sent("", "domain-delete", "vm", "anon") + sent("work", "property-set:label", "name", "label", "newvalue", strings.Repeat("\xff", 100_000))))
	for _, want := range []event{{"", established, ""}, {"work", "domain-start", ""}, {"", "domain-delete", "anon"}, {"work", "property-set:label", ""}} {
		if err := r.begun(); err != nil {
			t.Fatal(err)
		}
		if e, err := r.next(); err != nil || e != want {
			t.Fatalf("%+v, %v, want %+v", e, err, want)
		}
	}
	if err := r.begun(); err == nil || !strings.Contains(err.Error(), "ended the connection") {
		t.Errorf("at the end: %v", err)
	}
}

func TestWhatIsNoEventIsAnError(t *testing.T) {
	for name, tt := range map[string]struct{ sent, says string }{
		"nothing":                  {"", "broke off"},
		"an answer":                {"0\x00data\x00", "no event"},
		"garbage":                  {"\xff\x1b[2J\x00", `no event, but "\xff\x1b[2J"`},
		"an exception":             {"2\x00QubesException\x00Trace\x1b\x00no\x1b[2J\x00", `refuses to tell of events: "QubesException": "no\x1b[2J"`},
		"half an exception":        {"2\x00QubesException\x00", "broke off"},
		"half an event":            {"1\x00work\x00domain-st", "broke off"},
		"no name":                  {sent("work", ""), "without a name"},
		"an event in another":      {"1\x00work\x00domain-start\x00" + sent("anon", "domain-shutdown"), `the key "1"`},
		"an endless word":          {"1\x00" + strings.Repeat("a", maxWord+1), "a word of more"},
		"an endless value":         {"1\x00work\x00domain-start\x00key\x00" + strings.Repeat("a", maxEvent), "an event of more"},
		"a qube of endless length": {"1\x00\x00domain-delete\x00vm\x00" + strings.Repeat("a", maxWord+1), "a word of more"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := newEventReader(strings.NewReader(tt.sent)).next()
			if err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%v, want %q", err, tt.says)
			}
		})
	}
}

func TestWhatEventsMean(t *testing.T) {
	for _, tt := range []struct {
		event event
		qube  string
		m     meaning
	}{
		{event{"work", "domain-start", ""}, "work", stays},
		{event{"work", "domain-pre-shutdown", "anon"}, "work", leaves},
		{event{"work", "domain-paused", ""}, "work", again},
		{event{"", "domain-delete", "anon"}, "anon", stays},
		{event{"", "domain-add", "../x"}, "", stays},
		{event{"dom0", "property-set:label", ""}, "", nothing},
		{event{"work", "domain-is-fully-usable", ""}, "work", nothing}, // asking for a state causes it
		{event{"work", "domain-qdb-change:/x", ""}, "work", nothing},   // and this one the qube
	} {
		if qube, m := tt.event.means(); m != tt.m || m != nothing && qube != tt.qube {
			t.Errorf("%+v means %q %d", tt.event, qube, m)
		}
	}
}

// FuzzEvents: whatever is sent, reading it ends, within bounds, and what is read
// is what was sent.
func FuzzEvents(f *testing.F) {
	for _, s := range []string{sent("work", "domain-start", "a", "b"), sent("", "domain-add", "vm", "x") + "2\x00E\x00\x00w\x00", "0\x00", "1\x00\x00\x00\x00", "1\x00a\x00b\x001\x00"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		in := bytes.NewReader(b)
		r := newEventReader(in)
		for at := 0; r.begun() == nil; {
			e, err := r.next()
			if err != nil {
				return
			}
			end := len(b) - in.Len() - r.in.Buffered()
			raw := string(b[at:end])
			if !strings.HasPrefix(raw, "1\x00"+e.subject+"\x00"+e.name+"\x00") || !strings.HasSuffix(raw, "\x00") || len(raw) > maxEvent {
				t.Fatalf("%q is read as %+v", raw, e)
			}
			if e.vm != "" && !strings.Contains(raw, "\x00vm\x00"+e.vm+"\x00") {
				t.Fatalf("%q is about %q", raw, e.vm)
			}
			at = end
		}
	})
}
