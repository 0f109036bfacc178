package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"qvmremote/test/figures"
)

// row is one line of the table: a figure beside its limit. One without a limit
// is met.
type row struct {
	what, value, limit string
	met                bool
}

// told is a row that has no limit.
func told(what, value string) row { return row{what, value, "", true} }

// atMost is a row of times of which even the longest has to keep a limit.
func atMost(what string, limit time.Duration, took ...time.Duration) row {
	return row{what, spread(took), "≤ " + ms(limit), len(took) > 0 && slices.Max(took) <= limit}
}

// none is a row of something of which there may be nothing.
func none(what string, n int) row { return row{what, fmt.Sprint(n), "0", n == 0} }

func ms(d time.Duration) string { return fmt.Sprintf("%.0f ms", float64(d.Microseconds())/1000) }

// spread is the median and the worst of several times, or the one there is.
func spread(all []time.Duration) string {
	switch len(all) {
	case 0:
		return "never"
	case 1:
		return ms(all[0])
	}
	sorted := slices.Sorted(slices.Values(all))
	return fmt.Sprintf("%s, worst of %d: %s", ms(sorted[len(sorted)/2]), len(sorted), ms(sorted[len(sorted)-1]))
}

func table(rows []row) string {
	var b strings.Builder
	b.WriteString("| what | measured | limit | met |\n|---|---|---|---|\n")
	for _, r := range rows {
		met := "yes"
		switch {
		case r.limit == "":
			met = ""
		case !r.met:
			met = "**no**"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", r.what, r.value, r.limit, met)
	}
	return b.String()
}

// over are the rows that do not keep their limits.
func over(rows []row) (all []row) {
	for _, r := range rows {
		if !r.met {
			all = append(all, r)
		}
	}
	return all
}

// about is what the table is of. It says nothing that the command does not do.
const about = "What dom0's desktop program, `qvm-remote-admin`, needs of time and memory, and from\n" +
	"the first row that begins with \"qube\" on a qube's, `qvm-remote-gui`. They are\n" +
	"the real programs on a screen that nobody sees (Xvfb, drawn by the processor),\n" +
	"in a build that writes down each frame, from the frame clock's before-paint to\n" +
	"its after-paint, and each key; keys come over X as from a keyboard. An answer is\n" +
	"the time from just before the key is sent to the end of the frame that shows\n" +
	"it. The service is the real one, its executor stopped, in a simulated dom0 of %d\n" +
	"authorised qubes and %s audit records; for the flood of signals it is one\n" +
	"that only tells of records and answers what the program asks. The qube has no\n" +
	"dom0: its history is made before, and what commands write is written into its\n" +
	"queue as dom0 does. Assistive\n" +
	"technology is on, GL off (GDK_DEBUG=gl-disable): without a graphics card it\n" +
	"would be LLVM, compiled in, 44 MiB of it. Not measured: Qubes OS itself, its\n" +
	"window manager, a graphics card, a start with cold caches, and what is between two frames but for what a\n" +
	"key waits for. Whatever else the machine did is in the times; what the main\n" +
	"thread itself worked in a frame stands beside the longest one.\n\n"

func document(o options, text string) string {
	return "## The desktop programs\n\n" + fmt.Sprintf(about, o.qubes, thousands(o.records)) +
		"Machine: " + figures.Machine() + " Load at the end: " + load() + ".\n\n" + text
}

// load is how many threads wanted to run at a time in the last minute, those of
// this command and its programs among them.
func load() string {
	b, err := os.ReadFile("/proc/loadavg")
	minute, _, found := strings.Cut(string(b), " ")
	if err != nil || !found {
		return "unknown"
	}
	return minute
}

// thousands is n with a comma at every third digit.
func thousands(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
