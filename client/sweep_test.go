package client_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"qvmremote/client"
	"qvmremote/queue"
)

// later moves the client's clock.
func later(c *client.Client, d time.Duration) {
	c.Now = func() time.Time { return time.Now().Add(d) }
}

func TestTheSweepNeverTouchesWhatMayBeAnswered(t *testing.T) {
	t.Parallel()
	c := newQube(t)
	long := submit(t, c, client.Request{Script: []byte("x"), Timeout: 80_000 * time.Second, Detach: true})
	short := submit(t, c, client.Request{Script: []byte("x")})
	for _, path := range []string{c.Layout.Running(long.ID), c.Layout.Running(short.ID), c.Layout.Result(short.ID, queue.Out), c.Layout.Body("orphan")} {
		if err := queue.Publish(path, []byte("running")); err != nil {
			t.Fatal(err)
		}
	}
	later(c, 20*time.Hour) // the first implementation's sweep would take all
	c.Tidy(limited(t))
	for _, path := range []string{c.Layout.Header(long.ID), c.Layout.Running(long.ID), c.Layout.Running(short.ID), c.Layout.Header(short.ID)} {
		if !there(path) {
			t.Fatalf("%s is gone", path)
		}
	}
	if n, err := c.Clean(t.Context(), false); err != nil || n != 5 { // asked for, the short one and the orphan go
		t.Fatalf("cleaned %d, %v", n, err)
	}
	if there(c.Layout.Running(short.ID)) || !there(c.Layout.Running(long.ID)) || !there(c.Layout.Body(long.ID)) {
		t.Fatal("the wrong files went")
	}
	later(c, 100*time.Hour)
	c.Tidy(limited(t))
	emptyQueue(t, c)
}

func TestAnAnswerNobodyCameForGoesToTheHistory(t *testing.T) {
	t.Parallel()
	c := newQube(t)
	ticket := submit(t, c, client.Request{Script: []byte("x"), Within: time.Minute})
	answer(t, c, ticket).put(t)
	later(c, time.Hour)
	if _, err := c.Clean(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	emptyQueue(t, c)
	again, err := c.Ticket(ticket.ID)
	if err != nil {
		t.Fatal(err)
	}
	var out counter
	if o, err := c.Wait(limited(t), again, client.Events{Stdout: &out}); err != nil || o.Exit != 7 || out != 3 {
		t.Fatalf("%+v, %v, %d bytes", o, err, out)
	}
}

func TestCleanAllTakesEverything(t *testing.T) {
	t.Parallel()
	c := newQube(t)
	ticket := submit(t, c, client.Request{Script: []byte("x")})
	for _, path := range []string{c.Layout.Running(ticket.ID), c.Layout.Cancel("a"), c.Layout.Result("b", queue.Out), c.Layout.Body("a\x1bb")} {
		if err := queue.Publish(path, nil); err != nil {
			t.Fatal(err)
		}
	}
	files, _, err := c.Files(t.Context(), 100)
	if err != nil || len(files) != 6 || !slices.IsSortedFunc(files, func(x, y client.File) int {
		if x.Folder != y.Folder {
			return 0 // the folders keep their own order
		}
		return strings.Compare(x.Name, y.Name)
	}) {
		t.Fatalf("%+v, %v", files, err)
	}
	if n, err := c.Clean(t.Context(), true); err != nil || n != 6 {
		t.Fatalf("cleaned %d, %v", n, err)
	}
	emptyQueue(t, c)
	lines, err := c.Log(1)
	if err != nil || len(lines) != 1 || !strings.HasSuffix(lines[0], "] QUEUE-CLEAN removed=6") {
		t.Fatalf("%q, %v", lines, err)
	}
}

func TestHistoryIsPrunedByCountAgeAndSize(t *testing.T) {
	t.Parallel()
	for name, set := range map[string]func(*client.Client){
		"count": func(c *client.Client) { c.Keeping.Entries = 2 },
		"age":   func(c *client.Client) { c.Keeping.Age = 10 * 24 * time.Hour },
		"size":  func(c *client.Client) { c.Keeping.Bytes = 2 * 1500 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newQube(t)
			open := submit(t, c, client.Request{Script: []byte("x")})
			for days := range 4 {
				day := time.Now().AddDate(0, 0, -1-7*days)
				folder := c.Layout.HistoryOf(day, fmt.Sprintf("old-%d", days))
				if err := os.MkdirAll(folder, 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(folder, "exit"), make([]byte, 1000), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			set(c)
			c.Tidy(limited(t))
			kept := map[string]bool{}
			for _, h := range c.History(10) {
				kept[h.ID] = true
			}
			if !kept[open.ID] || !kept["old-0"] || kept["old-3"] || kept["old-2"] {
				t.Fatalf("kept %v", kept)
			}
			days, err := os.ReadDir(c.Layout.History())
			if err != nil || len(days) > 4 { // the mark and what is kept
				t.Fatalf("%d days left, %v", len(days), err)
			}
		})
	}
}

func TestPruningSparesARequestThatIsOpen(t *testing.T) {
	t.Parallel()
	c := newQube(t)
	c.Keeping.Entries = 0
	open := submit(t, c, client.Request{Script: []byte("x")})
	c.Tidy(limited(t))
	if _, err := c.Ticket(open.ID); err != nil {
		t.Fatal(err)
	}
}

// TestTidyingStops when it is told to, wherever it is, and the next one does
// the rest.
func TestTidyingStops(t *testing.T) {
	t.Parallel()
	const some = 5
	left := func(c *client.Client) (files, entries int) {
		list, _, err := c.Files(t.Context(), 100)
		if err != nil {
			t.Fatal(err)
		}
		return len(list), len(c.History(100))
	}
	// The clock is read for every file, for every request that has one, and
	// then for every entry.
	for name, try := range map[string]struct {
		looks int
		well  func(files, entries int) bool
	}{
		"before it begins": {0, func(files, entries int) bool { return files == 3*some && entries == some }},
		"in the queue":     {3, func(files, entries int) bool { return files > 0 && files < 3*some && entries == some }},
		"in the history":   {4*some + 3, func(files, entries int) bool { return files == 0 && entries > 0 && entries < some }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newQube(t)
			for i := range some {
				submit(t, c, client.Request{Script: []byte("x")})
				if err := queue.Publish(c.Layout.Cancel(fmt.Sprintf("c%d", i)), nil); err != nil {
					t.Fatal(err)
				}
			}
			later(c, 100*24*time.Hour)
			now := c.Now
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			looked := 0
			c.Now = func() time.Time {
				if looked++; looked > try.looks {
					stop()
				}
				return now()
			}
			if try.looks == 0 {
				stop()
			}
			c.Tidy(ctx)
			if files, entries := left(c); !try.well(files, entries) {
				t.Errorf("of %d files and %d entries it left %d and %d", 3*some, some, files, entries)
			}
			c.Now = now
			c.Tidy(t.Context())
			if f, e := left(c); f != 0 || e != 0 {
				t.Errorf("the next one left %d files and %d entries", f, e)
			}
		})
	}
}

func TestHistoryOfAnOlderRelease(t *testing.T) {
	t.Parallel()
	c := newQube(t)
	folder := c.Layout.HistoryOf(time.Now(), "old")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"exit": "3", "command": "qvm-ls\x1b[2J\n --all", "meta": "id=old\nduration_ms=120\nexit_code=3\n"} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	h := c.History(5)
	if len(h) != 1 || h[0].Exit != 3 || h[0].Duration != 120*time.Millisecond || h[0].Command != `qvm-ls\x1b[2J --all` || h[0].Signed {
		t.Fatalf("%+v", h)
	}
	for _, id := range []string{"old", "../old", "nothing"} {
		_, err := c.Ticket(id)
		wantError(t, err, client.ErrUnknownID)
	}
}

