package logbook_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"qvmremote/client"
	"qvmremote/client/logbook"
	"qvmremote/queue"
)

func newQube(t testing.TB) *client.Client {
	t.Helper()
	c := client.New(filepath.Join(t.TempDir(), queue.FolderName))
	if err := c.Prepare(); err != nil {
		t.Fatal(err)
	}
	return c
}

func write(t testing.TB, path, text string, flag int) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|flag, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

func open(t testing.TB, c *client.Client, text string) *logbook.Reader {
	t.Helper()
	r, err := logbook.Open(t.Context(), c, text)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

// all reads everything there is, in pages of n.
func all(t testing.TB, r *logbook.Reader, n int) (lines []string) {
	t.Helper()
	for range 100_000 {
		page, more, err := r.Older(t.Context(), n)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range page {
			lines = append(lines, l.Text)
		}
		if !more {
			return lines
		}
	}
	t.Fatal("there is no end")
	return nil
}

func newer(t testing.TB, r *logbook.Reader) (lines []string) {
	t.Helper()
	page, missed, err := r.Newer(t.Context())
	if err != nil || missed {
		t.Fatal(missed, err)
	}
	for _, l := range page {
		lines = append(lines, l.Text)
	}
	return lines
}

func numbered(from, to int) (text string, lines []string) {
	var b strings.Builder
	for i := from; i < to; i++ {
		line := fmt.Sprintf("line %d %s", i, strings.Repeat("x", i%200))
		b.WriteString(line + "\n")
		lines = append(lines, line)
	}
	slices.Reverse(lines)
	return b.String(), lines
}

func same(t testing.TB, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: %d lines, want %d; %.100q, want %.100q", what, len(got), len(want), got[:min(3, len(got))], want[:min(3, len(want))])
	}
}

func TestEachLineComesOnce(t *testing.T) {
	t.Parallel()
	c := newQube(t)
	path := c.Layout.AuditLog()
	r := open(t, c, "")
	same(t, "no log", all(t, r, 10), nil)
	first, firstLines := numbered(0, 5000)
	write(t, path+".1", first, 0)
	second, secondLines := numbered(5000, 9000)
	write(t, path, second, 0)
	r = open(t, c, "")
	page, more, err := r.Older(t.Context(), 50)
	if err != nil || !more || len(page) < 50 || len(page) > 5000 || page[0].Text != secondLines[0] {
		t.Fatalf("the first page has %d lines, %v", len(page), err)
	}
	same(t, "the rest", all(t, r, 100), append(slices.Clone(secondLines), firstLines...)[len(page):])

	third, thirdLines := numbered(9000, 9010)
	write(t, path, third+"half a li", os.O_APPEND)
	same(t, "what was added", newer(t, r), thirdLines)
	same(t, "nothing more", newer(t, r), nil)
	write(t, path, "ne\n", os.O_APPEND)
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	write(t, path+".1", "late\n", os.O_APPEND)
	write(t, path, "one\ntwo\n", 0)
	same(t, "over a rotation", newer(t, r), []string{"two", "one", "late", "half a line"})
	write(t, path, "cut\n", os.O_TRUNC)
	same(t, "of a log that was cut", newer(t, r), []string{"cut"})
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	same(t, "without a log", newer(t, r), nil)
	write(t, path, "new\n", 0)
	same(t, "with a new one", newer(t, r), []string{"new"})
}

// TestPagesAreTheFile: whatever is in it, its lines come once and in order.
func TestPagesAreTheFile(t *testing.T) {
	t.Parallel()
	c := newQube(t)
	rapid.Check(t, func(rt *rapid.T) {
		part := rapid.OneOf(rapid.StringMatching(`[a-c\n]{0,40}`), rapid.SampledFrom([]string{"\n", "\x00\n", "\xff\xfe", "\r\n", "\x1b[2J\n"}),
			rapid.Custom(func(t *rapid.T) string { return strings.Repeat("y", rapid.IntRange(1, 150_000).Draw(t, "n")) }))
		text := strings.Join(rapid.SliceOfN(part, 0, 20).Draw(rt, "parts"), "") + "\n"
		write(t, c.Layout.AuditLog(), text, os.O_TRUNC)
		var want []string
		for _, l := range strings.Split(text, "\n") {
			if l != "" {
				want = append(want, l[:min(len(l), 4<<10)])
			}
		}
		slices.Reverse(want)
		r := open(t, c, "")
		defer r.Close()
		same(t, fmt.Sprintf("%.60q", text), all(t, r, 7), want)
	})
}

