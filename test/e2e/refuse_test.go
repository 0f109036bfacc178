package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"qvmremote/daemon/audit"
	"qvmremote/queue"
	"qvmremote/test/sim"
)

// bad is a request that must not run, and why.
type bad struct {
	name string
	why  queue.Reason
	make func(q *qube) *submission
}

// changed makes a request whose fields say something else, well signed.
func changed(change func(s *submission)) func(q *qube) *submission {
	return func(q *qube) *submission {
		s := q.craft("touch bad-mark\n")
		change(s)
		return s.sign()
	}
}

// tampered makes a request that was well signed before.
func tampered(change func(s *submission)) func(q *qube) *submission {
	return func(q *qube) *submission {
		s := q.craft("touch bad-mark\n")
		change(s)
		return s
	}
}

func allBad() []bad {
	return []bad{
		{"forged", queue.BadMAC, changed(func(s *submission) { s.key = queue.GenerateKey() })},
		{"one digit of the MAC", queue.BadMAC, tampered(func(s *submission) { flip(s.header, len(s.header)-2) })},
		{"header edited", queue.BadMAC, tampered(func(s *submission) {
			s.header = []byte(strings.Replace(string(s.header), "timeout 60", "timeout 61", 1))
		})},
		{"swapped body", queue.Mismatch, tampered(func(s *submission) { s.script = "touch bad-mark2" })},
		{"longer body", queue.Mismatch, tampered(func(s *submission) { s.script += "true\n" })},
		{"swapped input", queue.Mismatch, changed(func(s *submission) { s.Stdin = queue.SumOf([]byte("good")); s.stdin = "evil" })},
		{"no input file", queue.Unreadable, changed(func(s *submission) { s.Stdin = queue.SumOf([]byte("good")); s.stdin = missing })},
		{"no body file", queue.Unreadable, tampered(func(s *submission) { s.script = missing })},
		{"expired", queue.Expired, changed(func(s *submission) { s.Issued -= 30; s.Expires = s.Issued + 10 })},
		{"from the future", queue.Future, changed(func(s *submission) { s.Issued += 90; s.Expires += 90 })},
		{"older than the key", queue.Stale, changed(func(s *submission) { s.Issued -= 3600; s.Expires = s.Issued + 7200 })},
		{"valid for too long", queue.Limit, changed(func(s *submission) { s.Expires = s.Issued + 86401 })},
		{"timeout too long", queue.Limit, changed(func(s *submission) { s.Timeout = 86401 })},
		{"no timeout", queue.Limit, changed(func(s *submission) { s.Timeout = 0 })},
		{"script too large", queue.Limit, changed(func(s *submission) { s.Body.Size = queue.MaxScript + 1 })},
		{"input too large", queue.Limit, changed(func(s *submission) { s.Stdin = queue.SumOf(nil); s.Stdin.Size = queue.MaxStdin + 1 })},
		{"empty", queue.Empty, changed(func(s *submission) { s.script = ""; s.Body = queue.SumOf(nil) })},
		{"only spaces", queue.Empty, changed(func(s *submission) { s.script = " \n\t\n"; s.Body = queue.SumOf([]byte(s.script)) })},
		{"binary", queue.Binary, changed(func(s *submission) { s.script = "touch bad-mark\x00"; s.Body = queue.SumOf([]byte(s.script)) })},
		{"escape sequence", queue.Binary, changed(func(s *submission) { s.script = "touch bad-mark # \x1b[1A"; s.Body = queue.SumOf([]byte(s.script)) })},
		{"another qube's name", queue.WrongQube, changed(func(s *submission) { s.Qube = "vault" })},
		{"unknown kind", queue.Unsupported, changed(func(s *submission) { s.Kind = "plan" })},
		{"malformed: text", queue.Malformed, tampered(func(s *submission) { s.header = []byte("touch bad-mark\n") })},
		{"malformed: nothing", queue.Malformed, tampered(func(s *submission) { s.header = nil })},
		{"malformed: a line more", queue.Malformed, tampered(func(s *submission) { s.header = append([]byte("x y\n"), s.header...) })},
		{"malformed: CRLF", queue.Malformed, tampered(func(s *submission) { s.header = []byte(strings.ReplaceAll(string(s.header), "\n", "\r\n")) })},
		{"malformed: version 1", queue.Malformed, tampered(func(s *submission) { s.header = []byte(strings.Repeat("a", 64) + "\n") })},
		{"malformed: too long", queue.Malformed, tampered(func(s *submission) { s.header = append(s.header, make([]byte, 2<<20)...) })},
	}
}

