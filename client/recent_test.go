package client_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"qvmremote/client"
	"qvmremote/queue"
)

// putPast puts a request into the history, with or without its header.
func putPast(t *testing.T, c *client.Client, at time.Time, id string, header bool) {
	t.Helper()
	dir := c.Layout.HistoryOf(at, id)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	write := func(name string, text []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("command", []byte("run "+id+"\n"))
	write("exit", []byte("0\n"))
	if header {
		r := queue.Request{Kind: queue.KindScript, ID: id, Qube: "work", Issued: at.Unix(), Expires: at.Unix() + 1, Timeout: 1, Body: queue.SumOf(nil)}
		write("request", r.Sign(key(t, c).RequestKey()))
	}
}

// TestRecentEventsAreInTheOrderOfTime: of both kinds, whatever their zones and
// however many of the other kind there are.
func TestRecentEventsAreInTheOrderOfTime(t *testing.T) {
	t.Parallel()
	c := newQube(t)
	at := time.Date(2026, 11, 20, 12, 0, 0, 0, time.Local)
	for i := range 40 {
		putPast(t, c, at.Add(time.Duration(i)*time.Minute), fmt.Sprintf("%s-1-%08x", at.Add(time.Duration(i)*time.Minute).Format("20060102-150405"), i), i%2 == 0)
	}
	// Filed under a later name than its time: a clock that was set back.
	putPast(t, c, at.Add(90*time.Second), "20261120-235959-1-000000ff", true)
	line := func(after time.Duration, zone int, text string) string {
		return "[" + at.Add(after).In(time.FixedZone("", zone)).Format("2006-01-02T15:04:05-07:00") + "] " + text + "\n"
	}
	older := line(30*time.Second, 3600, "KEY made") + "garbage\n"
	newer := "[" + at.Add(39*time.Minute+time.Second).Format("2006-01-02T15:04:05") + "] id=x exit=0\n" +
		line(39*time.Minute+20*time.Second, -7200, "first") + line(39*time.Minute+20*time.Second, 7200, "second") +
		line(39*time.Minute, 0, "SUBMIT id=20261120-123900-1-00000027 size=1B cmd=x") + line(39*time.Minute, 0, "SUBMIT id=gone size=1B cmd=x")
	for name, text := range map[string]string{"audit.log.1": older, "audit.log": newer} {
		if err := os.WriteFile(filepath.Join(c.Layout.Root, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	says := func(e client.Event) string {
		if e.Past != nil {
			return strings.TrimSpace(strings.TrimPrefix(e.Past.Command, "run 20261120-"))[:6]
		}
		return e.Line
	}
	events, err := c.Recent(6)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range events {
		got = append(got, says(e))
	}
	if s := strings.Join(got, " | "); s != "second | first | id=x exit=0 | SUBMIT id=gone size=1B cmd=x | 123900 | 123800" &&
		s != "second | first | id=x exit=0 | 123900 | SUBMIT id=gone size=1B cmd=x | 123800" {
		t.Errorf("the last six: %s", s)
	}
	if events, err = c.Recent(100); err != nil || len(events) != 41+5 {
		t.Fatalf("%d events, %v", len(events), err)
	}
	for i := 1; i < len(events); i++ {
		if events[i].Time.After(events[i-1].Time) {
			t.Errorf("%s comes after %s", says(events[i]), says(events[i-1]))
		}
	}
	if e := events[len(events)-2]; e.Line != "KEY made" {
		t.Errorf("last but one: %s", says(e))
	}
	if empty, err := newQube(t).Recent(5); err != nil || len(empty) != 0 {
		t.Errorf("of nothing: %v, %v", empty, err)
	}
}

// TestTheLogGoesOnInItsOlderPart: also right after it began anew.
func TestTheLogGoesOnInItsOlderPart(t *testing.T) {
	t.Parallel()
	c := newQube(t)
	for name, text := range map[string]string{"audit.log.1": "a\nb\n", "audit.log": "c\n"} {
		if err := os.WriteFile(filepath.Join(c.Layout.Root, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for n, want := range []string{"", "c", "b c", "a b c", "a b c"} {
		lines, err := c.Log(n)
		if got := strings.Join(lines, " "); err != nil || got != want {
			t.Errorf("the last %d lines: %q, %v", n, got, err)
		}
	}
}
