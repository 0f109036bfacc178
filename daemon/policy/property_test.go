package policy

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestQuotesAreTakenOff: words that were quoted in whatever way are found again
// as they were.
func TestQuotesAreTakenOff(t *testing.T) {
	t.Parallel()
	a := newAnalyser()
	rapid.Check(t, func(t *rapid.T) {
		words := []string{"cmd"}
		line := "cmd"
		for _, w := range rapid.SliceOfN(rapid.StringMatching(`[ -~\t\n]{0,12}`), 0, 5).Draw(t, "words") {
			words = append(words, w)
			line += " " + quoted(t, w)
		}
		end := rapid.SampledFrom([]string{"", "\n", " # it's \"a\" comment $x", " 2>&1", ";", " </dev/null"}).Draw(t, "end")
		got, o := a.plain([]byte(line + end))
		if o != nil || len(got) != 1 || !slices.Equal(got[0], words) {
			t.Fatalf("%q is read as %q, %v; it is %q", line+end, got, o, words)
		}
	})
}

// quoted writes w as a shell reads it, each piece in a way of its own.
func quoted(t *rapid.T, w string) string {
	if w == "" {
		return rapid.SampledFrom([]string{"''", `""`}).Draw(t, "nothing")
	}
	var b strings.Builder
	for i := range len(w) {
		c := w[i : i+1]
		way := rapid.IntRange(0, 3).Draw(t, "way")
		switch {
		case way == 0 && bare(w[i]):
			b.WriteString(c)
		case way == 1 && c != "\n" && c != "\t":
			b.WriteString(`\` + c)
		case way == 2 && c != "'":
			b.WriteString("'" + c + "'")
		default:
			b.WriteString(`"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "$", `\$`, "`", "\\`").Replace(c) + `"`)
		}
	}
	return b.String()
}

// TestMoreCommandsNeverGetMore: a request with one more command gets no milder
// answer than without it.
func TestMoreCommandsNeverGetMore(t *testing.T) {
	t.Parallel()
	p := parse(t, "deny d **\nallow a **\nask b *\nallow b x y\nask script\n")
	severity := map[Verdict]int{Allow: 0, Ask: 1, Deny: 2}
	command := rapid.SampledFrom([]string{"a", "a b", "b x", "b x y", "b", "d", "c", "a $x", "b -f", "eval a"})
	rapid.Check(t, func(t *rapid.T) {
		list := rapid.SliceOfN(command, 2, 6).Draw(t, "commands")
		sep := rapid.SampledFrom([]string{";", "\n", " && ", " || ", " | "}).Draw(t, "separator")
		all := p.Decide([]byte(strings.Join(list, sep)))
		for _, c := range list {
			one := p.Decide([]byte(c))
			_, o := p.analyser.plain([]byte(strings.Join(list, sep)))
			if o == nil && severity[all.Verdict] < severity[one.Verdict] || all.Verdict == Allow && one.Verdict != Allow {
				t.Fatalf("%q: %v, of which %q: %v", list, all, c, one)
			}
		}
	})
}

// FuzzParse: no text is a policy and an error both, an error has a place in the
// text, and what is read decides the same again when its rules are written out.
func FuzzParse(f *testing.F) {
	f.Add("allow qvm-ls **\nask a{b,c*}d 1..9 '' \"x y\" # z\ndeny script\nlimit requests 3/min\n", "qvm-ls a")
	f.Add("allow sha256:0000000000000000000000000000000000000000000000000000000000000000\ninclude x\n", "a bd 3 '' 'x y'")
	f.Add("deny ***\nallow {a\n", "a\nb")
	f.Fuzz(func(t *testing.T, text, script string) {
		p, err := Parse("f", []byte(text), func(string) ([]byte, error) { return []byte("ask x\n"), nil })
		var e *Error
		if err != nil {
			if p != nil || !errors.As(err, &e) || e.Line > strings.Count(text, "\n")+1 || e.Line > 0 && e.Column < 1 {
				t.Fatalf("%q: %v, %v", text, p, err)
			}
			return
		}
		var again strings.Builder
		for _, r := range p.rules {
			again.WriteString(r.text + "\n")
		}
		q, err := Parse("f", []byte(again.String()), nil)
		if err != nil {
			t.Fatalf("%q, from %q: %v", again.String(), text, err)
		}
		d, second, why := p.Decide([]byte(script)), q.Decide([]byte(script)), p.Explain([]byte(script))
		if d.Verdict != second.Verdict || d.Reason != second.Reason || why.Decision != d {
			t.Fatalf("%q, %q: %v, again %v, explained %v", text, script, d, second, why.Decision)
		}
	})
}
