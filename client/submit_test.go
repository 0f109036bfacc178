package client_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"qvmremote/client"
	"qvmremote/queue"
)

func TestSubmitPublishesWhatDom0Accepts(t *testing.T) {
	t.Parallel()
	c := newQube(t)
	script, input := []byte("cat\n"), strings.Repeat("\x00\xff\n", 50_000)
	ticket := submit(t, c, client.Request{Script: script, Stdin: strings.NewReader(input), Timeout: 7 * time.Second, Within: 9 * time.Second})
	header, err := os.ReadFile(c.Layout.Header(ticket.ID))
	if err != nil {
		t.Fatal(err)
	}
	r, _, denial := queue.Check{ID: ticket.ID, Qube: "work", Now: time.Now()}.Request(header, key(t, c))
	if denial != nil {
		t.Fatal(denial)
	}
	if r.Timeout != 7 || r.Expires-r.Issued != 9 || r.Qube != "work" || r.Body != queue.SumOf(script) || r.Stdin != queue.SumOf([]byte(input)) {
		t.Fatalf("request %+v", r)
	}
	for path, want := range map[string]string{c.Layout.Body(ticket.ID): string(script), c.Layout.Stdin(ticket.ID): input} {
		b, err := os.ReadFile(path)
		if err != nil || string(b) != want {
			t.Fatalf("%s has %d bytes: %v", path, len(b), err)
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Fatalf("%s: %v, %v", path, info.Mode(), err)
		}
	}
	kept := c.Layout.HistoryOf(time.Unix(r.Issued, 0), ticket.ID)
	if b, err := os.ReadFile(filepath.Join(kept, "request")); err != nil || !bytes.Equal(b, header) {
		t.Fatalf("the history's header differs: %v", err)
	}
}

func TestDefaultTimes(t *testing.T) {
	t.Parallel()
	c := newQube(t)
	for detach, within := range map[bool]int64{false: 300, true: 86400} {
		ticket := submit(t, c, client.Request{Script: []byte("x"), Detach: detach})
		if ticket.Timeout != 300 || ticket.Expires-ticket.Issued != within {
			t.Fatalf("detach %v: %+v", detach, ticket.Request)
		}
	}
}

// failing gives some bytes and then an error.
type failing struct{ err error }

func (f *failing) Read(p []byte) (int, error) { return len(p), f.err }

// sparseFile is longer than standard input may be.
func sparseFile(t *testing.T) *os.File {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "large"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	if err := f.Truncate(queue.MaxStdin + 1); err != nil {
		t.Fatal(err)
	}
	return f
}

func TestAFailedSubmitLeavesNothing(t *testing.T) {
	t.Parallel()
	for name, try := range map[string]struct {
		request client.Request
		want    error // nil = any
	}{
		"empty":           {request: client.Request{Script: []byte(" \n\t")}},
		"escape":          {request: client.Request{Script: []byte("echo \x1b[2J")}},
		"too large":       {client.Request{Script: bytes.Repeat([]byte("x"), queue.MaxScript+1)}, client.ErrTooLarge},
		"timeout":         {request: client.Request{Script: []byte("x"), Timeout: 90_000 * time.Second}},
		"within":          {request: client.Request{Script: []byte("x"), Within: 25 * time.Hour}},
		"broken input":    {client.Request{Script: []byte("x"), Stdin: &failing{syscall.EIO}}, syscall.EIO},
		"full disk":       {client.Request{Script: []byte("x"), Stdin: &failing{syscall.ENOSPC}}, client.ErrDiskFull},
		"too large input": {client.Request{Script: []byte("x"), Stdin: sparseFile(t)}, client.ErrTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newQube(t)
			_, err := c.Submit(limited(t), try.request)
			if err == nil || try.want != nil && !errors.Is(err, try.want) {
				t.Fatalf("error %v, want %v", err, try.want)
			}
			nothingLeft(t, c)
		})
	}
}

func nothingLeft(t *testing.T, c *client.Client) {
	t.Helper()
	emptyQueue(t, c)
	if days, err := os.ReadDir(c.Layout.History()); err != nil || len(days) > 0 {
		t.Fatalf("left in the history: %v, %v", days, err)
	}
}

func TestASubmitThatIsStoppedWhileItReadsLeavesNothing(t *testing.T) {
	t.Parallel()
	c := newQube(t)
	in, w := io.Pipe()
	defer w.Close()
	ctx, stop := context.WithCancel(context.Background())
	go func() {
		_, _ = w.Write([]byte("some"))
		stop()
	}()
	_, err := c.Submit(ctx, client.Request{Script: []byte("x"), Stdin: in})
	wantError(t, err, context.Canceled)
	nothingLeft(t, c)
}

