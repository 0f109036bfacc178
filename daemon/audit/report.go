package audit

import (
	"fmt"
	"strings"
)

// Report is what a Verify found.
type Report struct {
	Records  int64     // covered by the signed head: 0 to Records-1
	First    int64     // the first that is left; those before were pruned
	Unsigned int64     // complete records after the head, written or being written
	Lost     []int64   // Loss records: what the log says it lost
	Excepted []string  // recorded as lost, and missing, unreadable or changed indeed
	Checked  []Checked // the checkpoints that were found
	Proven   int64     // the records 0 to Proven-1 are those the checkpoints vouch for
	Failures []string  // what is wrong; none: verified
}

// Checked is a checkpoint whose delivered record was found.
type Checked struct {
	Checkpoint string
	Delivered  int64 // seq of the delivered record
	Records    int64 // the head behind it covers so many records

	head string
}

// OK says that nothing is wrong with what could be checked.
func (r Report) OK() bool { return len(r.Failures) == 0 }

func (r *Report) fail(format string, args ...any) {
	r.Failures = append(r.Failures, fmt.Sprintf(format, args...))
}

// Sentences says, for people, what was proven and what cannot be known.
func (r Report) Sentences() []string {
	var out []string
	say := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	if r.First > 0 {
		say("%d records; the first %d were pruned, their hashes are kept.", r.Records, r.First)
	} else {
		say("%d records.", r.Records)
	}
	if r.Unsigned > 0 {
		say("%d more records are not covered by the signed head yet.", r.Unsigned)
	}
	for _, seq := range r.Lost {
		say("Record %d says that records were lost; read it.", seq)
	}
	if !r.OK() {
		say("NOT VERIFIED:")
		for _, f := range r.Failures {
			say("  %s", f)
		}
		return out
	}
	except := ""
	if len(r.Excepted) > 0 {
		except = fmt.Sprintf(", except what the log itself records as lost (%s)", strings.Join(r.Excepted, ", "))
	}
	if r.Proven == 0 {
		say("The log agrees with itself and with its signed head%s.", except)
		say("This cannot show whether root rewrote the log together with its signature: the key lies on the same disk. A checkpoint kept in a qube or on paper can.")
		return out
	}
	say("Every record up to number %d is unchanged and in place%s: %d checkpoint(s) from outside prove it.", r.Proven-1, except, len(r.Checked))
	if r.Proven < r.Records {
		say("The records after it agree with the log's own signature only; root could have rewritten those.")
	}
	return out
}

// String joins the Sentences, one a line.
func (r Report) String() string { return strings.Join(r.Sentences(), "\n") }