func TestSearch(t *testing.T) {
	t.Parallel()
	c := newQube(t)
	text, _ := numbered(0, 30_000)
	write(t, c.Layout.AuditLog(), "The Needle\n"+text, 0)
	r := open(t, c, "nEEdle")
	same(t, "found", all(t, r, 5), []string{"The Needle"})
	write(t, c.Layout.AuditLog(), "hay\nneedle 2\n", os.O_APPEND)
	same(t, "found as it comes", newer(t, r), []string{"needle 2"})
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if _, _, err := open(t, c, "needle").Older(ctx, 5); !errors.Is(err, context.Canceled) {
		t.Errorf("given up: %v", err)
	}
}

// TestAnEndlessLineIsBounded: of a gigabyte without an end a call reads little.
func TestAnEndlessLineIsBounded(t *testing.T) {
	t.Parallel()
	c := newQube(t)
	write(t, c.Layout.AuditLog(), "first\n", 0)
	if err := os.Truncate(c.Layout.AuditLog(), 1<<30); err != nil {
		t.Fatal(err)
	}
	r := open(t, c, "")
	lines, more, err := r.Older(t.Context(), 1)
	if err != nil || !more || len(lines) != 0 {
		t.Errorf("a call: %d lines, %v, %v", len(lines), more, err)
	}
	r2 := open(t, c, "")
	if err := os.Truncate(c.Layout.AuditLog(), 2<<30); err != nil {
		t.Fatal(err)
	}
	if _, missed, err := r2.Newer(t.Context()); err != nil || !missed {
		t.Errorf("a gigabyte more: %v, %v", missed, err)
	}
}

func TestNothingButAFileIsRead(t *testing.T) {
	t.Parallel()
	for name, make := range map[string]func(string) error{
		"FIFO":   func(p string) error { return unix.Mkfifo(p, 0o600) },
		"folder": func(p string) error { return os.Mkdir(p, 0o700) },
		"link":   func(p string) error { return os.Symlink("/dev/zero", p) },
	} {
		c := newQube(t)
		if err := make(c.Layout.AuditLog()); err != nil {
			t.Fatal(err)
		}
		if _, err := logbook.Open(t.Context(), c, ""); !errors.Is(err, queue.ErrNotRegular) {
			t.Errorf("a %s: %v", name, err)
		}
	}
}

func TestWatchTells(t *testing.T) {
	t.Parallel()
	c := newQube(t)
	if err := os.Remove(c.Layout.AuditLog()); err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	told := make(chan struct{}, 1000)
	ended := make(chan error, 1)
	go func() { ended <- logbook.Watch(ctx, c, func() { told <- struct{}{} }) }()
	r := open(t, c, "")
	wait := func(want string) {
		t.Helper()
		for deadline := time.After(2 * time.Minute); ; {
			select {
			case <-told:
				if got := newer(t, r); slices.Contains(got, want) {
					return
				}
			case <-deadline:
				t.Fatalf("%q is not told of", want)
			}
		}
	}
	write(t, c.Layout.AuditLog(), "one\n", 0)
	wait("one")
	write(t, c.Layout.AuditLog(), "two\n", os.O_APPEND)
	wait("two")
	if err := os.Rename(c.Layout.AuditLog(), c.Layout.AuditLog()+".1"); err != nil {
		t.Fatal(err)
	}
	write(t, c.Layout.AuditLog(), "three\n", 0)
	wait("three")
	stop()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
