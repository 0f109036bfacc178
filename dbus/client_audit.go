package dbus

import (
	"context"
	"iter"
	"time"

	godbus "github.com/godbus/dbus/v5"
)

// pageSize is how many records the iterator asks for at once.
const pageSize = 200

// Filter says which audit records are wanted: all that is set must hold.
type Filter struct {
	Qube         string
	Events       []string // one of these
	States       []string // one of these
	Reason       string
	ID           string
	Number       uint64 // of the request
	Since, Until time.Time
	Text         string // in command, detail, account, qube or id, whatever its case
}

func (f Filter) values() map[string]godbus.Variant {
	values := map[string]godbus.Variant{}
	for name, text := range map[string]string{"qube": f.Qube, "reason": f.Reason, "id": f.ID, "text": f.Text} {
		if text != "" {
			values[name] = godbus.MakeVariant(text)
		}
	}
	for name, texts := range map[string][]string{"events": f.Events, "states": f.States} {
		if len(texts) > 0 {
			values[name] = godbus.MakeVariant(texts)
		}
	}
	for name, t := range map[string]time.Time{"since": f.Since, "until": f.Until} {
		if !t.IsZero() {
			values[name] = godbus.MakeVariant(unixSeconds(t))
		}
	}
	if f.Number != 0 {
		values["number"] = godbus.MakeVariant(f.Number)
	}
	return values
}

// QueryAudit returns at most limit (1 to 1000) records below the number
// before, newest first; 0 means from the newest on. next is before of the call
// that goes on, 0 when the log holds no more. A page may be empty although
// more follow. A damaged line is a Record with [UnreadableEvent].
func (c *Client) QueryAudit(ctx context.Context, f Filter, before uint64, limit uint32) (records []Record, next uint64, err error) {
	var lines []string
	if err := c.call(ctx, manager("QueryAudit", f.values(), before, limit), &lines, &next); err != nil {
		return nil, 0, err
	}
	for _, line := range lines {
		records = append(records, recordOf(line))
	}
	return records, next, nil
}

// Audit goes through all records that f wants, newest first, by as many pages
// as it takes; before is as for QueryAudit. An error is the last thing it
// gives. A deadline of ctx bounds all of it, else each page has its own.
func (c *Client) Audit(ctx context.Context, f Filter, before uint64) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		for {
			records, next, err := c.QueryAudit(ctx, f, before, pageSize)
			if err == nil && before != 0 && next >= before {
				err = &Error{Code: Incompatible, Text: "the service does not go on through the audit log"}
			}
			if err != nil {
				yield(Record{}, err)
				return
			}
			for _, r := range records {
				if !yield(r, nil) {
					return
				}
			}
			if next == 0 {
				return
			}
			before = next
		}
	}
}

// GetRecord returns one record of the audit log.
func (c *Client) GetRecord(ctx context.Context, seq uint64) (Record, error) {
	var line string
	if err := c.call(ctx, manager("GetRecord", seq), &line); err != nil {
		return Record{}, err
	}
	return recordOf(line), nil
}

// Span is how requests ended in a span of time.
type Span struct {
	Begin time.Time
	Ended map[string]uint32 // by outcome, see CountCommands in the XML
}

// CountCommands tells how many requests ended how between two times, in spans
// of that length (whole seconds, at most 1000 of them); qube is "" for all.
// Spans without any are left out.
func (c *Client) CountCommands(ctx context.Context, from, to time.Time, span time.Duration, qube string) ([]Span, error) {
	var rows []struct {
		Begin uint64
		Ended map[string]uint32
	}
	length := uint32(min(max(span/time.Second, 0), 1<<31))
	if err := c.call(ctx, manager("CountCommands", unixSeconds(from), unixSeconds(to), length, qube).slowly(), &rows); err != nil {
		return nil, err
	}
	spans := make([]Span, 0, len(rows))
	for _, r := range rows {
		spans = append(spans, Span{time.Unix(int64(r.Begin), 0), r.Ended})
	}
	return spans, nil
}

// Verification is what checking the audit log found.
type Verification struct {
	Verified  bool
	Records   uint64
	Proven    uint64 // records below this number are those the checkpoints vouch for
	Sentences []string
}

// VerifyAudit checks the audit log; checkpoints, which may be none, are texts
// "sha256:…" that were kept outside of dom0.
func (c *Client) VerifyAudit(ctx context.Context, checkpoints []string) (v Verification, err error) {
	if checkpoints == nil {
		checkpoints = []string{}
	}
	err = c.call(ctx, manager("VerifyAudit", checkpoints).slowly(), &v.Verified, &v.Records, &v.Proven, &v.Sentences)
	return v, err
}

// ExportAuditText returns at most limit (1 to 1000) records from the number
// from on, oldest first: their exact lines, each with a line feed. next is
// from of the call that goes on, and AuditHead at the end.
func (c *Client) ExportAuditText(ctx context.Context, from uint64, limit uint32) (text string, next uint64, err error) {
	err = c.call(ctx, manager("ExportAuditText", from, limit), &text, &next)
	return text, next, err
}