func flip(b []byte, i int) {
	if b[i] == '0' {
		b[i] = '1'
	} else {
		b[i] = '0'
	}
}

const missing = "\x00missing" // stands for a file that is not there

// putBad publishes s, without the files that are to be missing.
func (q *qube) putBad(s *submission) {
	q.t.Helper()
	folder := q.layout.HistoryOf(q.h.now(), s.ID)
	write(q.t, filepath.Join(folder, "request"), string(s.Sign(s.key.RequestKey())))
	write(q.t, filepath.Join(folder, "command"), s.script)
	if s.script != missing {
		must(q.t, queue.Publish(q.layout.Body(s.ID), []byte(s.script)))
	}
	if s.Stdin.Present && s.stdin != missing {
		must(q.t, queue.Publish(q.layout.Stdin(s.ID), []byte(s.stdin)))
	}
	must(q.t, queue.Publish(q.layout.Header(s.ID), s.header))
}

// TestBadRequests puts every kind of bad request into one queue. Two houses
// keep the unauthenticated ones below the number that is recorded singly.
func TestBadRequests(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "work", "other")
	h.start()
	q, other := h.of("work"), h.of("other")
	q.works()
	sent := map[string]*submission{}
	for _, b := range allBad() {
		s := b.make(q)
		sent[b.name] = s
		q.putBad(s)
	}
	other.works()
	for _, b := range allBad() {
		s := sent[b.name]
		t.Run(b.name, func(t *testing.T) {
			q := q.in(t)
			q.refused(s.ID, b.why)
			if h.about(s.ID, audit.Run) != 0 {
				t.Error("it was run")
			}
			if n := h.about(s.ID, audit.Claim); (n == 1) != (h.about(s.ID, audit.Final) == 1) {
				t.Error("a claim without its final state")
			}
			r := q.answered(s.ID)
			if b.name == "forged" {
				return // that client holds another key; see TestWrongKeyIsTold
			}
			if r.code != queue.ExitDenied && r.code != queue.ExitInternal || !strings.Contains(r.err, "denied("+string(b.why)+")") {
				t.Errorf("the client says %+v", r)
			}
		})
	}
	for _, name := range []string{"bad-mark", "bad-mark2"} {
		if exists(h.marker(name)) {
			t.Errorf("%s: something ran", name)
		}
	}
	q.works()
	h.verified()
}

// TestWrongKeyIsTold: a client with another key than dom0 can believe no answer,
// and still learns the reason.
func TestWrongKeyIsTold(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "work", "other")
	h.start()
	q := h.of("work")
	q.works()
	write(t, q.layout.Key(), string(queue.GenerateKey().Reveal()))
	r := q.run("touch", "forged-mark")
	if r.code != queue.ExitDenied || !strings.Contains(r.err, "denied(bad-mac)") || !strings.Contains(r.err, "not confirmed") {
		t.Errorf("%+v", r)
	}
	h.of("other").works()
	if exists(h.marker("forged-mark")) || !strings.Contains(h.log(), "reason=bad-mac") {
		t.Errorf("a forgery ran, or is not in the log: %s", h.log())
	}
}

