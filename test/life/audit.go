package life

import (
	"context"
	"fmt"
	"maps"
	"math"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"qvmremote/daemon/audit"
	"qvmremote/daemon/claim"
	"qvmremote/daemon/paths"
	"qvmremote/queue"
)

// span is how far back a past reaches: a little less than the log keeps.
const span = 395 * 24 * time.Hour

// batch is how many requests are written at once.
const batch = 1000

// FillAudit gives root an audit log of about n records, which reach from 395
// days ago to now, of requests that were signed with these keys; none are three
// qubes' that are nowhere else. The log must be new, and the executor not run.
func FillAudit(ctx context.Context, root paths.Root, n int, keys map[string]queue.Key) error {
	return fillAudit(ctx, root, n, span, keys)
}

func fillAudit(ctx context.Context, root paths.Root, n int, back time.Duration, keys map[string]queue.Key) error {
	if len(keys) == 0 {
		keys = map[string]queue.Key{}
		for _, k := range kinds {
			keys[k.name] = queue.GenerateKey()
		}
	}
	p := &past{names: slices.Sorted(maps.Keys(keys)), keys: map[string]string{}, all: max(n, 1)}
	for name, key := range keys {
		p.keys[name] = key.Fingerprint()
	}
	p.start, p.back = time.Now().Add(-back), back
	p.now.Store(p.start.UnixNano())
	if err := os.MkdirAll(root.State(), 0o700); err != nil {
		return err
	}
	book := claim.NewBook()
	log, err := audit.Open(ctx, root.Audit(), audit.Options{Now: func() time.Time { return p.time() }}, book)
	if err != nil {
		return fmt.Errorf("open the audit log to fill it: %w", err)
	}
	for err == nil && p.added < p.all {
		_, err = log.Update(ctx, p.live)
		book.Forget(p.time()) // as an executor does: a start need not read all of it
	}
	if cerr := log.Close(); err == nil {
		err = cerr
	}
	return err
}

// past is a log's past while it is written.
type past struct {
	names []string
	keys  map[string]string // fingerprints
	start time.Time
	back  time.Duration // from start to now
	now   atomic.Int64  // Unix nanoseconds
	done  int           // requests
	added int           // records
	all   int           // records that are wanted
}

// live adds requests until a day is over, so that the log begins a segment with
// each day, or until they are many.
func (p *past) live(tx *audit.Tx) error {
	if p.done == 0 {
		for _, name := range p.names {
			p.add(tx, audit.Record{Event: audit.Authorized, Qube: name, Key: p.keys[name], Floor: p.start.Unix(), Who: "root", Way: "cli"})
		}
		p.add(tx, audit.Record{Event: audit.Started, Who: "root", Way: "boot"})
	}
	day := p.time().YearDay()
	for range batch {
		if p.added >= p.all || p.time().YearDay() != day {
			return nil
		}
		p.request(tx)
		p.done++
		p.now.Store(p.start.Add(time.Duration(p.part() * float64(p.back))).UnixNano())
	}
	return nil
}

// part is how much of the time has passed: it is busier twice, and quieter twice.
func (p *past) part() float64 {
	x := float64(min(p.added, p.all)) / float64(p.all)
	return x + math.Sin(4*math.Pi*x)/16
}

func (p *past) time() time.Time { return time.Unix(0, p.now.Load()).UTC() }

func (p *past) add(tx *audit.Tx, r audit.Record) {
	tx.Add(r)
	p.added++
}

// deed is what becomes of a request.
type deed struct {
	every  int // of so many requests one
	state  audit.State
	exit   int
	reason queue.Reason
}

// deeds are looked at in this order; the last one is what is usual.
var deeds = []deed{
	{97, audit.Timeout, queue.ExitTimeout, ""},
	{83, audit.Cancelled, queue.ExitCancelled, ""},
	{71, audit.Denied, queue.ExitDenied, queue.WrongQube},
	{101, audit.Interrupted, queue.ExitInterrupted, ""},
	{19, audit.Exit, 3, ""},
	{1, audit.Exit, 0, ""},
}

func (p *past) request(tx *audit.Tx) {
	name, at := p.names[p.done%len(p.names)], p.time()
	id := fmt.Sprintf("%s-%d-%08x", at.Format("20060102-150405"), 1000+p.done%30000, p.done)
	base := audit.Record{Qube: name, ID: id, Number: int64(p.done + 1), Key: p.keys[name]}
	switch {
	case p.done%211 == 210:
		base.Event, base.Reason, base.Number, base.Key = audit.Refused, string(queue.BadMAC), 0, ""
		p.add(tx, base)
		return
	case p.done%307 == 306:
		base.Event, base.Number, base.Key = audit.Replayed, 0, ""
		p.add(tx, base)
		return
	}
	deed := deeds[slices.IndexFunc(deeds, func(d deed) bool { return p.done%d.every == d.every-1 })]
	script := scripts[p.done%len(scripts)].script
	p.claim(tx, base, script)
	final := base
	final.Event, final.State, final.Reason = audit.Final, deed.state, string(deed.reason)
	if deed.state != audit.Denied {
		ran := base
		ran.Event, ran.Command = audit.Run, script
		p.add(tx, ran)
		final.Exit, final.StartedAt, final.Duration = &deed.exit, at.Unix(), int64(12+p.done%5000)
		final.OutHead = fmt.Sprintf("what number %d printed\n", p.done+1)
		final.Out, final.Err = queue.SumOf([]byte(final.OutHead)).String(), queue.SumOf(nil).String()
	}
	p.add(tx, final)
	delivered := base
	delivered.Event, delivered.Checkpoint = audit.Delivered, queue.DigestOf([]byte("result of "+id)).String()
	p.add(tx, delivered)
}

func (p *past) claim(tx *audit.Tx, base audit.Record, script string) {
	at := p.time().Unix()
	base.Event, base.Kind, base.Version, base.Issued, base.Expires, base.Timeout = audit.Claim, queue.KindScript, 2, at, at+300, 300
	base.Request = queue.DigestOf([]byte("request of " + base.ID)).String()
	base.Body, base.Stdin = queue.SumOf([]byte(script)).String(), "none"
	p.add(tx, base)
}
