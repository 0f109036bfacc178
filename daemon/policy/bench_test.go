package policy

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
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
	began := cpu()
	for b.Loop() {
		p.Decide(script)
	}
	// What others do on the machine is in ns/op, not in this.
	b.ReportMetric(float64(cpu()-began)/float64(b.N), "cpu-ns/op")
}

// cpu is the time that this process has worked.
func cpu() time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
