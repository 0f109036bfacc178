// Command bench measures what the desktop programs promise about speed and
// memory, on a screen of their own and a simulated dom0, prints a table and
// writes its part of docs/benchmarks.md.
//
// It guarantees that every figure was taken in that run, of the real program
// built with the tag frames, and stands beside its limit; and that it ends with
// an error where one was over.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"qvmremote/test/figures"
)

// limit bounds the whole; the log of a million records takes a minute of it,
// and compiling the bindings, where that was not done yet, seven.
const limit = 30 * time.Minute

type options struct {
	qubes, records, starts, past int
	only, out                    string
}

func main() {
	var o options
	flag.IntVar(&o.qubes, "qubes", 50, "how many qubes are authorised")
	flag.IntVar(&o.records, "records", 1_000_000, "how many records the audit log has")
	flag.IntVar(&o.past, "past", 100_000, "how many commands the history of a qube has")
	flag.IntVar(&o.starts, "starts", 7, "how often the program is started for the times of a start")
	flag.StringVar(&o.only, "only", "", "measure only the groups named so, comma between, and write nothing")
	flag.StringVar(&o.out, "o", figures.Document, "file to write the table into; \"-\" for none")
	flag.Parse()
	if err := measure(o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

var groups = []struct {
	name string
	run  func(context.Context, *lab) ([]row, error)
}{
	{"build", buildRows},
	{"start", startRows},
	{"million", millionRows},
	{"idle", idleRows},
	{"flood", floodRows},
	{"qube", qubeRows},
	{"output", outputRows},
}

func measure(o options) error {
	ctx, stop := context.WithTimeout(context.Background(), limit)
	defer stop()
	l, err := newLab(ctx, o)
	if err != nil {
		return err
	}
	defer l.close()
	var rows []row
	for _, g := range groups {
		if o.only != "" && !slices.Contains(strings.Split(o.only, ","), g.name) {
			continue
		}
		fmt.Fprintln(os.Stderr, "measuring:", g.name)
		r, err := caught(func() ([]row, error) { return g.run(ctx, l) })
		if err != nil {
			return fmt.Errorf("%s: %w", g.name, err)
		}
		rows = append(rows, r...)
	}
	text := table(rows)
	fmt.Print(text)
	if o.out != "-" && o.only == "" {
		if err := figures.Write(o.out, "make bench-gui", document(o, text)); err != nil {
			return err
		}
	}
	if bad := over(rows); len(bad) > 0 {
		return fmt.Errorf("%d of %d figures are over their limits", len(bad), len(rows))
	}
	return nil
}
