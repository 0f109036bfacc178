//go:build gtk

package ui

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/diamondburned/gotk4/pkg/gtk/v4"
	"pgregory.net/rapid"

	"qvmremote/queue"
	"qvmremote/test/stage"
	rowcut "qvmremote/ui/pieces"
)

// hostile are texts that somebody may want dom0's user to see as other ones.
var hostile = map[string]string{
	"markup":       `<b>fine</b> & <span size="99999">big</span> &amp; <a href="file:///">here</a>`,
	"half markup":  `<b>`,
	"ANSI":         "\x1b[2J\x1b]0;title\x07done",
	"C1":           "\u009b31mred",
	"bidi":         "safe\u202egnp.exe\u2066x\u2069\u200f",
	"zero width":   "pass\u200bw\u200dord\ufeff\u2060",
	"fillers":      "a\u3164b\u115fc\u2800d",
	"separators":   "one\u2028two\u2029three\vfour\ffive",
	"not UTF-8":    "caf\xe9 \xff\xfe\xc0\xaf \xed\xa0\x80",
	"half a rune":  "snow \xe2\x98",
	"nul":          "before\x00after",
	"combining":    "a" + strings.Repeat("\u0301", 500),
	"tags":         "flag\U000e0067\U000e0062\U000e007f",
	"looks safe":   `\x1b[2J \u{202e} \\`,
	"long":         strings.Repeat("long ", 1<<20/5),
	"long garbage": strings.Repeat("\xff\x1b", 1<<19),
}

// unfit is what may never be in a text that is shown.
func unfit(s string) bool {
	return !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool {
		return r < ' ' || unicode.Is(unicode.Cc, r) || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029' || r == '\u3164' || r == '\u115f'
	})
}

// shows fails unless all labels of what a widget shows are fit to be seen.
func shows(t *testing.T, name string, all []string) {
	t.Helper()
	if len(all) == 0 {
		t.Errorf("%s: nothing is shown", name)
	}
	for _, s := range all {
		if unfit(s) {
			t.Errorf("%s: %.80q is shown as it is", name, s)
		}
	}
}

func TestHostileTextInRows(t *testing.T) {
	stage.Enter(t)
	row, line, chip, pill := NewRow(), NewTimelineRow(), NewChip(), NewPill()
	label := NewLabel("")
	rows := gtk.NewListBox()
	rows.Append(row)
	list := newBoxOf(rows, line, chip, pill, label)
	show(t, list)
	for name, text := range hostile {
		row.Set(text, text)
		told := line.Set(Moment{Time: "12:00", Word: "failed", Tone: "bad", Qube: text, Label: text, Text: text, Command: true})
		chip.Set(text, text)
		pill.Set(text, "no such tone")
		SetText(label, text, 100)
		stage.Settle()
		want := queue.Plain(text, 100)
		if got := label.Text(); got != want {
			t.Errorf("%s: a label shows %q, not %q", name, got, want)
		}
		if got, want := row.Title(), queue.Plain(text, 200); got != want {
			t.Errorf("%s: a row has the title %q, not %q", name, got, want)
		}
		if shown := texts(row); !slices.Contains(shown, queue.Plain(text, 200)) || !slices.Contains(shown, queue.Plain(text, 400)) {
			t.Errorf("%s: a row shows %q", name, shown)
		}
		if shown := texts(line); !slices.Contains(shown, queue.Plain(text, 300)) || !slices.Contains(shown, queue.Plain(text, 64)) {
			t.Errorf("%s: a line of the timeline shows %q", name, shown)
		}
		stage.Name(t, row, queue.Plain(text, 200))
		Name(line, "Cancel: "+text)
		stage.Name(t, line, queue.Plain("Cancel: "+text, 0))
		stage.Description(t, row, queue.Plain(text, 400))
		shows(t, name, texts(list))
		shows(t, name, []string{told})
		if said := stage.Warned(); said != "" {
			t.Errorf("%s: GTK warns:\n%s", name, said)
		}
	}
}

func TestHostileTextAsOutput(t *testing.T) {
	stage.Enter(t)
	scope := NewScope(nil)
	defer scope.Close()
	o := NewOutput(scope, "Output")
	show(t, o)
	for name, text := range hostile {
		for _, text := range []string{text, strings.Repeat(text[:min(len(text), 1000)]+"\n", 300)} {
			o.Set(text)
			stage.Settle()
			shows(t, name, strings.Split(strings.Join(texts(o), "\n"), "\n"))
			if said := stage.Warned(); said != "" {
				t.Errorf("%s: GTK warns:\n%s", name, said)
			}
		}
	}
}

