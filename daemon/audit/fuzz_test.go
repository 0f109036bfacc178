package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/sumdb/note"
)

// FuzzParseLine: what is accepted as a record can be written again, says the
// same, fits a terminal, and is what encoding/json reads.
func FuzzParseLine(f *testing.F) {
	code := -1
	for _, r := range []Record{
		{Event: Started, Time: time.Unix(1795444952, 123000).UTC()},
		{Seq: 12, Event: Claim, Qube: "work", ID: "a", Number: 7, Command: "echo \x1b\"é\u202e\U0001f600\n", Exit: &code},
		{Seq: 3, Event: CarryEvent, Carry: json.RawMessage(`{"a":[1,{"b":"}\""}]}`), Oldest: -1},
		{Seq: 4, Event: Delivered, Nonce: "00", Head: "qvm-remote\n1\n"},
	} {
		line, err := encodeLine(r)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(line)
	}
	for _, s := range []string{``, `{}`, `{"seq":-1,"event":"x"}`, `{"seq":1,"seq":2,"event":"x","Event":"y"}`, `{"seq":1.0,"event":"x"}`,
		`{"seq":1,"event":"\ud800","later":{"a":[]}}`, `{"seq":01,"event":"x"}`, "{\"seq\":1,\"event\":\"a\tb\"}", `{"seq":1,"event":"x","exit":null}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		r, err := parseLine(line)
		var plain Record
		perr := json.Unmarshal(line, &plain)
		if err != nil {
			if perr == nil && plain.Event != "" && plain.Seq >= 0 {
				t.Fatalf("refused, though encoding/json reads %+v: %v", plain, err)
			}
			return
		}
		if diff := cmp.Diff(plain, r); perr != nil || diff != "" {
			t.Fatalf("encoding/json reads otherwise: %v %s", perr, diff)
		}
		if seq, ok := leadingSeq(line); ok && !bytes.Contains(line, []byte(`\`)) && !bytes.Contains(line[1:], []byte(`eq"`+`:`)) && seq != r.Seq {
			t.Fatalf("leading seq %d of record %d", seq, r.Seq)
		}
		again, err := encodeLine(r)
		if err != nil {
			return // a time that RFC 3339 cannot say
		}
		if !plainText(again) {
			t.Fatalf("unprintable: %q", again)
		}
		r2, err := parseLine(again)
		if err != nil {
			t.Fatal(err)
		}
		twice, err := encodeLine(r2)
		if err != nil || !bytes.Equal(again, twice) {
			t.Fatalf("%s became %s (%v)", again, twice, err)
		}
	})
}

func plainText(line []byte) bool {
	for _, c := range string(line) {
		if !printable(string(c)) && c != '\ufffd' {
			return false
		}
	}
	return true
}

// FuzzLineReader: lines come out as bytes.Split gives them, however the file
// grows, and nothing after the last LF comes out.
func FuzzLineReader(f *testing.F) {
	f.Add([]byte("a\nbc\n\nd"), 2, 3)
	f.Add([]byte(strings.Repeat("x", 700)+"\ny\n"), 500, 300)
	f.Add([]byte(strings.Repeat("x", 700)), 300, 400)
	f.Fuzz(func(t *testing.T, data []byte, cut, limit int) {
		if limit < 256 || limit > 1<<20 || len(data) > 1<<16 {
			return
		}
		cut = min(max(cut, 0), len(data))
		file := bytes.NewReader(data[:cut])
		r := lineReader{f: readerAtFunc(func(p []byte, off int64) (int, error) { return file.ReadAt(p, off) })}
		var got [][]byte
		read := func() {
			for {
				line, err := r.next(limit)
				if err == io.EOF {
					return
				}
				if errors.Is(err, errLongLine) {
					line = append([]byte("long "), line...)
				} else if err != nil {
					t.Fatal(err)
				}
				got = append(got, bytes.Clone(line))
			}
		}
		read()
		file = bytes.NewReader(data)
		read()
		want := bytes.Split(data, []byte("\n"))
		want = want[:len(want)-1]
		for i, line := range want {
			if len(line) > limit {
				want[i] = append([]byte("long "), line[:256]...)
			}
		}
		if len(got) != len(want) {
			t.Fatalf("%d lines of %d", len(got), len(want))
		}
		for i := range got {
			if !bytes.Equal(got[i], want[i]) {
				t.Fatalf("line %d is %q", i, got[i])
			}
		}
	})
}

type readerAtFunc func(p []byte, off int64) (int, error)

func (f readerAtFunc) ReadAt(p []byte, off int64) (int, error) { return f(p, off) }

// FuzzParseHead: a head is believed only in its one spelling, signed.
func FuzzParseHead(f *testing.F) {
	f.Add("qvm-remote\n5\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n", true)
	f.Add("qvm-remote\n05\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n", true)
	f.Add("qvm-remote\n-1\nAAAA\n", true)
	f.Add("go.sum database tree\n5\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n", true)
	f.Add("qvm-remote\n5\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n— qvm-remote AAAA\n", false)
	key := testKey(f)
	f.Fuzz(func(t *testing.T, text string, sign bool) {
		if sign {
			if signed, err := note.Sign(&note.Note{Text: text}, key.signer); err == nil {
				text = string(signed)
			}
		}
		h, err := parseHead(text, key.known)
		if err != nil {
			return
		}
		if !sign || h.n < 1 || !strings.HasPrefix(text, headText(h.n, h.root)+"\n— ") {
			t.Fatalf("believed: %q", text)
		}
	})
}

func testKey(t testing.TB) *signingKey {
	t.Helper()
	key, err := loadKey(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func FuzzParseCheckpoint(f *testing.F) {
	for _, s := range []string{someHash, " " + someHash + "\n", strings.ToUpper(someHash), "sha256:", "sha256:zz"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		c, err := parseCheckpoint(s)
		if err == nil && (len(c) != 71 || strings.TrimSpace(s) != c || c != strings.ToLower(c)) {
			t.Fatalf("%q became %q", s, c)
		}
		if err != nil && !printable(err.Error()) {
			t.Fatalf("error is not printable: %q", err)
		}
	})
}

func FuzzParseSegment(f *testing.F) {
	for _, s := range []string{"2026-11-23-000000000000.jsonl", "2026-13-23-000000000000.jsonl", "2026-11-23-1.jsonl", "2026-11-23-+00000000001.jsonl", "../x.jsonl"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		s, ok := parseSegment("/d", name)
		if ok && (s.path != "/d/"+name || s.first < 0) {
			t.Fatalf("%q became %+v", name, s)
		}
	})
}
