package policy

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// hundredRules and fiftyLines are what the limit of 100 µs is about:
// every command matches late.
func hundredRules() string {
	var b strings.Builder
	for i := range 98 {
		fmt.Fprintf(&b, "allow qvm-prefs qube-%d {memory,maxmem} 256..%d\n", i, 1000+i)
	}
	b.WriteString("deny qvm-remove **\nallow qvm-* {work,personal} *\n")
	return b.String()
}

func fiftyLines() string {
	var b strings.Builder
	for i := range 50 {
		fmt.Fprintf(&b, "qvm-prefs 'personal' \"property-%d\"\n", i)
	}
	return b.String()
}

func BenchmarkDecide(b *testing.B) {
	p, err := Parse("work.policy", []byte(hundredRules()), nil)
	if err != nil {
		b.Fatal(err)
	}
	script := []byte(fiftyLines())
	if d := p.Decide(script); d.Verdict != Allow {
		b.Fatalf("%+v", d)
	}
	b.ReportAllocs()
	var took []time.Duration
	for b.Loop() {
		began := time.Now()
		p.Decide(script)
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	// Half of them are not held up by what else the machine does.
	b.ReportMetric(float64(took[len(took)/2].Nanoseconds()), "p50-ns")
}

// BenchmarkHostile is the largest of what may be plain commands, and what makes
// the scanner, the parser and wildcards work most.
func BenchmarkHostile(b *testing.B) {
	for name, script := range map[string]string{
		"1MiB":      strings.Repeat("echo a|", 150_000) + "echo",
		"commands":  strings.Repeat("qvm-prefs personal aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n", maxCommands-1),
		"pipes":     strings.Repeat("qvm-prefs personal aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa|", maxCommands-1) + "a",
		"words":     "qvm-prefs" + strings.Repeat(" a", maxPlain/2-10),
		"quotes":    "qvm-prefs" + strings.Repeat(` ""`, maxPlain/3-10),
		"wildcards": strings.Repeat("w "+strings.Repeat("a", maxMatched-2)+"\n", maxPlain/(maxMatched+1)),
		"parens":    strings.Repeat("(", maxPlain),
	} {
		b.Run(name, func(b *testing.B) {
			p, err := Parse("f", []byte(hundredRules()+strings.Repeat("allow w *a*a*b\n", 100)+"ask **\n"), nil)
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				p.Decide([]byte(script))
			}
		})
	}
}
