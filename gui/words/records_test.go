package words

import (
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"qvmremote/dbus"
	"qvmremote/gui/say"
	"qvmremote/queue"
)

func code(n int) *int { return &n }

func TestEvent(t *testing.T) {
	for _, c := range []struct {
		record dbus.Record
		word   string
		tone   say.Tone
	}{
		{dbus.Record{Event: "final", State: "exit", Exit: code(0)}, "exit 0", say.Good},
		{dbus.Record{Event: "final", State: "exit", Exit: code(3)}, "exit 3", say.Warn},
		{dbus.Record{Event: "final", State: "exit"}, "ended", say.Quiet},
		{dbus.Record{Event: "final", State: "timeout", Exit: code(124)}, "timed out", say.Warn},
		{dbus.Record{Event: "final", State: "cancelled"}, "cancelled", say.Quiet},
		{dbus.Record{Event: "final", State: "interrupted"}, "interrupted", say.Warn},
		{dbus.Record{Event: "final", State: "denied"}, "denied", say.Bad},
		{dbus.Record{Event: "final", State: "abducted\x1b[2J"}, `abducted\x1b[2J`, say.Quiet},
		{dbus.Record{Event: "run"}, "running", say.Accent},
		{dbus.Record{Event: "replayed"}, "replayed", say.Bad},
		{dbus.Record{Event: "authorized"}, "authorised", say.Accent},
		{dbus.Record{Event: "approved"}, "approved", say.Quiet}, // of a later version
	} {
		if got := Event(c.record); got.Word != c.word || got.Tone != c.tone || got.Icon == "" {
			t.Errorf("%s %s is shown as %+v, want %q, %s", c.record.Event, c.record.State, got, c.word, c.tone)
		}
	}
}

func TestSummary(t *testing.T) {
	for _, c := range []struct {
		record  dbus.Record
		line    string
		command bool
	}{
		{dbus.Record{Event: "final", Command: "ls -l\nrm x"}, "ls -l …", true},
		{dbus.Record{Event: "final", State: "denied", Reason: "expired"}, "the request came too late: its time to start had passed", false},
		{dbus.Record{Event: "final", State: "denied", Reason: "bad\u202eluck"}, `dom0 refused the request: bad\u{202e}luck`, false},
		{dbus.Record{Event: "final", State: "interrupted"}, "the service ended before the command did", false},
		{dbus.Record{Event: "refused-count", Count: 20, Detail: "beyond those recorded singly"}, "20 more requests refused", false},
		{dbus.Record{Event: "refused-count", Count: 1}, "1 more request refused", false},
		{dbus.Record{Event: "authorized"}, "key stored", false},
		{dbus.Record{Event: "authorized", Detail: "replaces 1234 5678"}, "key stored: replaces 1234 5678", false},
		{dbus.Record{Event: "setting", Detail: "QVM_REMOTE_VMS: added work"}, "QVM_REMOTE_VMS: added work", false},
		{dbus.Record{Event: dbus.UnreadableEvent, Count: 3}, "a record that cannot be read (3)", false},
		{dbus.Record{Event: "approved", Detail: "by\nroot"}, `by\x0aroot`, false},
	} {
		if line, command := Summary(c.record); line != c.line || command != c.command {
			t.Errorf("%+v\nis %q (command: %v), want %q", c.record, line, command, c.line)
		}
	}
}

func TestFirstLine(t *testing.T) {
	for script, want := range map[string]string{
		"":                                "",
		"\n\n  uptime  \n\n":              "uptime",
		"#!/bin/bash":                     "#!/bin/bash",
		"#!/bin/bash\n\nset -e\nls":       "set -e …",
		"#!/bin/bash\nls":                 "ls",
		"echo \x1b]0;x\x07":               `echo \x1b]0;x\x07`,
		strings.Repeat("a", 5000) + "\nb": strings.Repeat("a", maxLine-1) + "…",
	} {
		if got := FirstLine(script); got != want {
			t.Errorf("%.40q is shown as %q, want %q", script, got, want)
		}
	}
}

func TestRowsAreNoSteps(t *testing.T) {
	for event, row := range map[string]bool{"claim": false, "run": false, "delivered": false, "carry": false, "floor": false,
		"final": true, "refused": true, "revoked": true, "approved": true} {
		if Row(event) != row {
			t.Errorf("%s: a row of its own: %v", event, !row)
		}
	}
}

