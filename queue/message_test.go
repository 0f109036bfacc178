package queue

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// payloads holds one full value of each message and a constructor of an empty
// one, in a fixed order: the fuzz corpus names them by number.
var payloads = []struct {
	full Message
	zero func() Message
}{
	{&Hello{"2.0.0", "work", 1795444952}, func() Message { return new(Hello) }},
	{&Wait{7, 60000}, func() Message { return new(Wait) }},
	{&Names{8, []string{"a", "b"}, []string{"c"}}, func() Message { return new(Names) }},
	{&Fetch{"a", PartBody, 1 << 18}, func() Message { return new(Fetch) }},
	{&Data{5, []byte("hello")}, func() Message { return new(Data) }},
	{&SetState{"a", WordApproval}, func() Message { return new(SetState) }},
	{&Write{"a", Stderr, 9, []byte("x\x00\n")}, func() Message { return new(Write) }},
	{&Finish{"a", 1, 2, []byte("id=a\n"), []byte("auth"), "255", nil, "log"}, func() Message { return new(Finish) }},
	{&Deny{"a", nil, []byte("no-key\n"), "log"}, func() Message { return new(Deny) }},
	{&List{}, func() Message { return new(List) }},
	{&Entries{[]Entry{{FolderRunning, "a", 7, 3, "queued"}, {FolderResults, "b.exit", 1, 4, ""}}, 2}, func() Message { return new(Entries) }},
	{&Clean{FolderPending, "a.auth"}, func() Message { return new(Clean) }},
	{&Done{}, func() Message { return new(Done) }},
	{&Failure{CodeGone, "no such file"}, func() Message { return new(Failure) }},
}

func same(a, b Message) string { return cmp.Diff(a, b, cmpopts.EquateEmpty()) }

func TestPayloadsRoundTrip(t *testing.T) {
	t.Parallel()
	for _, p := range payloads {
		b := Marshal(p.full)
		got := p.zero()
		if err := Unmarshal(b, got); err != nil || same(p.full, got) != "" {
			t.Errorf("%T: %v\n%s", p.full, err, same(p.full, got))
		}
		// A value that was used before holds nothing of what it held.
		if err := Unmarshal(b, got); err != nil || same(p.full, got) != "" {
			t.Errorf("%T, read twice: %v\n%s", p.full, err, same(p.full, got))
		}
		for n := range len(b) {
			if err := Unmarshal(b[:n], p.zero()); !errors.Is(err, ErrFrame) {
				t.Errorf("%T cut after %d of %d bytes: %v", p.full, n, len(b), err)
			}
		}
		if err := Unmarshal(append(bytes.Clone(b), 0), p.zero()); !errors.Is(err, ErrFrame) {
			t.Errorf("%T with a byte left over: %v", p.full, err)
		}
	}
}

func many(n int, id string) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = id
	}
	return list
}

