package main

import (
	"strings"
	"testing"
)

// TestARowOfTheViewSaysWhoseItIs: a line as wide as the terminal cannot put its
// rest where a line of this program would begin, nor push rows out of sight.
func TestARowOfTheViewSaysWhoseItIs(t *testing.T) {
	t.Parallel()
	const width = 20
	script := strings.Repeat("x", width-len("| ")) + "--- end ---" + strings.Repeat("y", 3*width) + "\nid\n" + strings.Repeat("é", width) + "\n"
	lines := append(escaped([]byte(script)), "--- end ---")
	rows := folded(lines, width)
	whole := ""
	for i, row := range rows {
		if len(row) > width {
			t.Errorf("%q is wider than the terminal", row)
		}
		if last := i == len(rows)-1; !last && !strings.HasPrefix(row, "| ") && !strings.HasPrefix(row, "+ ") || last && row != "--- end ---" {
			t.Errorf("row %d is %q", i, row)
		}
		if rest, goesOn := strings.CutPrefix(row, "+ "); goesOn {
			whole += rest
		} else {
			whole += "\n" + row
		}
	}
	if want := "\n" + strings.Join(lines, "\n"); whole != want {
		t.Errorf("the rows are\n%s\nof\n%s", whole, want)
	}
	for _, width := range []int{0, 1, 3} {
		if got := folded([]string{"abcdefgh"}, width); len(got) == 0 {
			t.Errorf("%d columns: nothing is shown", width)
		}
	}
}
