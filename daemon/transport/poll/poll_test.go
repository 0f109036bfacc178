package poll

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"qvmremote/daemon/transport"
	"qvmremote/queue"
)

func TestTextCanBeTyped(t *testing.T) {
	if strings.ContainsAny(text, "'\x00") || strings.Contains(text, "#!") {
		t.Error("the text cannot stand between single quotes")
	}
	// One argument of a process may have 128 KiB, and qvm-run makes two of it.
	if n := len(command("user", time.Minute)); n > 32<<10 {
		t.Errorf("the command has %d bytes", n)
	}
}

// TestOneCommand: from the look that finds a request to its end, with a call
// for each and no other.
func TestOneCommand(t *testing.T) {
	t.Parallel()
	q := newQube(t)
	q.request("a.1", "header\n", "echo hi\n")
	q.write(q.layout.Cancel("a.1"), "cancel\n")
	c := q.dial()
	if ids, cancels := q.names(c); ids != "a.1" || cancels != "a.1" {
		t.Fatalf("found %q and the cancels %q", ids, cancels)
	}
	for part, want := range map[queue.Part]string{queue.PartHeader: "header\n", queue.PartCancel: "cancel\n"} {
		if h, err := c.ReadHeader(t.Context(), "a.1", part); err != nil || string(h) != want {
			t.Errorf("part %d is %q (%v)", part, h, err)
		}
	}
	var script bytes.Buffer
	if err := c.Copy(t.Context(), &script, "a.1", queue.PartBody, 8); err != nil || script.String() != "echo hi\n" {
		t.Errorf("the script is %q (%v)", &script, err)
	}
	if q.calls() != 1 {
		t.Errorf("%d calls to find a request and read it", q.calls())
	}
	out := make([]byte, 300_001)
	rand.NewChaCha8([32]byte{1}).Read(out)
	f := &queue.Finish{ID: "a.1", OutSize: int64(len(out)), ErrSize: 3, Meta: []byte("id=a.1\n"), Auth: []byte("signed\n"), Exit: "7", Log: "a\nb"}
	for range 2 { // repeating it changes nothing
		if err := c.Finish(t.Context(), f, bytes.NewReader(out), strings.NewReader("err")); err != nil {
			t.Fatal(err)
		}
	}
	if q.calls() != 3 {
		t.Errorf("%d calls, want one to find it and one for each delivery", q.calls())
	}
	q.has(q.layout.Result("a.1", queue.Out), string(out))
	q.has(q.layout.Result("a.1", queue.Err), "err")
	q.has(q.layout.Result("a.1", queue.Meta), "id=a.1\n")
	q.has(q.layout.Result("a.1", queue.Auth), "signed\n")
	q.has(q.layout.Result("a.1", queue.Exit), "7")
	q.has(q.layout.AuditLog(), "a b\n")
	q.hasNot(q.layout.Header("a.1"), q.layout.Body("a.1"), q.layout.Cancel("a.1"), q.layout.Running("a.1"), q.layout.Result("a.1", queue.Denied))
	q.hasNot(q.layout.ResultsDir() + "/.a.1.out.new")
}

// TestWords: a word takes the request out of the queue, and a copy put back
// later is seen; after the answer none is shown any more.
func TestWords(t *testing.T) {
	t.Parallel()
	q := newQube(t)
	q.request("a", "header\n", "echo\n")
	q.write(q.layout.Stdin("a"), "in")
	c := q.dial()
	q.names(c)
	if err := c.Copy(t.Context(), io.Discard, "a", queue.PartBody, 5); err != nil {
		t.Fatal(err)
	}
	told := make(chan error, 1)
	go func() { told <- c.State(t.Context(), "a", queue.WordQueued) }()
	for len(told) == 0 {
		if ids, _ := q.names(c); ids != "" {
			t.Errorf("what dom0 has is brought again: %s", ids)
		}
	}
	if err := <-told; err != nil {
		t.Fatal(err)
	}
	q.has(q.layout.Running("a"), "queued")
	q.hasNot(q.layout.Header("a"), q.layout.Body("a"), q.layout.Stdin("a"))
	q.request("a", "header\n", "echo\n")
	if ids, _ := q.names(c); ids != "a" {
		t.Errorf("a copy put back is not seen, but %q", ids)
	}
	if err := c.Finish(t.Context(), &queue.Finish{ID: "a", Exit: "0"}, nil0, nil0); err != nil {
		t.Fatal(err)
	}
	go func() { told <- c.State(t.Context(), "a", queue.WordRunning) }()
	for len(told) == 0 {
		q.names(c)
	}
	var failure *queue.Failure
	if err := <-told; !errors.As(err, &failure) {
		t.Errorf("a word after the end: %v", err)
	}
	q.hasNot(q.layout.Running("a"))
}

var nil0 = strings.NewReader("")

