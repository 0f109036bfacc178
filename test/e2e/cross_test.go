package e2e

import (
	"strings"
	"testing"

	"qvmremote/daemon/audit"
	"qvmremote/queue"
)

// TestAnotherQubesRequest: what one qube signed counts for no other, and a key
// serves one qube only.
func TestAnotherQubesRequest(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "work", "thief")
	h.quick()
	work, thief := h.of("work"), h.of("thief")
	work.works()
	thief.works()
	stolen := work.craft(count)
	stolen.Qube = queue.AnyQube // the request of a qube that does not know its name
	stolen.sign()
	thief.put(stolen)
	thief.refused(stolen.ID, queue.BadMAC)
	// the same key for both, placed by hand
	thief.key = work.key
	thief.authorise()
	again := work.craft(count)
	again.Qube = queue.AnyQube
	thief.put(again.sign())
	thief.refused(again.ID, queue.NotReady)
	if h.counted() != 0 {
		t.Error("ran for a thief")
	}
	work.again(again) // it was refused to the thief only
	await(t, "the request of its owner", func() bool { return h.counted() == 1 })
	work.works()
	h.verified()
}

// TestForgedCancel: only what the key signed for this very request stops it.
func TestForgedCancel(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "work", "other")
	h.start()
	q := h.of("work")
	s := q.put(q.craft(hold("release")))
	h.held("release")
	q.taken(s.ID)
	good := queue.Cancel{ID: s.ID, Qube: q.Name, Issued: s.Issued, Expires: s.Expires, Request: queue.DigestOf(s.header)}
	other, elsewhere, old := good, good, good
	other.Request = queue.DigestOf([]byte("another header"))
	elsewhere.Qube = "vault"
	old.Issued -= 86400
	sign := q.key.RequestKey()
	for name, file := range map[string][]byte{
		"another key":     good.Sign(queue.GenerateKey().RequestKey()),
		"another request": other.Sign(sign),
		"another qube":    elsewhere.Sign(sign),
		"too old":         old.Sign(sign),
		"a header":        s.header,
		"text":            []byte("cancel"),
		"nothing":         nil,
		"too long":        make([]byte, 1<<20),
	} {
		had := h.about(s.ID, audit.Dropped)
		must(t, queue.Publish(q.layout.Cancel(s.ID), file))
		await(t, name+" to be removed", func() bool { return !exists(q.layout.Cancel(s.ID)) })
		await(t, name+" to be recorded", func() bool { return h.about(s.ID, audit.Dropped) == had+1 })
	}
	h.of("other").works()
	if h.about(s.ID, audit.Final) != 0 {
		t.Error("a forged cancel ended a command")
	}
	write(t, h.marker("release"), "")
	if r := q.answered(s.ID); r.code != 0 || r.out != "before\nafter\n" {
		t.Errorf("%+v", r)
	}
	if !strings.Contains(h.log(), "reason="+string(queue.Mismatch)) {
		t.Error("the log does not say why a cancel was dropped")
	}
	h.verified()
}

// TestNothingIsForgedInTheLog: what a qube may choose, a command and an id,
// cannot look like a line of its own.
func TestNothingIsForgedInTheLog(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "work")
	h.start()
	q := h.of("work")
	s := q.put(q.craft(": 'quiet\n[2026-01-01T00:00:00Z] EXEC vm=vault id=forged number=1\r\n \u202e reversed'\n"))
	if r := q.answered(s.ID); r.code != 0 {
		t.Fatalf("%+v", r)
	}
	for _, line := range strings.Split(strings.TrimSuffix(h.log(), "\n"), "\n") {
		if strings.HasPrefix(line, "[2026-01-01") || strings.ContainsAny(line, "\r\x1b\u202e") {
			t.Errorf("in the log: %q", line)
		}
	}
	h.verified()
}
