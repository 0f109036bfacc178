//go:build gtk

package ui

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"qvmremote/test/stage"
)

// TestFastOutputIsListedByItsEnd: while more comes than anybody reads, the list
// stays short and shows the last of it; after that, or when one looks at what is
// above, it is all there, once, and what one looks at stays in sight.
func TestFastOutputIsListedByItsEnd(t *testing.T) {
	stage.Enter(t)
	s := NewScope(nil)
	defer s.Close()
	out := NewStream(s, "Output", func() {})
	show(t, out)
	flow := out.Begin()
	written := 0
	write := func(lines int) {
		t.Helper()
		var b strings.Builder
		for range lines {
			fmt.Fprintf(&b, "line %d\n", written)
			written++
		}
		_, err := flow.Stdout().Write([]byte(b.String()))
		if err != nil {
			t.Fatal(err)
		}
		stage.Until(t, "all of it counts", func() bool { return out.Len() == written })
		stage.Until(t, "the last line is in sight", func() bool { return inSight(out, written-1) })
	}
	write(2 * rowsMade)
	for range 5 {
		write(1000)
	}
	if rows := out.rows.Len(); rows == written {
		t.Errorf("all %d lines are listed in the midst of it", rows)
	}
	stage.Until(t, "all lines are listed", func() bool { return out.rows.Len() == written })
	stage.Until(t, "the last line is still in sight", func() bool { return inSight(out, written-1) })

	write(1000)
	at, top := out.VAdjustment(), out.first
	if top == 0 {
		t.Fatal("all lines were listed in the midst of it")
	}
	for _, more := range []string{"", strings.Repeat("more\n", 1000)} {
		height := at.Upper()
		if more == "" {
			at.SetValue(0)
		} else if _, err := flow.Stdout().Write([]byte(more)); err != nil {
			t.Fatal(err)
		}
		stage.Until(t, "the list is higher", func() bool { return at.Upper() > height })
		if rows, want := out.rows.Len(), written+strings.Count(more, "\n"); rows != want {
			t.Errorf("%d of %d lines are listed", rows, want)
		}
		if !inSight(out, top) || inSight(out, 0) {
			t.Errorf("what was looked at, line %d, is not in sight any more: the list is at %v", top, at.Value())
		}
	}
	at.SetValue(0)
	stage.Until(t, "the first line is in sight", func() bool { return inSight(out, 0) })
}

// inSight reports whether the row of that line is within the list's window and
// shows it, and no other row does.
func inSight(out *Stream, line int) bool {
	var shows []float64
	for _, row := range out.bound {
		if int(row.item.Position()) < out.rows.Len() && row.text.Text() == fmt.Sprintf("line %d", line) && row.text.Mapped() {
			_, y, _ := row.text.TranslateCoordinates(out, 0, 0)
			shows = append(shows, y)
		}
	}
	return len(shows) == 1 && !slices.ContainsFunc(shows, func(y float64) bool { return y < -1 || y > float64(out.Height()) })
}
