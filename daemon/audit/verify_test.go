package audit

import (
	"bytes"
	"context"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"
)

// deliver adds a request with its delivered record and returns the checkpoint
// that the qube holds.
func deliver(t testing.TB, l *Log, id string) string {
	t.Helper()
	c := add(t, l, claim(id), final(id))
	nonce, checkpoint, err := NewCheckpoint(c.Head)
	if err != nil {
		t.Fatal(err)
	}
	add(t, l, Record{
		Event: Delivered, Qube: "work", ID: id, Number: 7,
		Checkpoint: checkpoint, Nonce: hex.EncodeToString(nonce[:]), Head: c.Head,
	})
	return checkpoint
}

// rewrite does what root can do: it changes the records, makes the tree anew,
// and signs with the log's own key.
func rewrite(t testing.TB, dir string, change func([]byte) []byte) {
	t.Helper()
	path := newest(t, dir)
	edit(t, path, change)
	key, err := loadKey(dir)
	if err != nil {
		t.Fatal(err)
	}
	var edge frontier
	var tree []byte
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.SplitAfter(data, []byte("\n"))
	for _, line := range lines[:len(lines)-1] {
		tree = edge.push(tlog.RecordHash(bytes.TrimSuffix(line, []byte("\n"))), tree)
	}
	h, err := key.sign(edge.n, edge.root())
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{treeName: tree, headName: []byte(h.text)} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestCheckpointProvesTheRecordsBeforeIt(t *testing.T) {
	t.Parallel()
	dir := logDir(t)
	l, _ := openLog(t, dir, Options{})
	first := deliver(t, l, "a")
	second := deliver(t, l, "b")
	add(t, l, claim("c"))
	r := mustVerify(t, dir, first)
	if r.Proven != 3 {
		t.Errorf("first checkpoint proves %d records", r.Proven)
	}
	r = mustVerify(t, dir, first, " "+second+"\n")
	if r.Proven != 6 || r.Records != 8 {
		t.Errorf("both prove %d of %d records", r.Proven, r.Records)
	}
	for _, want := range []string{"Every record up to number 5 is unchanged and in place", "root could have rewritten those"} {
		if !strings.Contains(r.String(), want) {
			t.Errorf("%q is not said:\n%v", want, r)
		}
	}
}

func TestRewritingWithTheKeyIsFoundByACheckpointOnly(t *testing.T) {
	t.Parallel()
	spoil := map[string]func([]byte) []byte{
		"changed": func(b []byte) []byte { return bytes.Replace(b, []byte(`"id":"a"`), []byte(`"id":"x"`), 1) },
		"cut": func(b []byte) []byte {
			return bytes.Join(bytes.SplitAfter(b, []byte("\n"))[:2], nil)
		},
	}
	for name, change := range spoil {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := logDir(t)
			l, _ := openLog(t, dir, Options{})
			checkpoint := deliver(t, l, "a")
			add(t, l, claim("b"))
			mustClose(t, l)
			mustVerify(t, dir, checkpoint)
			rewrite(t, dir, change)
			if r := mustVerify(t, dir); !strings.Contains(r.String(), "cannot show whether root rewrote") {
				t.Errorf("without a checkpoint:\n%v", r)
			}
			r := verify(t, dir, checkpoint)
			if r.OK() || r.Proven != 0 || !strings.Contains(r.String(), checkpoint) {
				t.Errorf("with the checkpoint:\n%v", r)
			}
			l, _ = openLog(t, dir, Options{})
			if f := l.Findings(); len(f) != 0 {
				t.Errorf("a start cannot know, and found %v", f)
			}
		})
	}
}

func TestUnknownCheckpointFailsByName(t *testing.T) {
	t.Parallel()
	dir := written(t, Options{})
	if r := verify(t, dir, someHash); r.OK() || !strings.Contains(r.String(), someHash) {
		t.Errorf("report:\n%v", r)
	}
	for _, bad := range []string{"", "sha256:", someHash + "0", strings.ToUpper(someHash), "md5:00", "\x1b[2J"} {
		_, err := Verify(context.Background(), dir, []string{bad})
		if err == nil || strings.ContainsRune(err.Error(), '\x1b') {
			t.Errorf("checkpoint %q: %v", bad, err)
		}
	}
}

func TestVerifyFindsWhatWasDoneWithoutTheKey(t *testing.T) {
	t.Parallel()
	inTree := func(dir string) string { return filepath.Join(dir, treeName) }
	tests := map[string]struct {
		file   func(dir string) string
		change func([]byte) []byte
		want   string
	}{
		"record changed": {nil, func(b []byte) []byte { return bytes.Replace(b, []byte(`"id":"c"`), []byte(`"id":"d"`), 1) }, "record 5 missing, unreadable or changed"},
		"records cut":    {nil, func(b []byte) []byte { return b[:bytes.Index(b, []byte(`{"seq":18,`))] }, "records 18 to 20 missing"},
		"node changed":   {inTree, func(b []byte) []byte { b[2*tlog.HashSize]++; return b }, "does not fit itself"},
		"leaf changed":   {inTree, func(b []byte) []byte { b[0]++; return b }, "does not fit itself"},
		"tree cut":       {inTree, func(b []byte) []byte { return b[:100] }, "incomplete"},
		"head changed": {func(dir string) string { return filepath.Join(dir, headName) },
			func(b []byte) []byte { return bytes.Replace(b, []byte("21"), []byte("19"), 1) }, "signed head"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := written(t, Options{})
			path := newest(t, dir)
			if test.file != nil {
				path = test.file(dir)
			}
			edit(t, path, test.change)
			if r := verify(t, dir); r.OK() || !strings.Contains(r.String(), test.want) {
				t.Errorf("report:\n%v", r)
			}
		})
	}
}

func TestVerifyNeedsALog(t *testing.T) {
	t.Parallel()
	if _, err := Verify(context.Background(), t.TempDir(), nil); err == nil {
		t.Error("an empty folder was verified")
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Verify(ctx, written(t, Options{}), nil); err == nil {
		t.Error("a cancelled verify went on")
	}
}

func TestFirstSegmentTakenAwayIsNamed(t *testing.T) {
	t.Parallel()
	clock := newClock()
	dir := written(t, Options{Now: clock.now, SegmentBytes: 800})
	segs, err := listSegments(dir)
	if err != nil || len(segs) < 3 {
		t.Fatal(len(segs), err)
	}
	if err := os.Remove(segs[0].path); err != nil {
		t.Fatal(err)
	}
	if r := verify(t, dir); r.OK() || !strings.Contains(r.String(), "no record says that they were pruned") {
		t.Errorf("report:\n%v", r)
	}
}
