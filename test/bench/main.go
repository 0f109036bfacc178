// Command bench measures what the project promises about speed and size, on
// the simulator, prints a table and writes its part of docs/benchmarks.md.
//
// It guarantees that every figure it writes was taken in that run, by the real
// programs, and that times stand beside a ratio that means something on
// another machine. It decides nothing: a target that was missed is written as
// missed.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"

	"qvmremote/daemon/run"
	"qvmremote/test/figures"
)

func main() {
	run.Supervise()
	if len(os.Args) > 1 && os.Args[1] == inside {
		os.Exit(insideQube(os.Args[2:]))
	}
	only := flag.String("only", "", "measure only the groups named so, comma between")
	out := flag.String("o", figures.Document, "file to write; \"-\" writes none")
	flag.Parse()
	if err := measure(*only, *out); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// row is one line of the table.
type row struct {
	what   string
	value  string
	ratio  string
	target string
	met    bool
}

type group struct {
	name string
	run  func(context.Context, *lab) ([]row, error)
}

var groups = []group{
	{"build", buildRows},
	{"policy", policyRows},
	{"round", roundRows},
	{"idle", idleRows},
	{"many", manyRows},
	{"fair", fairRows},
	{"fleet", fleetRows},
	{"poll", pollRows},
	{"mixed", mixedRows},
	{"audit", auditRows},
	{"query", queryRows},
	{"bus", busRows},
	{"crowd", crowdRows},
	{"silence", silenceRows},
	{"history", historyRows},
}

func measure(only, out string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Minute)
	defer cancel()
	l, err := newLab(ctx)
	if err != nil {
		return err
	}
	defer l.close()
	var rows []row
	for _, g := range groups {
		if only != "" && !strings.Contains(","+only+",", ","+g.name+",") {
			continue
		}
		fmt.Fprintln(os.Stderr, "measuring:", g.name)
		r, err := g.run(ctx, l)
		if err != nil {
			return fmt.Errorf("%s: %w", g.name, err)
		}
		rows = append(rows, r...)
	}
	text := table(rows)
	fmt.Print(text)
	if out == "-" || only != "" {
		return nil
	}
	return figures.Write(out, "make bench", document(text))
}

func table(rows []row) string {
	var b strings.Builder
	b.WriteString("| what | measured | ratio | target | met |\n|---|---|---|---|---|\n")
	for _, r := range rows {
		met := "yes"
		if !r.met {
			met = "**no**"
		}
		if r.target == "" {
			met = ""
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", r.what, r.value, r.ratio, r.target, met)
	}
	return b.String()
}

const about = "Taken on the simulator (`test/sim`), not on a Qubes OS machine: it has neither\n" +
	"Xen nor the Python of the real `qvm-run`. Compare the ratios, not the times.\n\n"

func document(text string) string {
	return "## The service and the client\n\n" + about + "Machine: " + figures.Machine() + "\n\n" + text
}
