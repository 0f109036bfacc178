package archive

import (
	"context"
	"encoding/base64"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"qvmremote/client"
	"qvmremote/queue"
)

// Formats are what Export writes.
var formats = []string{"jsonl", "csv", "text"}

// record is an entry as it is exported.
type record struct {
	ID         string       `json:"id"`
	Issued     *time.Time   `json:"issued,omitempty"`
	Qube       string       `json:"qube,omitempty"`
	State      queue.State  `json:"state"` // "" = no answer
	Exit       *int         `json:"exit"`  // null = no answer
	DurationMS int64        `json:"duration_ms"`
	Trust      client.Trust `json:"trust"`
	Command    text         `json:"command"`
	Output     *text        `json:"stdout,omitempty"`
	Errors     *text        `json:"stderr,omitempty"`
}

// text is what people wrote, or base64 where it is not UTF-8.
type text struct {
	Text   *string `json:"text,omitempty"`
	Base64 string  `json:"base64,omitempty"`
}

func textOf(b []byte) *text {
	if !utf8.Valid(b) {
		return &text{Base64: base64.StdEncoding.EncodeToString(b)}
	}
	s := string(b)
	return &text{Text: &s}
}

// Export writes entries to w: as "jsonl" an object a line, as "csv" a table, as
// "text" for people. A single one comes with its outputs, but not as a table. It
// calls tell with how many are done.
func Export(ctx context.Context, c *client.Client, w io.Writer, format string, entries []client.Entry, tell func(done int)) error {
	if !slices.Contains(formats, format) {
		return fmt.Errorf("there is no format %q; use one of %s", format, strings.Join(formats, ", "))
	}
	table := csv.NewWriter(w)
	lines := json.NewEncoder(w)
	lines.SetEscapeHTML(false)
	if format == "csv" {
		_ = table.Write([]string{"id", "issued", "qube", "state", "exit", "duration_ms", "trust", "command"}) // Error tells
	}
	for i, e := range entries {
		d, err := c.Detail(ctx, e)
		if errors.Is(err, client.ErrGone) {
			continue
		}
		if err != nil {
			return err
		}
		var outputs [2][]byte
		if len(entries) == 1 {
			if outputs, err = outputsOf(ctx, c, d); err != nil {
				return err
			}
		}
		switch format {
		case "jsonl":
			err = lines.Encode(recordOf(d, outputs))
		case "csv":
			err = table.Write(cells(d))
		case "text":
			err = writeText(w, d, outputs)
		}
		if err != nil {
			return fmt.Errorf("cannot write the export: %w", err)
		}
		tell(i + 1)
	}
	table.Flush()
	return table.Error()
}

func outputsOf(ctx context.Context, c *client.Client, d *client.Detail) (outputs [2][]byte, err error) {
	for i, name := range []string{"out", "err"} {
		if _, there := d.Parts[name]; !there {
			continue
		}
		b, size, err := c.Part(ctx, d.Entry, name, 0, queue.MaxOutput+1<<10)
		if err != nil {
			return outputs, err
		}
		if size > int64(len(b)) {
			return outputs, fmt.Errorf("std%s is larger than any that dom0 sends", name)
		}
		outputs[i] = b
	}
	return outputs, nil
}

func recordOf(d *client.Detail, outputs [2][]byte) record {
	r := record{ID: d.ID, Qube: d.Request.Qube, State: d.State, DurationMS: d.Duration.Milliseconds(), Trust: d.Trust, Command: *textOf(d.Script)}
	if !d.Issued.IsZero() {
		r.Issued = &d.Issued
	}
	if d.Exit >= 0 {
		r.Exit = &d.Exit
	}
	if outputs[0] != nil {
		r.Output = textOf(outputs[0])
	}
	if outputs[1] != nil {
		r.Errors = textOf(outputs[1])
	}
	return r
}

func cells(d *client.Detail) []string {
	exit, issued := "", ""
	if d.Exit >= 0 {
		exit = strconv.Itoa(d.Exit)
	}
	if !d.Issued.IsZero() {
		issued = d.Issued.Format(time.RFC3339)
	}
	return []string{d.ID, issued, cell(d.Request.Qube), string(d.State), exit,
		strconv.FormatInt(d.Duration.Milliseconds(), 10), string(d.Trust), cell(string(d.Script))}
}

// cell quotes what a terminal or a spreadsheet would act on.
func cell(s string) string {
	if s == "" || queue.Escape(s, 0) == s && !strings.ContainsAny(s[:1], "=+-@") {
		return s
	}
	return queue.Quote(s, 0)
}

func writeText(w io.Writer, d *client.Detail, outputs [2][]byte) error {
	when := "at an unknown time"
	if !d.Issued.IsZero() {
		when = d.Issued.Format(time.DateTime)
	}
	answer := "no answer"
	if d.State != "" {
		answer = fmt.Sprintf("%s, exit %d, %d ms, %s", d.State, d.Exit, d.Duration.Milliseconds(), d.Trust)
	}
	_, err := fmt.Fprintf(w, "%s  %s\n%s\n%s", d.ID, when, answer, indented("", d.Script))
	for i, name := range []string{"stdout", "stderr"} {
		if outputs[i] != nil && err == nil {
			_, err = io.WriteString(w, indented(name, outputs[i]))
		}
	}
	if err == nil {
		_, err = io.WriteString(w, "\n")
	}
	return err
}

// indented is text below a heading, with what cannot be seen as escapes.
func indented(heading string, text []byte) string {
	var b strings.Builder
	if heading != "" {
		b.WriteString(heading + ":\n")
	}
	for line := range strings.Lines(string(text)) {
		b.WriteString("    " + queue.Escape(strings.TrimSuffix(line, "\n"), 0) + "\n")
	}
	return b.String()
}
