package dbus

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	godbus "github.com/godbus/dbus/v5"
)

// deafBus takes connections and never says a word; met is closed after the
// first word of a client.
func deafBus(t *testing.T) (address string, met <-chan struct{}) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "bus")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	spoke := make(chan struct{})
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		_, _ = conn.Read(make([]byte, 1))
		close(spoke)
		_, _ = io.Copy(io.Discard, conn)
		conn.Close()
	}()
	return "unix:path=" + path, spoke
}

func TestAuditGoesThroughAllPages(t *testing.T) {
	t.Parallel()
	c, f := serve(t)
	pages := map[uint64][]any{
		0: {[]string{line(9), line(8)}, uint64(8)},
		8: {[]string{}, uint64(5)}, // nothing found in time
		5: {[]string{line(3)}, uint64(0)},
	}
	f.on("QueryAudit", func(a asked) ([]any, error) { return pages[a.Args[1].(uint64)], nil })
	var seqs []uint64
	for r, err := range c.Audit(context.Background(), Filter{}, 0) {
		if err != nil {
			t.Fatal(err)
		}
		seqs = append(seqs, r.Seq)
	}
	if len(seqs) != 3 || seqs[0] != 9 || seqs[1] != 8 || seqs[2] != 3 {
		t.Errorf("the records are %v", seqs)
	}
	before := len(f.got("QueryAudit"))
	for range c.Audit(context.Background(), Filter{}, 0) {
		break
	}
	if n := len(f.got("QueryAudit")) - before; n != 1 {
		t.Errorf("one record took %d calls", n)
	}
}

func TestAuditEnds(t *testing.T) {
	t.Parallel()
	c, f := serve(t)
	f.reply("QueryAudit", []string{}, uint64(5)) // for ever
	n, last := 0, error(nil)
	for _, err := range c.Audit(context.Background(), Filter{}, 0) {
		n, last = n+1, err
	}
	if n != 1 || !errors.Is(last, Err(Incompatible)) {
		t.Errorf("a log without an end gave %d records and %v", n, last)
	}
	f.fail("QueryAudit", NotAuthorized.Name(), "no")
	for _, err := range c.Audit(context.Background(), Filter{}, 0) {
		if !errors.Is(err, Err(NotAuthorized)) {
			t.Errorf("a log that may not be read: %v", err)
		}
	}
}

// export answers ExportAudit with text, claims that it were of that size, and
// keeps its end open until the test ends where that is asked for.
func export(t *testing.T, f *fake, text string, size uint64, keep bool) {
	f.on("ExportAudit", func(a asked) ([]any, error) {
		file := os.NewFile(uintptr(a.Args[0].(godbus.UnixFD)), "export")
		if keep {
			t.Cleanup(func() { file.Close() })
		} else {
			defer file.Close()
		}
		if _, err := io.WriteString(file, text); err != nil {
			return nil, err
		}
		return []any{size}, nil
	})
}

func TestExportIsWhole(t *testing.T) {
	t.Parallel()
	c, f := serve(t)
	text := strings.Repeat("0123456789abcdef", 100_000) // more than a pipe holds
	for _, keep := range []bool{false, true} {
		export(t, f, text, uint64(len(text)), keep)
		var got bytes.Buffer
		if n, err := c.ExportAudit(context.Background(), &got, "jsonl"); err != nil || n != int64(len(text)) || got.String() != text {
			t.Errorf("with its end kept open %v: %d of %d bytes: %v", keep, n, len(text), err)
		}
	}
	export(t, f, text, uint64(len(text)+1), false)
	if _, err := c.ExportAudit(context.Background(), io.Discard, "jsonl"); !errors.Is(err, Err(Failed)) {
		t.Errorf("a byte is missing: %v", err)
	}
	f.on("ExportAudit", func(a asked) ([]any, error) {
		fd := os.NewFile(uintptr(a.Args[0].(godbus.UnixFD)), "export")
		t.Cleanup(func() { fd.Close() })
		return nil, godbus.NewError(InvalidArgument.Name(), []any{"no such format"})
	})
	if _, err := c.ExportAudit(context.Background(), io.Discard, "pdf"); !errors.Is(err, Err(InvalidArgument)) {
		t.Errorf("refused: %v", err)
	}
}

func FuzzParseRecord(f *testing.F) {
	for _, seed := range []string{line(0), line(5) + "\n", `{}`, `{"seq":-1,"time":"2026-01-01T00:00:00Z","event":"run"}`,
		`{"seq":1,"time":"2026-01-01T00:00:00Z","event":"final","exit":3,"extra":[{}]}`,
		`{"seq":1,"SEQ":2,"time":"2026-01-01T00:00:00Z","event":"run","command":"\u001b[31m"}`, "null", "", "{\"seq\":1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r, err := ParseRecord(text)
		if err != nil {
			return
		}
		if r.Event == "" || r.Line != strings.TrimSuffix(text, "\n") {
			t.Errorf("%q became %+v", text, r)
		}
		if again, err := ParseRecord(r.Line); err != nil || again.Seq != r.Seq || again.Event != r.Event {
			t.Errorf("%q is read otherwise the second time: %v", text, err)
		}
	})
}

func TestParseRecord(t *testing.T) {
	t.Parallel()
	r, err := ParseRecord(`{"seq":7,"time":"2026-01-02T03:04:05Z","event":"final","qube":"work","exit":0,"duration_ms":12,"later":1,` +
		`"out_head":"a\nb","out_tail":"z","out_left":1000,"err_head":"\\xff","err_left":3,"err_tail":"e","excerpt_escaped":true}`)
	if err != nil || r.Seq != 7 || r.Qube != "work" || r.Exit == nil || *r.Exit != 0 || r.Duration != 12 ||
		r.OutHead != "a\nb" || r.OutTail != "z" || r.OutLeft != 1000 || r.ErrHead != `\xff` || r.ErrTail != "e" || r.ErrLeft != 3 || !r.Escaped {
		t.Errorf("%+v, %v", r, err)
	}
	for _, bad := range []string{``, `{}`, `[]`, `null`, `{"seq":7,"event":"x"}`, `{"time":"2026-01-02T03:04:05Z","event":"x"}`,
		`{"seq":7,"time":"2026-01-02T03:04:05Z","event":""}`, `{"seq":1.5,"time":"2026-01-02T03:04:05Z","event":"x"}`} {
		if r, err := ParseRecord(bad); err == nil {
			t.Errorf("%q became %+v", bad, r)
		}
	}
}