func TestNoKeyNoExecution(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "work", "other")
	q := h.of("work")
	must(t, os.Remove(q.keyFile()))
	h.start()
	r := q.run("touch", "no-key-mark")
	if r.code != queue.ExitDenied || !strings.Contains(r.err, "denied(no-key)") {
		t.Errorf("%+v", r)
	}
	for _, mode := range []os.FileMode{0o640, 0o604} { // a key that others can read is no key
		q.authorise()
		must(t, os.Chmod(q.keyFile(), mode))
		if r := q.run("touch", "no-key-mark"); r.code != queue.ExitDenied {
			t.Errorf("with a key of mode %o: %+v", mode, r)
		}
	}
	must(t, os.Rename(q.keyFile(), q.keyFile()+".away"))
	must(t, os.Chmod(q.keyFile()+".away", 0o600))
	must(t, os.Symlink(q.keyFile()+".away", q.keyFile()))
	if r := q.run("touch", "no-key-mark"); r.code != queue.ExitDenied {
		t.Errorf("with a key behind a link: %+v", r)
	}
	h.of("other").works()
	if exists(h.marker("no-key-mark")) {
		t.Error("ran without a key")
	}
	if !strings.Contains(h.log(), "AUTH-DENY") || !strings.Contains(h.log(), "reason=no-key") {
		t.Errorf("the log does not say so: %s", h.log())
	}
}

// TestRecreatedQube: the name and the key's bytes are the same, the qube is
// not.
func TestRecreatedQube(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "work", "other")
	h.quick()
	q := h.of("work")
	q.works()
	q.Recreate()
	must(t, q.layout.Make())
	write(t, q.layout.Key(), string(q.key.Reveal()))
	q.SetState(sim.Running)
	r := q.run("touch", "other-qube-mark")
	if r.code != queue.ExitDenied || !strings.Contains(r.err, "denied(other-qube)") {
		t.Errorf("%+v", r)
	}
	h.of("other").works()
	if exists(h.marker("other-qube-mark")) {
		t.Error("another qube's command ran")
	}
	if !strings.Contains(h.log(), "other-qube") {
		t.Error("the log does not say so")
	}
}

// TestHostileNames: names that would mean something to a path, a shell or a
// terminal, and files that are none.
func TestHostileNames(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "work", "other")
	h.start()
	q := h.of("work")
	q.works()
	good := q.craft("touch name-mark")
	for _, name := range []string{"..", "a..b", "..auth", "a\nb", "a'b", "$(touch name-mark)", "`id`", "\x1b[2J", "-rf", ".hidden", strings.Repeat("x", 129), "a b", "é"} {
		_ = os.WriteFile(filepath.Join(q.layout.PendingDir(), name+".auth"), good.header, 0o600) // a name that no file can have is no case
		_ = os.WriteFile(filepath.Join(q.layout.CancelDir(), name), good.header, 0o600)
	}
	secret := filepath.Join(q.layout.Root, "auth.key")
	link, fifo, folder, body, stdin := q.craft("touch name-mark"), q.craft("touch name-mark"), q.craft("touch name-mark"), q.craft("touch name-mark"), q.craft("touch name-mark")
	must(t, os.Symlink(secret, q.layout.Header(link.ID)))
	must(t, syscall.Mkfifo(q.layout.Header(fifo.ID), 0o600))
	must(t, os.Mkdir(q.layout.Header(folder.ID), 0o700))
	must(t, syscall.Mkfifo(q.layout.Body(body.ID), 0o600))
	must(t, queue.Publish(q.layout.Header(body.ID), body.header))
	stdin.Stdin = queue.SumOf([]byte("x"))
	must(t, os.Symlink("/etc/hostname", q.layout.Stdin(stdin.ID)))
	must(t, queue.Publish(q.layout.Body(stdin.ID), []byte(stdin.script)))
	must(t, queue.Publish(q.layout.Header(stdin.ID), stdin.sign().header))
	must(t, os.Symlink(secret, q.layout.Cancel("linked")))
	must(t, syscall.Mkfifo(q.layout.Cancel("fifo"), 0o600))
	q.works()
	h.of("other").works()
	q.refused(body.ID, queue.Unreadable)
	q.refused(stdin.ID, queue.Unreadable)
	for _, s := range []*submission{link, fifo, folder} {
		if n := h.about(s.ID, audit.Claim); n != 0 {
			t.Error("a header that is no file was claimed")
		}
	}
	if exists(h.marker("name-mark")) {
		t.Error("a name was run")
	}
	if strings.ContainsAny(h.log(), "\x1b\x00") {
		t.Errorf("a name came raw into the log: %q", h.log())
	}
	h.verified()
}