// TestOutputShowsAllOfIt: short text is one label, long text rows, and what was
// shown before is gone.
func TestOutputShowsAllOfIt(t *testing.T) {
	stage.Enter(t)
	scope := NewScope(nil)
	defer scope.Close()
	o := NewOutput(scope, "Output")
	show(t, o)
	o.Set("one\ntwo\t2\n")
	if got := texts(o); !slices.Equal(got, []string{"one\ntwo    2"}) {
		t.Errorf("it shows %q", got)
	}
	o.Set(strings.Repeat("line\n", 5000))
	if n := o.rows.Len(); n != 5000 || o.short.Text() != "" || !o.long.Visible() {
		t.Errorf("of 5000 lines it has %d rows, and %q", n, o.short.Text())
	}
	stage.Until(t, "rows are shown", func() bool { return slices.Contains(texts(o.long), "line") })
	o.SetEscaped(`done\x1b`, true)
	if got := o.short.Text(); got != `done\x1b` || o.rows.Len() != 0 || o.long.Visible() {
		t.Errorf("what is escaped is shown as %q", got)
	}
	o.Set(`done\x1b`)
	if got := o.short.Text(); got != `done\\x1b` {
		t.Errorf("what looks like an escape is shown as %q", got)
	}
}

// TestARowIsNeverAColumnOfCharacters: GTK would try that for each row it shows,
// and nobody could press anything meanwhile.
func TestARowIsNeverAColumnOfCharacters(t *testing.T) {
	stage.Enter(t)
	height := func(text string) int {
		l := newOutputLabel()
		l.SetText(text)
		_, natural, _, _ := l.Measure(gtk.OrientationVertical, -1)
		lowest, _, _, _ := l.Measure(gtk.OrientationHorizontal, -1)
		_, high, _, _ := l.Measure(gtk.OrientationVertical, lowest)
		return max(natural, high)
	}
	if one, row := height("x"), height(strings.Repeat("x", rowcut.Length)); row > one*(rowcut.Length/leastWidth+1) {
		t.Errorf("a row may be %d pixels high, a line %d", row, one)
	}
}