func TestPayloadBounds(t *testing.T) {
	t.Parallel()
	longest := strings.Repeat("x", MaxID)
	full := &Entries{List: make([]Entry, MaxNames)}
	for i := range full.List {
		full.List[i] = Entry{FolderResults, longest + Denied, 1, 1, strings.Repeat("w", 64)}
	}
	ok := []Message{
		&Names{1, many(MaxNames, longest), nil}, &Names{1, many(500, longest), many(500, longest)}, &Names{}, full,
		&Data{1, make([]byte, Chunk)}, &Write{longest, Stdout, 1 << 40, make([]byte, Chunk)}, &Wait{0, 0},
		&Finish{ID: "a", Denied: make([]byte, MaxDenied), Meta: make([]byte, MaxHeader), Auth: make([]byte, MaxHeader), Log: strings.Repeat("l", MaxHeader)},
		&Finish{ID: "a", Exit: "0"}, &Deny{ID: "a", Denied: []byte("x"), Auth: make([]byte, MaxHeader)},
		&Failure{99, strings.Repeat("x", MaxHeader)}, &Clean{FolderPending, "a.cmd"}, &Hello{},
	}
	for _, m := range ok {
		b := Marshal(m)
		if err := Unmarshal(b, m); err != nil || len(b) > MaxPayload {
			t.Errorf("%T of %d bytes: %v", m, len(b), err)
		}
	}
	bad := []Message{
		&Names{1, many(MaxNames+1, "a"), nil}, &Names{1, many(600, "a"), many(401, "b")}, &Names{1, []string{"../a"}, nil},
		&Names{1, nil, []string{"a.auth"}}, &Names{1, []string{longest + "x"}, nil}, &Names{1, []string{""}, nil}, &Names{Number: -1},
		&Wait{0, 60001}, &Wait{-1, 0}, &Wait{0, -1}, &Hello{Version: strings.Repeat("v", 65)}, &Hello{Qube: strings.Repeat("q", 65)}, &Hello{Time: -1},
		&Fetch{"", PartBody, 0}, &Fetch{"a/b", PartBody, 0}, &Fetch{"a", 0, 0}, &Fetch{"a", 5, 0}, &Fetch{"a", PartBody, -1},
		&Data{1, make([]byte, Chunk+1)}, &Data{-1, nil}, &SetState{"a", "done"}, &SetState{"a", ""}, &SetState{"..", WordQueued},
		&Write{"a", 0, 0, nil}, &Write{"a", 3, 0, nil}, &Write{"a", Stdout, -1, nil}, &Write{"a", Stdout, 0, make([]byte, Chunk+1)}, &Write{"", Stdout, 0, nil},
		&Finish{ID: "a"}, &Finish{ID: "a", Exit: "0", Denied: []byte("x")}, &Finish{ID: "a", Exit: "1000"}, &Finish{ID: "a", Exit: "256"},
		&Finish{ID: "a", Exit: "-1"}, &Finish{ID: "a", Exit: "07"}, &Finish{ID: "a", Exit: "x"}, &Finish{ID: "a", Exit: " 1"}, &Finish{Exit: "0"},
		&Finish{ID: "a", Exit: "0", Meta: make([]byte, MaxHeader+1)}, &Finish{ID: "a", Exit: "0", Auth: make([]byte, MaxHeader+1)},
		&Finish{ID: "a", Exit: "0", Log: strings.Repeat("l", MaxHeader+1)}, &Finish{ID: "a", Denied: make([]byte, MaxDenied+1)},
		&Finish{ID: "a", Exit: "0", OutSize: -1}, &Deny{ID: "a"}, &Deny{ID: "a", Denied: make([]byte, MaxDenied+1)}, &Deny{Denied: []byte("x")},
		&Deny{ID: "a", Denied: []byte("x"), Auth: make([]byte, MaxHeader+1)}, &Deny{ID: "a", Denied: []byte("x"), Log: strings.Repeat("l", MaxHeader+1)},
		&Entries{List: make([]Entry, MaxNames+1)}, &Entries{List: []Entry{{Folder: "history", Name: "a"}}}, &Entries{List: []Entry{{Folder: FolderRunning, Name: "a.auth"}}},
		&Entries{List: []Entry{{FolderRunning, "a", 1, 1, strings.Repeat("w", 65)}}}, &Entries{List: []Entry{{FolderRunning, "a", -1, 1, ""}}}, &Entries{More: -1},
		&Clean{"..", "a"}, &Clean{"", "a"}, &Clean{FolderResults, "a"}, &Clean{FolderPending, ".x.tmp"}, &Failure{1, strings.Repeat("x", MaxHeader+1)}, &Failure{-1, ""},
	}
	for i, m := range bad {
		if err := Unmarshal(Marshal(m), m); !errors.Is(err, ErrFrame) {
			t.Errorf("%d: %T %.80v was taken: %v", i, m, m, err)
		}
	}
}

