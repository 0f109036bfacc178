package pieces

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// all are the pieces of a flow, each asked for by itself, as a list does.
func all(f *Flow) []Piece {
	n, _, _ := f.Take()
	list := make([]Piece, n)
	for i := range list {
		list[i] = f.Piece(i)
	}
	return list
}

// TestHoweverItComesItIsTheSame: in one go or byte by byte, also where a write ends
// within a character or at the end of a line.
func TestHoweverItComesItIsTheSame(t *testing.T) {
	t.Parallel()
	lines := rapid.SampledFrom([]string{"", "plain", "a\tb", "\x1b[31mred", "wörter", "\xff\xfe", `back\slash`, strings.Repeat("long ", 500), strings.Repeat("ü", 900)})
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOfN(lines, 1, 20).Draw(t, "lines"), "\n")
		whole, parts := NewFlow(nil), NewFlow(nil)
		_, _ = whole.Stdout().Write([]byte(text))
		for rest := []byte(text); len(rest) > 0; {
			n := min(rapid.IntRange(1, 2000).Draw(t, "bytes"), len(rest))
			_, _ = parts.Stdout().Write(rest[:n])
			rest = rest[n:]
		}
		join := func(f *Flow) string {
			var b strings.Builder
			for _, p := range all(f) {
				if p.Err || len([]rune(p.Text)) > Length {
					t.Fatalf("a piece is %+v", p)
				}
				b.WriteString(p.Text)
			}
			return b.String()
		}
		if a, b := join(whole), join(parts); a != b {
			t.Fatalf("in one go it is %q, in parts %q", a, b)
		}
	})
}

// TestManyPiecesStayInTheirOrder, each found where it is.
func TestManyPiecesStayInTheirOrder(t *testing.T) {
	t.Parallel()
	f := NewFlow(nil)
	const lines = 3*block + 7
	var want []Piece
	for i := range lines {
		text := fmt.Sprintf("line %d", i)
		to := f.Stdout()
		if i%3 == 0 {
			to = f.Stderr()
		}
		fmt.Fprintln(to, text)
		want = append(want, Piece{text, i%3 == 0})
	}
	if got := all(f); !slices.Equal(got, want) {
		t.Errorf("%d pieces are not what was written: %d", len(got), len(want))
	}
	for _, i := range []int{0, block - 1, block, 2*block + 1, lines - 1} {
		found, whole := f.Search(strings.ToUpper(want[i].Text), lines, func() bool { return false })
		if !whole || len(found) == 0 || !slices.Contains(found, i) {
			t.Errorf("%q is found in %v", want[i].Text, found)
		}
	}
	if found, whole := f.Search("line", block+5, func() bool { return false }); whole || len(found) != block+5 || found[block] != block {
		t.Errorf("of all %d are found, whole %t", len(found), whole)
	}
	if text, whole := f.Text(1 << 20); !whole || strings.Count(text, "\n") != lines || !strings.HasSuffix(text, want[lines-1].Text+"\n") {
		t.Errorf("as text it ends with %q", text[max(0, len(text)-40):])
	}
	if p := f.Piece(lines); p != (Piece{}) {
		t.Errorf("beyond the end there is %+v", p)
	}
}

// TestALineThatHasNotEndedStaysInItsRow, whatever comes of the other stream.
func TestALineThatHasNotEndedStaysInItsRow(t *testing.T) {
	t.Parallel()
	f := NewFlow(nil)
	for range block - 1 {
		fmt.Fprintln(f.Stdout(), "x")
	}
	fmt.Fprint(f.Stdout(), "be")
	fmt.Fprintln(f.Stderr(), "other")
	f.Take()
	fmt.Fprint(f.Stdout(), "gun")
	n, changed, _ := f.Take()
	if n != block+1 || !slices.Equal(changed, []int{block - 1}) || f.Piece(block-1) != (Piece{Text: "begun"}) || f.Piece(block) != (Piece{"other", true}) {
		t.Errorf("%d pieces, %v changed: %+v, %+v", n, changed, f.Piece(block-1), f.Piece(block))
	}
}

func BenchmarkFlow(b *testing.B) {
	chunk := []byte(strings.Repeat(strings.Repeat("x", 79)+"\n", 800))
	b.SetBytes(int64(len(chunk)))
	f := NewFlow(nil)
	for n := 0; b.Loop(); n++ {
		if n%200 == 0 { // before it is full
			f = NewFlow(nil)
		}
		_, _ = f.Stdout().Write(chunk)
	}
}
