package audit

import (
	"bufio"
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// formats are what [Export] can write.
var formats = []string{"jsonl", "csv", "text"}

// Export writes all records to w: "jsonl" the lines as they are, "csv" a table
// with a heading, "text" a line for people. Nothing unprintable is written, and
// no cell of the table can be taken for a formula.
func Export(ctx context.Context, dir string, w io.Writer, format string) error {
	out := bufio.NewWriter(w)
	var write func(Record, []byte) error
	table := csv.NewWriter(out)
	switch format {
	case "jsonl":
		write = func(_ Record, line []byte) error {
			_, err := out.Write(append(escapeUnprintable(line), '\n'))
			return err
		}
	case "csv":
		if err := table.Write(columns); err != nil {
			return err
		}
		write = func(r Record, _ []byte) error { return table.Write(cells(r)) }
	case "text":
		write = func(r Record, _ []byte) error {
			_, err := fmt.Fprintln(out, Text(r))
			return err
		}
	default:
		return fmt.Errorf("%q is not a format; use one of %s", format, strings.Join(formats, ", "))
	}
	if err := Read(ctx, dir, 0, write); err != nil {
		return err
	}
	table.Flush()
	if err := table.Error(); err != nil {
		return fmt.Errorf("cannot write the export: %w", err)
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("cannot write the export: %w", err)
	}
	return nil
}

var columns = []string{
	"seq", "time", "event", "qube", "id", "number", "kind", "state", "reason", "exit",
	"started_at", "duration_ms", "timeout", "key", "floor", "count", "who", "way",
	"request", "body", "stdin", "out", "err", "checkpoint", "command", "detail",
}

// fields gives the values of the columns as they are.
func fields(r Record) []string {
	return []string{
		strconv.FormatInt(r.Seq, 10), r.Time.Format(time.RFC3339Nano), string(r.Event), r.Qube, r.ID,
		number(r.Number), r.Kind, string(r.State), r.Reason, exitText(r),
		number(r.StartedAt), number(r.Duration), number(r.Timeout), r.Key, number(r.Floor), number(r.Count), r.Who, r.Way,
		r.Request, r.Body, r.Stdin, r.Out, r.Err, r.Checkpoint, r.Command, r.Detail,
	}
}

func cells(r Record) []string {
	out := fields(r)
	for i, s := range out {
		out[i] = cell(s)
	}
	return out
}

// cell quotes what a terminal or a spreadsheet would act on.
func cell(s string) string {
	if s == "" || printable(s) && !strings.ContainsAny(s[:1], "=+-@") {
		return s
	}
	return strconv.Quote(s)
}

func printable(s string) bool {
	return strings.IndexFunc(s, func(c rune) bool { return !unicode.IsPrint(c) || c == unicode.ReplacementChar }) < 0
}

func number(n int64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatInt(n, 10)
}

func exitText(r Record) string {
	if r.Exit == nil {
		return ""
	}
	return strconv.Itoa(*r.Exit)
}

// Text is one line for people: number, time, event, then the fields that the
// record has as name=value, quoted where they could be misread.
func Text(r Record) string {
	var b strings.Builder
	when := r.Time.UTC().Format("2006-01-02T15:04:05.000Z")
	fmt.Fprintf(&b, "%d %s %s", r.Seq, when, plainWord(string(r.Event)))
	for i, value := range fields(r) {
		if i < 3 || value == "" {
			continue
		}
		fmt.Fprintf(&b, " %s=%s", columns[i], plainWord(value))
	}
	return b.String()
}

// plainWord quotes a value that is more than one word.
func plainWord(s string) string {
	if strings.ContainsAny(s, " \"'\\=") || !printable(s) {
		return strconv.Quote(s)
	}
	return s
}
