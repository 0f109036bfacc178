package daemon

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"qvmremote/daemon/audit"
	"qvmremote/daemon/spool"
	"qvmremote/queue"
)

// outputs makes outputs in a spool of their own.
func outputs(t *testing.T) (of func(content []byte) *spool.Output) {
	s, err := spool.Open(filepath.Join(t.TempDir(), "spool"), spool.Quota{Qube: 1 << 30, Total: 1 << 30})
	if err != nil {
		t.Fatal(err)
	}
	number := int64(0)
	return func(content []byte) *spool.Output {
		number++
		e, err := s.Create(number, "work", 0, "ab12 cd34", queue.GenerateKey().ResultKey())
		if err != nil {
			t.Fatal(err)
		}
		o := e.Output(queue.Stdout)
		t.Cleanup(func() { _ = o.Release() })
		if len(content) > 0 {
			if _, err := o.Write(content); err != nil {
				t.Fatal(err)
			}
		}
		return o
	}
}

func TestTheEndsOfAnOutput(t *testing.T) {
	t.Parallel()
	of := outputs(t)
	for name, c := range map[string]struct {
		content, head, tail string
		left                int64
	}{
		"nothing":                           {"", "", "", 0},
		"less than one end":                 {"abc", "abc", "", 0},
		"one end":                           {"abcdefgh", "abcdefgh", "", 0},
		"less than two ends":                {"abcdefghij", "abcdefgh", "ij", 0},
		"two ends":                          {"abcdefghijklmnop", "abcdefgh", "ijklmnop", 0},
		"more":                              {"abcdefghijklmnopq", "abcdefgh", "jklmnopq", 1},
		"a character across the cuts":       {"abcdefgé-éhijklmn", "abcdefg", "hijklmn", 5},
		"a character where the ends meet":   {"abcdefgéh", "abcdefg", "éh", 0},
		"two ends and a character in both":  {"abcdefgéhijklmn", "abcdefg", "hijklmn", 2},
		"ends with a part of a character":   {"abc\xc3", "abc\xc3", "", 0},
		"begins with a part of a character": {"\xa9abc", "\xa9abc", "", 0},
		"no text":                           {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xa9\xa9\xa9\xa9\xa9\xa9\xa9\xa9", "\xff\xff\xff\xff\xff\xff\xff\xff", "\xa9\xa9\xa9\xa9\xa9", 4},
	} {
		got, err := endsOf(of([]byte(c.content)), 8)
		if err != nil || string(got.head) != c.head || string(got.tail) != c.tail || got.left != c.left {
			t.Errorf("%s: %q, %q, %d between, %v; want %q, %q, %d", name, got.head, got.tail, got.left, err, c.head, c.tail, c.left)
		}
	}
	if got, err := endsOf(of([]byte("abc")), 0); err != nil || got.head != nil || got.tail != nil || got.left != 0 {
		t.Errorf("told to keep nothing: %+v, %v", got, err)
	}
}

// TestEndsAreOfTheirOutput: whatever it holds, and however much is kept.
func TestEndsAreOfTheirOutput(t *testing.T) {
	of := outputs(t)
	rapid.Check(t, func(t *rapid.T) {
		content := rapid.OneOf(rapid.SliceOfN(rapid.Byte(), 0, 60), rapid.Map(rapid.StringN(0, 30, 60), func(s string) []byte { return []byte(s) })).Draw(t, "content")
		n := rapid.Int64Range(1, 40).Draw(t, "n")
		e, err := endsOf(of(content), n)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.HasPrefix(content, e.head) || !bytes.HasSuffix(content, e.tail) || int64(len(e.head)) > n || int64(len(e.tail)) > n {
			t.Errorf("%q, %q", e.head, e.tail)
		}
		if e.left < 0 || e.left != int64(len(content)-len(e.head)-len(e.tail)) {
			t.Errorf("%d bytes between", e.left)
		}
		if utf8.Valid(content) && !e.valid() {
			t.Errorf("text became %q, %q", e.head, e.tail)
		}
		if most := 3 * int64(utf8.UTFMax-1); int64(len(content)) <= 2*n-most && e.left != 0 {
			t.Errorf("%d bytes are left out although there is room", e.left)
		}
	})
}

// TestTheLongestExcerptFits: a record never grows too long for a line by what a
// command prints, nor does the excerpt go.
func TestTheLongestExcerptFits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p, of := w.past(), outputs(t)
	for _, piece := range []string{"\x01", "\n", `"`, `\`, "\xff", "\x80", "\u0085", "\u2800", "\u202e", "\U0010ffff", "\ufe0f", "é", "x"} {
		r := &request{q: &qube{x: &Executor{}}, out: of([]byte(strings.Repeat(piece, 20_000))), err: of([]byte("\xff" + strings.Repeat(piece, 20_000)))}
		r.q.x.set.Excerpt = 4 << 10
		f := audit.Record{Event: audit.Final, ID: "a", Detail: strings.Repeat("\x01", 1000)}
		if err := r.excerpt(&f); err != nil {
			t.Fatal(err)
		}
		p.add(f)
		got := w.records()
		last := got[len(got)-1]
		if min(len(last.OutHead), len(last.OutTail), len(last.ErrHead), len(last.ErrTail)) < 2<<10 {
			t.Errorf("%q: %d, %d, %d and %d bytes are kept", piece, len(last.OutHead), len(last.OutTail), len(last.ErrHead), len(last.ErrTail))
		}
		if last.OutHead != f.OutHead || last.ErrTail != f.ErrTail || last.Detail != f.Detail || !last.Escaped {
			t.Errorf("%q: the record was cut", piece)
		}
	}
	if err := p.log.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestTheRecordHoldsTheEndsOfTheOutput: of everything that began, however it
// ended.
func TestTheRecordHoldsTheEndsOfTheOutput(t *testing.T) {
	t.Parallel()
	q := newTestQube(t)
	w := newWorld(t, q)
	w.o.Environ = append(w.o.Environ, "QVM_REMOTE_EXCERPT=8", "QVM_REMOTE_MAX_OUTPUT=1K")
	stop := w.start()
	for id, script := range map[string]string{
		"exit":      "echo out; echo err >&2; exit 3\n",
		"truncated": "head -c 5000 /dev/zero | tr '\\0' x\n",
		"not-text":  `printf 'a\377\nb'; printf '\\377' >&2` + "\n",
		"text":      `printf '\\xff'; printf '\033[1m' >&2` + "\n",
		"silent":    "true\n",
		"denied":    "\x00",
	} {
		q.result(id, q.submit(id, script))
	}
	late := q.header("timeout", "echo out; sleep 1000\n", func(r *queue.Request) { r.Timeout = 1 })
	q.put("timeout", late, "echo out; sleep 1000\n")
	stopped := map[string][]byte{}
	for _, id := range []string{"cancelled", "interrupted"} {
		stopped[id] = q.submit(id, "echo out; echo err >&2; sleep 1000\n")
		q.until("it has output", func() bool { return len(q.out[id+".out"]) > 0 && len(q.out[id+".err"]) > 0 })
	}
	q.cancel("cancelled", stopped["cancelled"], q.key)
	q.result("cancelled", stopped["cancelled"])
	q.result("timeout", late)
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	want := map[string]audit.Record{
		"exit":        {OutHead: "out\n", ErrHead: "err\n"},
		"truncated":   {OutHead: "xxxxxxxx", OutTail: " bytes]\n", OutLeft: 1024 + int64(len("\n[truncated at 1024 bytes]\n")) - 16},
		"not-text":    {OutHead: "a\\xff\nb", ErrHead: `\377`, Escaped: true},
		"text":        {OutHead: `\xff`, ErrHead: "\x1b[1m"},
		"silent":      {},
		"denied":      {},
		"timeout":     {OutHead: "out\n"},
		"cancelled":   {OutHead: "out\n", ErrHead: "err\n"},
		"interrupted": {OutHead: "out\n", ErrHead: "err\n"},
	}
	for _, r := range w.records() {
		if r.Event == audit.Final {
			if c, ok := want[r.ID]; !ok || excerptOf(r) != excerptOf(c) {
				t.Errorf("%s (%s): recorded %s, want %s", r.ID, r.State, excerptOf(r), excerptOf(c))
			}
			delete(want, r.ID)
		}
	}
	for id := range want {
		t.Errorf("%s has no final record", id)
	}
	if said := readFile(t, w.o.Root.Log()); strings.Contains(said, "xxxx") || !strings.Contains(said, "id=truncated") {
		t.Errorf("the log for people says:\n%s", said)
	}
}

func excerptOf(r audit.Record) string {
	return fmt.Sprintf("out %q … %q (%d), err %q … %q (%d), escaped %v", r.OutHead, r.OutTail, r.OutLeft, r.ErrHead, r.ErrTail, r.ErrLeft, r.Escaped)
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestACrashLosesNoExcerpt: what a daemon that died had of the output is in the
// record that the next one makes, which holds no file open for it.
func TestACrashLosesNoExcerpt(t *testing.T) {
	t.Parallel()
	q := newTestQube(t)
	w := newWorld(t, q)
	p := w.past()
	header := q.header("ran", "true\n", nil)
	r := p.claimed(q, "ran", 1, header, true)
	p.add(audit.Record{Event: audit.Run, Qube: r.Qube, ID: r.ID, Number: 1, Key: r.Key})
	if err := os.WriteFile(filepath.Join(w.o.Root.Spool(), "1", "out"), []byte("half of it"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := p.log.Close(); err != nil {
		t.Fatal(err)
	}
	q.halt()
	w.start()
	w.eventually("it is settled", func() bool { return w.count(audit.Final, "ran") == 1 })
	for _, r := range w.records() {
		if r.Event == audit.Final && (r.State != audit.Interrupted || r.OutHead != "half of it") {
			t.Errorf("recorded: %s, %s", r.State, excerptOf(r))
		}
	}
	w.eventually("no output is open", func() bool { return w.openBelow(w.o.Root.Spool()) == 0 })
}