func TestSubmitWhereTheHistoryCannotBeWritten(t *testing.T) {
	t.Parallel()
	c := newQube(t)
	if err := os.Remove(c.Layout.History()); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(c.Layout.History(), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Submit(limited(t), client.Request{Script: []byte("x"), Stdin: strings.NewReader("in")}); err == nil {
		t.Fatal("a request without its copy in the history was published")
	}
	emptyQueue(t, c)
}

func TestQubeName(t *testing.T) {
	t.Parallel()
	c := newQube(t)
	silent := func(ctx context.Context, _ string) (string, error) { <-ctx.Done(); return "", ctx.Err() }
	c.Waits.Name = 5 * time.Millisecond
	for _, try := range []struct {
		database func(context.Context, string) (string, error)
		told     string
		want     string
	}{
		{c.Database, "other", "work"},
		{silent, "told", "told"},
		{silent, "dom0", "-"},
		{silent, "", "-"},
		{func(context.Context, string) (string, error) { return "a b\n", nil }, "", "-"},
	} {
		if err := os.WriteFile(c.Layout.Name(), []byte(try.told), 0o600); err != nil {
			t.Fatal(err)
		}
		c.Database = try.database
		if got := c.QubeName(context.Background()); got != try.want {
			t.Errorf("told %q: %q, want %q", try.told, got, try.want)
		}
	}
}

func TestKeys(t *testing.T) {
	t.Parallel()
	c := newQube(t)
	first := key(t, c)
	_, err := c.GenerateKey(false)
	wantError(t, err, client.ErrKeyExists)
	if !key(t, c).Equal(first) {
		t.Fatal("the key was replaced")
	}
	second := queue.GenerateKey()
	for range 2 { // importing the same key again keeps the one before it
		if err := c.ImportKey(second); err != nil {
			t.Fatal(err)
		}
	}
	kept, err := os.ReadFile(c.OldKey())
	if err != nil || !bytes.Equal(kept, first.Reveal()) || !key(t, c).Equal(second) {
		t.Fatalf("kept %d bytes, %v", len(kept), err)
	}
	for _, path := range []string{c.Layout.Key(), c.OldKey()} {
		if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
			t.Fatalf("%s: %v, %v", path, info, err)
		}
	}
	if err := os.WriteFile(c.Layout.Key(), []byte("0x1234"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Key(); !errors.Is(err, queue.ErrKey) || strings.Contains(err.Error(), "1234") {
		t.Fatalf("error %v", err)
	}
	if err := c.ImportKey(second); err != nil {
		t.Fatal(err)
	}
	if kept, err := os.ReadFile(c.OldKey()); err != nil || !bytes.Equal(kept, first.Reveal()) {
		t.Fatalf("a damaged key replaced the one that was kept: %v", err)
	}
	if err := os.Remove(c.Layout.Key()); err != nil {
		t.Fatal(err)
	}
	_, err = c.Submit(limited(t), client.Request{Script: []byte("x")})
	wantError(t, err, client.ErrNoKey)
}

func TestAnAnswerSignedWithTheKeyBeforeIsStillBelieved(t *testing.T) {
	t.Parallel()
	c := newQube(t)
	submitted := submit(t, c, client.Request{Script: []byte("x")})
	answer(t, c, submitted).put(t)
	if _, err := c.GenerateKey(true); err != nil {
		t.Fatal(err)
	}
	ticket, err := c.Ticket(submitted.ID)
	if err != nil {
		t.Fatal(err)
	}
	if o, err := c.Wait(limited(t), ticket, client.Events{}); err != nil || o.Exit != 7 {
		t.Fatalf("%+v, %v", o, err)
	}
}

// TestNameFromAnAgentNeedsNoDatabase holds the agent's lock as an agent does.
func TestNameFromAnAgentNeedsNoDatabase(t *testing.T) {
	t.Parallel()
	c := newQube(t)
	if err := queue.Publish(c.Layout.Name(), []byte("told")); err != nil {
		t.Fatal(err)
	}
	if err := queue.Publish(c.Layout.LastLook(), nil); err != nil {
		t.Fatal(err)
	}
	if got := c.QubeName(context.Background()); got != "work" {
		t.Fatalf("with a poll's mark only: %q", got)
	}
	f, _, err := queue.OpenForWrite(c.Layout.AgentLock())
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_SH); err != nil {
		t.Fatal(err)
	}
	if got := c.QubeName(context.Background()); got != "told" {
		t.Fatalf("with an agent: %q", got)
	}
}