// TestRefusals: the next look brings them, however many; a refused name is left
// alone, and no refusal hides an answer.
func TestRefusals(t *testing.T) {
	t.Parallel()
	q := newQube(t)
	for _, id := range []string{"a", "b", "answered"} {
		q.request(id, "bad\n", "echo\n")
	}
	q.write(q.layout.Header("stuck"), "bad\n")
	if err := os.Mkdir(q.layout.Body("stuck"), 0o700); err != nil { // what cannot be removed
		t.Fatal(err)
	}
	q.write(q.layout.Result("answered", queue.Exit), "0")
	q.write(q.layout.Cancel("c"), "bad\n")
	c := q.dial()
	q.names(c)
	before := q.calls()
	for _, id := range []string{"a", "b", "answered", "stuck"} {
		if err := c.Deny(t.Context(), &queue.Deny{ID: id, Auth: []byte("signed " + id), Denied: []byte("bad-mac\nno\n"), Log: "denied"}); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Clean(t.Context(), queue.FolderCancel, "c"); err != nil {
		t.Fatal(err)
	}
	if ids, cancels := q.names(c); ids != "" || cancels != "" || q.calls() != before+1 {
		t.Errorf("after %d more calls there are %q and the cancels %q", q.calls()-before, ids, cancels)
	}
	q.has(q.layout.Result("a", queue.Denied), "bad-mac\nno\n")
	q.has(q.layout.Result("b", queue.Auth), "signed b")
	q.has(q.layout.AuditLog(), "denied\ndenied\n")
	q.hasNot(q.layout.Header("a"), q.layout.Body("b"), q.layout.Cancel("c"), q.layout.Header("answered"), q.layout.Result("answered", queue.Denied))
	q.write(q.layout.Header("stuck"), "bad again\n")
	q.request("d", "header\n", "echo\n")
	if ids, _ := q.names(c); ids != "d" {
		t.Errorf("found %q, want the new name only", ids)
	}
}

// TestLargeParts: scripts that do not fit into a look, and stdin, come by a call
// of their own, and exactly in the size that was named.
func TestLargeParts(t *testing.T) {
	t.Parallel()
	q := newQube(t)
	script := strings.Repeat("x", 1<<20)
	for _, id := range []string{"a", "b", "c"} {
		q.request(id, "h\n", script)
	}
	q.write(q.layout.Stdin("a"), strings.Repeat("\x00\n", 50_000))
	c := q.dial()
	q.names(c)
	for _, id := range []string{"a", "b", "c"} {
		var b bytes.Buffer
		if err := c.Copy(t.Context(), &b, id, queue.PartBody, 1<<20); err != nil || b.String() != script {
			t.Errorf("script %s has %d bytes (%v)", id, b.Len(), err)
		}
	}
	var in bytes.Buffer
	if err := c.Copy(t.Context(), &in, "a", queue.PartStdin, 100_000); err != nil || in.Len() != 100_000 {
		t.Errorf("stdin has %d bytes (%v)", in.Len(), err)
	}
	if q.calls() != 3 {
		t.Errorf("%d calls, want one for the look, for one script and for stdin", q.calls())
	}
	for size, want := range map[int64]error{99_999: transport.ErrChanged, 100_001: transport.ErrChanged} {
		if err := c.Copy(t.Context(), io.Discard, "a", queue.PartStdin, size); !errors.Is(err, want) {
			t.Errorf("stdin of %d bytes: %v", size, err)
		}
	}
	var failure *queue.Failure
	if err := c.Copy(t.Context(), io.Discard, "b", queue.PartStdin, 1); !errors.As(err, &failure) || failure.Code != queue.CodeGone {
		t.Errorf("stdin that is not there: %v", err)
	}
}

// TestOnlyPlainFiles: links, FIFOs, folders and names that are no ids are as if
// they were not there.
func TestOnlyPlainFiles(t *testing.T) {
	t.Parallel()
	q := newQube(t)
	p := q.layout.PendingDir()
	secret := q.dir + "/secret"
	q.write(secret, "of another file")
	for _, err := range []error{
		os.Symlink(secret, p+"/link.auth"), os.Mkdir(p+"/folder.auth", 0o700), syscall.Mkfifo(p+"/fifo.auth", 0o600),
		os.Symlink(secret, p+"/body"), syscall.Mkfifo(q.layout.Cancel("fifo"), 0o600),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"-x", "a b", "$(touch x)", "a..b", ".hidden", "a\nb", "é", strings.Repeat("l", 129), "x.cmd"} {
		q.write(p+"/"+name+".auth", "h\n")
	}
	q.write(q.layout.Header("body"), "h\n")
	q.write(q.layout.Header("long"), strings.Repeat("x", 5000))
	c := q.dial()
	if ids, cancels := q.names(c); ids != "body long" || cancels != "" {
		t.Errorf("found %q and the cancels %q", ids, cancels)
	}
	if _, err := c.ReadHeader(t.Context(), "long", queue.PartHeader); !errors.Is(err, queue.ErrTooLarge) {
		t.Errorf("a header of 5000 bytes: %v", err)
	}
	var failure *queue.Failure
	if err := c.Copy(t.Context(), io.Discard, "body", queue.PartBody, 15); !errors.As(err, &failure) {
		t.Errorf("a script that is a link: %v", err)
	}
}

// TestLinksInTheWay: what dom0 writes does not follow them.
func TestLinksInTheWay(t *testing.T) {
	t.Parallel()
	q := newQube(t)
	victim := q.dir + "/victim"
	q.write(victim, "untouched")
	for _, path := range []string{q.layout.Result("a", queue.Exit), q.layout.ResultsDir() + "/.a.exit.new", q.layout.ResultsDir() + "/.a.out.new", q.layout.Result("a", queue.Out)} {
		if err := os.Symlink(victim, path); err != nil {
			t.Fatal(err)
		}
	}
	c := q.dial()
	if err := c.Finish(t.Context(), &queue.Finish{ID: "a", OutSize: 2, Exit: "0"}, strings.NewReader("hi"), nil0); err != nil {
		t.Fatal(err)
	}
	q.has(victim, "untouched")
	q.has(q.layout.Result("a", queue.Out), "hi")
}

// TestDeliveryThatIsNotTaken: is a failure, and can be made again.
func TestDeliveryThatIsNotTaken(t *testing.T) {
	t.Parallel()
	q := newQube(t)
	c := q.dial()
	if err := os.Mkdir(q.layout.Result("a", queue.Exit), 0o700); err != nil {
		t.Fatal(err)
	}
	f := &queue.Finish{ID: "a", OutSize: 1 << 20, Exit: "0"}
	out := strings.NewReader(strings.Repeat("x", 1<<20))
	var failure *queue.Failure
	if err := c.Finish(t.Context(), f, out, nil0); !errors.As(err, &failure) {
		t.Errorf("a folder is where the answer has to be: %v", err)
	}
	if err := os.Remove(q.layout.Result("a", queue.Exit)); err != nil {
		t.Fatal(err)
	}
	if err := c.Finish(t.Context(), f, out, nil0); err != nil {
		t.Error(err)
	}
	q.answers(`printf 'qvm-remote-poll/1\nend 0\n'`)
	if err := c.Finish(t.Context(), f, out, nil0); !errors.Is(err, transport.ErrProtocol) {
		t.Errorf("a delivery that nobody acknowledged: %v", err)
	}
}

// TestChangesAreRepeated until a look brought them.
func TestChangesAreRepeated(t *testing.T) {
	t.Parallel()
	q := newQube(t)
	q.request("a", "bad\n", "echo\n")
	c := q.dial()
	q.names(c)
	if err := c.Deny(t.Context(), &queue.Deny{ID: "a", Denied: []byte("no\n")}); err != nil {
		t.Fatal(err)
	}
	q.answers(`if [ ! -e ` + q.dir + `/failed ]; then touch ` + q.dir + `/failed; echo oops; exit; fi; ` + typed)
	if ids, _ := q.names(c); ids != "" {
		t.Errorf("what was refused is brought again: %q", ids)
	}
	q.has(q.layout.Result("a", queue.Denied), "no\n")
}

func TestBadNames(t *testing.T) {
	t.Parallel()
	q := newQube(t)
	for _, name := range []string{"", "dom0", "a b", "-x", "a'b"} {
		if _, err := q.d.Dial(t.Context(), name); err == nil {
			t.Errorf("%q was called", name)
		}
	}
	q.d.Account = "x'; touch y; '"
	if _, err := q.d.Dial(t.Context(), "work"); err == nil || q.calls() != 0 {
		t.Errorf("%v, %d calls", err, q.calls())
	}
}

func TestList(t *testing.T) {
	t.Parallel()
	q := newQube(t)
	q.d.AtOnce = true
	q.request("a", "h\n", "echo hi\n")
	q.write(q.layout.Running("b"), "running")
	q.write(q.layout.Running("c"), "\x1b[2J")
	q.write(q.layout.PendingDir()+"/no id", "")
	c := q.dial()
	e, err := c.List(t.Context())
	if err != nil || e.More != 1 || len(e.List) != 4 {
		t.Fatalf("%+v, %v", e, err)
	}
	if b := e.List[2]; b.Folder != queue.FolderRunning || b.Name != "b" || b.Word != "running" || b.Size != 7 || b.Age > 60 {
		t.Errorf("%+v", b)
	}
	if e.List[3].Word != "" {
		t.Errorf("%+v", e.List[3])
	}
	if err := c.Clean(t.Context(), queue.FolderRunning, "b"); err != nil {
		t.Fatal(err)
	}
	q.hasNot(q.layout.Running("b"))
	if err := c.Clean(t.Context(), queue.FolderRunning, "../../auth.key"); err == nil {
		t.Error("a path was cleaned")
	}
}