func TestStatusCountsRequestsAndSeesTheAgent(t *testing.T) {
	t.Parallel()
	c := newQube(t)
	submit(t, c, client.Request{Script: []byte("x")})
	for _, path := range []string{c.Layout.Body("orphan"), c.Layout.Header("headless"), c.Layout.Running("r"),
		c.Layout.Result("r", queue.Out), c.Layout.Result("r", queue.Err), c.Layout.Cancel("r")} {
		if err := queue.Publish(path, nil); err != nil {
			t.Fatal(err)
		}
	}
	s, err := c.Status(limited(t))
	if err != nil {
		t.Fatal(err)
	}
	if s.Pending != 1 || s.Running != 1 || s.Results != 1 || s.Cancels != 1 || s.Orphans != 2 || s.Stale != 0 || s.Connected || s.Good() {
		t.Fatalf("%+v", s)
	}
	if err := queue.Publish(c.Layout.LastLook(), nil); err != nil {
		t.Fatal(err)
	}
	if ok, _ := c.Connected(); !ok {
		t.Fatal("a look a moment ago is no connection")
	}
	later(c, 2*time.Minute)
	if ok, _ := c.Connected(); ok {
		t.Fatal("a look two minutes ago is a connection")
	}
}

// TestFilesBeyondTheLimitAreOnlyCounted: what is looked at is told by its word.
func TestFilesBeyondTheLimitAreOnlyCounted(t *testing.T) {
	t.Parallel()
	c := newQube(t)
	for i := range 5 {
		if err := queue.Publish(c.Layout.Running(fmt.Sprintf("r%d", i)), nil); err != nil {
			t.Fatal(err)
		}
		if err := queue.Publish(c.Layout.Cancel(fmt.Sprintf("c%d", i)), nil); err != nil {
			t.Fatal(err)
		}
	}
	for _, try := range []struct{ max, list, more int }{{0, 0, 10}, {3, 3, 7}, {7, 7, 3}, {10, 10, 0}, {100, 10, 0}} {
		list, more, err := c.Files(limited(t), try.max)
		if err != nil || len(list) != try.list || more != try.more {
			t.Errorf("of at most %d files there are %d, and %d more, %v", try.max, len(list), more, err)
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	_, _, err := c.Files(ctx, 100)
	wantError(t, err, context.Canceled)
	_, _, err = c.Queued(ctx, 100)
	wantError(t, err, context.Canceled)
}

func TestLogIsBoundedAndTurnsOver(t *testing.T) {
	t.Parallel()
	c := newQube(t)
	line := strings.Repeat("x", 99) + "\n"
	if err := os.WriteFile(c.Layout.AuditLog(), []byte(strings.Repeat(line, 5<<20/100)), 0o644); err != nil {
		t.Fatal(err)
	}
	lines, err := c.Log(1 << 30)
	if err != nil || len(lines) != 1<<20/100 || len(lines[0]) != 99 {
		t.Fatalf("%d lines, %v", len(lines), err)
	}
	submit(t, c, client.Request{Script: []byte("echo\n\x09two")})
	lines, err = c.Log(5)
	if err != nil || len(lines) != 5 || lines[3]+"\n" != line || !strings.HasSuffix(lines[4], "size=9B cmd=echo two") {
		t.Fatalf("%q, %v", lines, err)
	}
	if info, err := os.Stat(c.Layout.AuditLog()); err != nil || info.Mode() != 0o600 {
		t.Fatal(info, err)
	}
}