// story are the records of a request, as the daemon writes them.
func story() []dbus.Record {
	at := func(s int) time.Time { return time.Date(2026, 11, 23, 12, 0, s, 0, time.UTC) }
	return []dbus.Record{
		{Seq: 7, Time: at(0), Event: "claim", Qube: "work", ID: "job-1", Number: 3, Key: "ab cd", Kind: "script", Request: "sha256:r",
			Issued: 1000, Expires: 2000, Timeout: 30, Body: "sha256:b 1536", Stdin: "none", UUID: "u-1"},
		{Seq: 8, Time: at(1), Event: "run", Qube: "work", ID: "job-1", Number: 3, Key: "ab cd", Command: "make\nmake check"},
		{Seq: 11, Time: at(9), Event: "final", Qube: "work", ID: "job-1", Number: 3, State: "exit", Exit: code(2), StartedAt: 1500,
			Duration: 8250, Out: "sha256:o 12", Err: "sha256:e 0", OutHead: "hello"},
		{Seq: 12, Time: at(10), Event: "delivered", Qube: "work", ID: "job-1", Number: 3, Checkpoint: "sha256:c"},
	}
}

func TestJoin(t *testing.T) {
	all := Join(story()...)
	if all.Event != "final" || all.Seq != 11 || all.Command != "make\nmake check" || all.Key != "ab cd" || all.Timeout != 30 ||
		all.Expires != 2000 || all.UUID != "u-1" || all.Checkpoint != "sha256:c" || all.OutHead != "hello" {
		t.Errorf("joined: %+v", all)
	}
	if open := Join(story()[:2]...); open.Event != "run" || open.Timeout != 30 || open.Command == "" {
		t.Errorf("joined while it runs: %+v", open)
	}
	if one := Join(dbus.Record{Event: "started", Seq: 4}); one.Event != "started" || one.Seq != 4 {
		t.Errorf("an event alone became %+v", one)
	}
}

func TestFacts(t *testing.T) {
	facts := Facts(Join(story()...))
	value := func(label string) string {
		i := slices.IndexFunc(facts, func(f Fact) bool { return f.Label == label })
		if i < 0 {
			return ""
		}
		return facts[i].Value
	}
	for label, want := range map[string]string{
		"Ran for": "8.2 s", "Time limit": "30 s", "Id": "job-1", "Number in dom0": "3", "Key": "ab cd", "Script": "1.5 KB, sha256:b",
		"Standard input": "none", "Output": "12 B, sha256:o", "Checkpoint": "sha256:c", "Record": "11", "Why": "", "By": "",
	} {
		if got := value(label); got != want {
			t.Errorf("%s: %q, want %q", label, got, want)
		}
	}
	facts = Facts(dbus.Record{Event: "paused", Who: "root", Way: "telepathy"})
	if got := value("By"); got != "root, by telepathy" {
		t.Errorf("by a way of a later version: %q", got)
	}
	facts = Facts(dbus.Record{Event: "final", State: "denied", Reason: "moon-phase", Detail: "full\nmoon"})
	if why, what := value("Why"), value("What"); why != "dom0 refused the request: moon-phase." || what != `Full\x0amoon.` {
		t.Errorf("why and what: %q, %q", why, what)
	}
}

func TestExcerpt(t *testing.T) {
	if got := Excerpt("all of it\n", "", 0); got != "all of it\n" {
		t.Errorf("%q", got)
	}
	if got, want := Excerpt("begin\n", "end\n", 2048), "begin\n[… 2.0 KB are not in the record …]\nend\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// FuzzRecord: whatever a line of the log holds, what is said of it is one
// bounded, visible line.
func FuzzRecord(f *testing.F) {
	f.Add(`{"seq":1,"time":"2026-11-23T12:00:00Z","event":"final","qube":"w","state":"exit","exit":3,"duration_ms":9223372036854775807}`)
	f.Add(`{"seq":1,"time":"2026-11-23T12:00:00Z","event":"\u202e","command":"#!\n\u001b[2J","reason":"<b>","detail":"\u0000","who":"\n","way":"x\ty"}`)
	f.Add(`{"seq":1,"time":"2026-11-23T12:00:00Z","event":"claim","timeout":9223372036854775807,"issued":-9223372036854775808,"body":"sha256: 99999999999999999999999"}`)
	f.Fuzz(func(t *testing.T, line string) {
		r, err := dbus.ParseRecord(line)
		if err != nil {
			return
		}
		summary, _ := Summary(r)
		shown := []string{Event(r).Word, summary, LastCommand(r)}
		for _, f := range Facts(r) {
			shown = append(shown, f.Value)
		}
		for _, s := range shown {
			if queue.Plain(s, 0) != s || utf8.RuneCountInString(s) > 1000 {
				t.Fatalf("not fit to be shown on a line: %q", s)
			}
		}
	})
}
