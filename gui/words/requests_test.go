package words

import (
	"strings"
	"testing"
	"time"

	"qvmremote/dbus"
	"qvmremote/queue"
)

func TestTheTimeThatIsLeft(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for left, want := range map[time.Duration]string{
		-time.Hour: "time is over", 0: "time is over", 900 * time.Millisecond: "1 s left", 59 * time.Second: "59 s left",
		61 * time.Second: "1:01 min left", 59*time.Minute + 59*time.Second: "59:59 min left", 2 * time.Hour: "2 h left",
	} {
		if got := Left(now.Add(left), now); got != want {
			t.Errorf("%v: %q, want %q", left, got, want)
		}
	}
}

// TestWhatCannotBeSeenOfBytesIsSaid: an end without a newline, and letters that
// only look like others.
func TestWhatCannotBeSeenOfBytesIsSaid(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"": "0 bytes · 0 lines", "a\n": "2 bytes · 1 line", "a": "1 byte · 1 line · no newline at its end",
		"\u0430\n": "3 bytes · 1 line · letters beyond ASCII, which may only look like others",
	} {
		if got := Bytes([]byte(text)); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// TestTheHashIsOfWhatIsShown: with an input there is one of each besides.
func TestTheHashIsOfWhatIsShown(t *testing.T) {
	t.Parallel()
	script, stdin := []byte("cat\n"), []byte("in\n")
	alone := RequestFacts(dbus.Request{StdinSize: -1}, script, nil, "abc", "")
	if alone[0] != (Fact{"SHA-256 of what is shown", "abc", true}) {
		t.Errorf("without an input: %+v", alone)
	}
	with := RequestFacts(dbus.Request{StdinSize: 3}, script, stdin, "abc", "")
	want := []string{"abc", Bytes(script), queue.HashOf(queue.SumOf(script), queue.Sum{}), queue.HashOf(queue.SumOf(stdin), queue.Sum{})}
	for i, w := range want {
		if with[i].Value != w {
			t.Errorf("with one: %+v, want %q", with[i], w)
		}
	}
}

func TestWhoAsksIsShownAsText(t *testing.T) {
	t.Parallel()
	r := dbus.Request{Qube: "work", Waiting: 2}
	if got := RequestLine(r, []byte("echo \u202ea\nrm b")); got != `echo \u{202e}a … · 2 more of this qube behind it` {
		t.Errorf("its row says %q", got)
	}
	if got := RequestLine(r, nil); !strings.HasPrefix(got, "Open it") {
		t.Errorf("unread, its row says %q", got)
	}
	if got := Change("diff approved asked\n--- approved\n+++ asked\n@@ -1 +1 @@\n-a\n+b\n"); got != "@@ -1 +1 @@\n-a\n+b\n" {
		t.Errorf("the difference is %q", got)
	}
}