// A count or length that the payload cannot hold costs nothing.
func TestPayloadLengthsCostNothing(t *testing.T) {
	huge := bytes.Repeat([]byte{0x7f, 0xff, 0xff, 0xff}, 8)
	negative := bytes.Repeat([]byte{0xff}, 32)
	second := append(make([]byte, 8), negative...)
	for _, p := range payloads {
		for _, b := range [][]byte{huge, negative, second} {
			m := p.zero()
			var err error
			if cost := allocated(func() { err = Unmarshal(b, m) }); !errors.Is(err, ErrFrame) || cost > 64<<10 {
				t.Errorf("%T from %x…: %v, at the cost of %d bytes", m, b[:12], err, cost)
			}
		}
	}
}

func TestValidName(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		folder Folder
		name   string
		want   bool
	}{
		{FolderPending, "a", true}, {FolderPending, "a.auth", true}, {FolderPending, "a.cmd", true}, {FolderPending, "a.in", false},
		{FolderPending, ".auth", false}, {FolderPending, "a.auth.auth", false}, {FolderPending, "a.cmd.auth", false}, {FolderPending, "../a", false},
		{FolderResults, "a.out", true}, {FolderResults, "a.err", true}, {FolderResults, "a.meta", true}, {FolderResults, "a.auth", true},
		{FolderResults, "a.denied", true}, {FolderResults, "a.exit", true}, {FolderResults, "a", false}, {FolderResults, "a.cmd", false},
		{FolderResults, ".exit", false}, {FolderResults, "a/b.exit", false}, {FolderResults, ".1f.tmp", false},
		{FolderRunning, "a", true}, {FolderCancel, "a", true}, {FolderStdin, "a", true}, {FolderRunning, "", false}, {FolderStdin, "..", false},
		{FolderCancel, "a.auth", false}, {"history", "a", false}, {"", "a", false}, {"../pending", "a", false}, {"Pending", "a", false},
	} {
		if got := ValidName(c.folder, c.name); got != c.want {
			t.Errorf("ValidName(%q, %q) = %v", c.folder, c.name, got)
		}
	}
}

func TestFailureOf(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err  error
		want Code
	}{
		{fs.ErrNotExist, CodeGone}, {syscall.ENOENT, CodeGone}, {ErrNotRegular, CodeNotRegular}, {syscall.ENOSPC, CodeFull}, {syscall.EDQUOT, CodeFull},
		{syscall.EROFS, CodeFull}, {syscall.EIO, CodeFailed}, {errors.New(strings.Repeat("x", 5000)), CodeFailed},
	} {
		f := FailureOf(fmt.Errorf("reading: %w", c.err))
		if f.Code != c.want {
			t.Errorf("%v became code %d, want %d", c.err, f.Code, c.want)
		}
		var back Failure
		if err := Unmarshal(Marshal(f), &back); err != nil || back != *f || !strings.Contains(back.Error(), "reading: ") {
			t.Errorf("%v arrived as %v, %v", f, back.Error(), err)
		}
	}
}

// FuzzPayload reads the same bytes as each message in turn. What is taken has
// one spelling and can be trusted to be within the bounds.
func FuzzPayload(f *testing.F) {
	for i, p := range payloads {
		f.Add(uint8(i), Marshal(p.full))
	}
	f.Fuzz(func(t *testing.T, which uint8, b []byte) {
		m := payloads[int(which)%len(payloads)].zero()
		if err := Unmarshal(b, m); err != nil {
			if !errors.Is(err, ErrFrame) {
				t.Errorf("%T: %v", m, err)
			}
			return
		}
		if again := Marshal(m); !bytes.Equal(again, b) {
			t.Errorf("%T: %x is written %x", m, b, again)
		}
		for _, id := range idsIn(m) {
			if !ValidID(id) {
				t.Errorf("%T brought the id %q", m, id)
			}
		}
	})
}

// idsIn returns the ids of a message that name files.
func idsIn(m Message) []string {
	switch m := m.(type) {
	case *Names:
		return append(m.IDs, m.Cancels...)
	case *Fetch:
		return []string{m.ID}
	case *SetState:
		return []string{m.ID}
	case *Write:
		return []string{m.ID}
	case *Finish:
		return []string{m.ID}
	case *Deny:
		return []string{m.ID}
	}
	return nil
}
