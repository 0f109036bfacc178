package words

import (
	"fmt"
	"strings"
	"time"

	"qvmremote/dbus"
	"qvmremote/gui/say"
	"qvmremote/queue"
	"qvmremote/ui/i18n"
)

// Fact is one line of a detail pane.
type Fact struct {
	Label, Value string
	Code         bool // an id, a hash: shown in type of equal width, and copied
}

// Facts are all that a record says, for people, in the order in which they ask.
func Facts(r dbus.Record) []Fact {
	var facts []Fact
	add := func(label, value string, code bool) {
		if value != "" {
			facts = append(facts, Fact{label, queue.Plain(value, 600), code})
		}
	}
	seconds := func(n int64) string {
		if n == 0 {
			return ""
		}
		return say.When(time.Unix(n, 0))
	}
	if !r.Time.IsZero() { // a record that cannot be read has none
		add(i18n.T("When"), say.Moment(r.Time), false)
	}
	if r.Reason != "" {
		add(i18n.T("Why"), say.Sentence(whole(r.Reason)), false)
	}
	add(i18n.T("What"), say.Sentence(r.Detail), false)
	if r.Count > 0 {
		add(i18n.T("How many"), fmt.Sprint(r.Count), false)
	}
	add(i18n.T("By"), by(r), false)
	if r.Duration > 0 {
		add(i18n.T("Ran for"), say.Duration(time.Duration(min(r.Duration, 1000*maxLimit))*time.Millisecond), false)
	}
	add(i18n.T("Began"), seconds(r.StartedAt), false)
	add(i18n.T("Time limit"), limit(r.Timeout), false)
	add(i18n.T("Issued in the qube"), seconds(r.Issued), false)
	add(i18n.T("To begin before"), seconds(r.Expires), false)
	add(i18n.T("Nothing issued before"), seconds(r.Floor), false)
	if r.Version == 1 {
		add(i18n.T("Protocol"), i18n.T("1: legacy, insecure"), false)
	}
	add(i18n.T("Id"), r.ID, true)
	if r.Number > 0 {
		add(i18n.T("Number in dom0"), fmt.Sprint(r.Number), true)
	}
	add(i18n.T("Key"), r.Key, true)
	add(i18n.T("Qube's own id"), r.UUID, true)
	add(i18n.T("Script"), hashed(r.Body), true)
	add(i18n.T("Standard input"), hashed(r.Stdin), true)
	add(i18n.T("Output"), hashed(r.Out), true)
	add(i18n.T("Errors"), hashed(r.Err), true)
	add(i18n.T("Request"), r.Request, true)
	add(i18n.T("Checkpoint"), r.Checkpoint, true)
	add(i18n.T("Record"), fmt.Sprint(r.Seq), true)
	return facts
}

func by(r dbus.Record) string {
	way, known := ways[r.Way]
	if !known {
		way = r.Way
	}
	if r.Who == "" || way == "" {
		return r.Who + way
	}
	return i18n.T("%s, by %s", r.Who, way)
}

var ways = map[string]string{
	"cli": i18n.C("by", "the command line"), "dbus": i18n.C("by", "the bus"), "daemon": i18n.C("by", "the service"), "file": i18n.C("by", "hand"), "boot": i18n.C("by", "the service's start"),
}

// maxLimit keeps what damage put into a record from turning over.
const maxLimit = 1 << 32

func limit(seconds int64) string {
	if seconds == 0 {
		return ""
	}
	if seconds < 60 {
		return i18n.T("%d s", seconds)
	}
	return say.Duration(time.Duration(min(seconds, maxLimit)) * time.Second)
}

// hashed is "sha256:… 12" of a record with the size in words.
func hashed(field string) string {
	hash, size, ok := strings.Cut(field, " ")
	if !ok {
		return field
	}
	var n uint64
	if _, err := fmt.Sscanf(size, "%d", &n); err != nil {
		return field
	}
	return say.Size(n) + ", " + hash
}

// Join makes one record of those of one request, in the order of the log: its
// newest step of its own, with what only the steps before say. An event alone
// is what it was.
func Join(records ...dbus.Record) dbus.Record {
	var all dbus.Record
	for _, r := range records {
		switch {
		case all.Event == "":
			all = r
		case r.Event == "delivered":
			all.Checkpoint = r.Checkpoint
		default:
			before := all
			all = r
			fill(&all, before)
		}
	}
	return all
}

// fill takes from before what r leaves out.
func fill(r *dbus.Record, before dbus.Record) {
	for _, f := range []struct{ to, from *string }{
		{&r.Command, &before.Command}, {&r.Body, &before.Body}, {&r.Stdin, &before.Stdin}, {&r.Key, &before.Key},
		{&r.Request, &before.Request}, {&r.Checkpoint, &before.Checkpoint}, {&r.Kind, &before.Kind}, {&r.UUID, &before.UUID},
	} {
		if *f.to == "" {
			*f.to = *f.from
		}
	}
	for _, f := range []struct{ to, from *int64 }{
		{&r.Timeout, &before.Timeout}, {&r.Issued, &before.Issued}, {&r.Expires, &before.Expires},
	} {
		if *f.to == 0 {
			*f.to = *f.from
		}
	}
	if r.Version == 0 {
		r.Version = before.Version
	}
}

// Excerpt is what the record has of an output: its beginning, its end, and how
// much is not there between them.
func Excerpt(head, tail string, left int64) string {
	if left <= 0 {
		return head + tail
	}
	return strings.TrimSuffix(head, "\n") + "\n[" + i18n.T("… %s are not in the record …", say.Size(uint64(left))) + "]\n" + tail
}