// pieceText draws text of the kinds that are hard to cut.
func pieceText(t *rapid.T) string {
	part := rapid.OneOf(
		rapid.StringMatching(`[a-z \t]{0,30}`),
		rapid.SampledFrom([]string{"\n", "\r\n", "\n\n", "\\", `\x1b`, `\u{202e}`, `\\`, "\x1b", "\u202e", "\xff", "\xe2\x98", "é", "😀", "x41", "\x00"}),
		rapid.Custom(func(t *rapid.T) string {
			unit := rapid.SampledFrom([]string{"x", "\x1b", `\`, `\x1b`, "é", "\xff", "\u202e"}).Draw(t, "unit")
			return strings.Repeat(unit, rapid.IntRange(rowcut.Length/8, rowcut.Length+2).Draw(t, "times"))
		}))
	return strings.Join(rapid.SliceOfN(part, 0, 12).Draw(t, "parts"), "")
}

// lines are what is to be shown of text: each line whole.
func lines(text string, show func(string, int) string) []string {
	var all []string
	for l := range strings.Lines(text) {
		all = append(all, show(strings.ReplaceAll(strings.TrimSuffix(l, "\n"), "\t", "    "), 0))
	}
	return all
}

var escape = regexp.MustCompile(`\\(\\|x[0-9a-f]{2}|u\{[0-9a-f]+\})`)

// TestPiecesAreTheWholeText: put together they are the lines of the text as they
// are shown whole, none is longer than a row may be, and none ends in a rune or
// an escape.
func TestPiecesAreTheWholeText(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text, escaped := pieceText(t), rapid.Bool().Draw(t, "escaped")
		show := queue.Escape
		if escaped {
			show = queue.Plain
		}
		rest := Pieces(text, escaped)
		for _, line := range lines(text, show) {
			whole := ""
			for first := true; first || len(whole) < len(line); first = false {
				if len(rest) == 0 {
					t.Fatalf("the end is missing after %q of %q", whole, line)
				}
				whole, rest = whole+rest[0], rest[1:]
				for _, e := range escape.FindAllStringIndex(line, -1) {
					if e[0] < len(whole) && len(whole) < e[1] {
						t.Fatalf("a piece ends inside of the escape %q", line[e[0]:e[1]])
					}
				}
			}
			if whole != line {
				t.Fatalf("together they are %q, not %q", whole, line)
			}
		}
		if len(rest) > 0 {
			t.Fatalf("there is more: %q", rest)
		}
		for _, p := range Pieces(text, escaped) {
			if n := utf8.RuneCountInString(p); n > rowcut.Length || unfit(p) {
				t.Fatalf("a piece of %d characters: %q", n, p)
			}
		}
	})
}

// TestNoByteIsHidden: not even one that ends lines elsewhere.
func TestNoByteIsHidden(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{"a\r\nb\r": `a\x0d|b\x0d`, "\r\n": `\x0d`, "a\r\r\n": `a\x0d\x0d`} {
		for _, escaped := range []bool{false, true} {
			if got := strings.Join(Pieces(text, escaped), "|"); got != want {
				t.Errorf("%q (%v) is shown as %s", text, escaped, got)
			}
		}
	}
}

// TestThereIsAnEndToPieces: of text without end the beginning is shown, and that
// there is more.
func TestThereIsAnEndToPieces(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		text string
		want int
		last string
	}{
		"nothing":        {"", 0, ""},
		"one line":       {"a", 1, "a"},
		"empty lines":    {"\n\n", 2, ""},
		"just enough":    {strings.Repeat("a\n", maxPieces), maxPieces, "a"},
		"too many lines": {strings.Repeat("a\n", maxPieces+1), maxPieces + 1, "…"},
		"too long":       {strings.Repeat("a", (maxPieces+1)*rowcut.Length), maxPieces + 1, "…"},
	} {
		got := Pieces(c.text, false)
		if len(got) != c.want || len(got) > 0 && got[len(got)-1] != c.last {
			t.Errorf("%s: %d pieces, not %d", name, len(got), c.want)
		}
	}
}

// TestTonesReplaceEachOther: what was bad and is good is good alone.
func TestTonesReplaceEachOther(t *testing.T) {
	stage.Enter(t)
	p := NewPill()
	for _, tone := range append(slices.Clone(tones), "", "no such") {
		p.Set("word", tone)
		for _, other := range tones {
			if p.HasCSSClass(other) != (other == tone) {
				t.Errorf("after %q the class %s is %t", tone, other, p.HasCSSClass(other))
			}
		}
	}
	if p.Set("", "bad"); p.Visible() {
		t.Error("a pill without a word is shown")
	}
}

// TestExactHidesNothing: a tab is an escape as well, and that something is left
// out is told.
func TestExactHidesNothing(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text  string
		max   int
		want  string
		whole bool
	}{
		{"", 1, "", true},
		{"a\tb\n", 1, `a\x09b`, true},
		{"a\u202eb\n\n", 2, `a\u{202e}b|`, true},
		{"a\nb\nc", 2, "a|b", false},
	} {
		pieces, whole := Exact(c.text, c.max)
		if got := strings.Join(pieces, "|"); got != c.want || whole != c.whole {
			t.Errorf("%q: %q, whole is %v", c.text, got, whole)
		}
	}
}

// TestFarRows: a row that cannot be seen keeps its room and its name, and shows
// what it was told meanwhile once it is near.
func TestFarRows(t *testing.T) {
	stage.Enter(t)
	moments := map[string]Moment{
		"a command": {Time: "12:00", Icon: "qr-done-symbolic", Tone: "good", Word: "done", Qube: "work", Label: "blue", Text: "uptime", Command: true},
		"of dom0":   {Time: "12:00", Icon: "qr-done-symbolic", Word: "started", Text: "the service began"},
		"of a day":  {Day: "Today", Time: "12:00", Icon: "qr-done-symbolic", Tone: "bad", Word: "failed", Qube: "work", Label: "red", Text: "false", Command: true},
	}
	for name, m := range moments {
		for _, narrow := range []bool{false, true} {
			line := NewTimelineRow()
			line.Narrow(narrow)
			show(t, newBoxOf(line))
			line.Set(m)
			near := said(line)
			_, height, _, _ := line.Measure(gtk.OrientationVertical, -1)
			line.Far(true)
			if shown := said(line); !slices.Equal(shown, near) {
				t.Errorf("%s, narrow %v: on the screen it shows %q when it is called far, not %q", name, narrow, shown, near)
			}
			line.SetChildVisible(false) // as a list does with what is out of sight
			line.Far(true)
			if _, far, _, _ := line.Measure(gtk.OrientationVertical, -1); far != height {
				t.Errorf("%s, narrow %v: far it is %d px high, near %d", name, narrow, far, height)
			}
			line.Set(Moment{})
			line.Set(m)
			if shown := said(line); slices.Contains(shown, m.Word) {
				t.Errorf("%s, narrow %v: far it shows %q", name, narrow, shown)
			}
			line.SetChildVisible(true)
			if shown := said(line); !slices.Equal(shown, near) {
				t.Errorf("%s, narrow %v: near again it shows %q, not %q", name, narrow, shown, near)
			}
		}
	}
}

// said is what the labels say that are there.
func said(w gtk.Widgetter) (all []string) {
	for _, l := range each[*gtk.Label](w) {
		if l.Visible() && l.Text() != "" {
			all = append(all, l.Text())
		}
	}
	return all
}
