package dbus

import "time"

// NewsKind says what happened to the audit log.
type NewsKind string

// The kinds of news.
const (
	Added     NewsKind = "added"     // a record, see Notice
	Missed    NewsKind = "missed"    // records that were not told one by one: ask QueryAudit for them
	Rewritten NewsKind = "rewritten" // the log is shorter than it was: forget all records, ask anew
)

// News is something that happened to the audit log. News are in order and
// without gaps: each begins where the one before ended, unless that or this is
// Rewritten. They begin with the first record after the mirror first read the
// service: a consumer asks QueryAudit for what was before, and passes over
// news of records it has from there.
type News struct {
	Kind   NewsKind
	From   uint64 // number of the first record concerned
	To     uint64 // number after the last one
	Notice Notice // of a record that was Added
}

// Notice is what is broadcast of a record; GetRecord and QueryAudit tell the
// rest, to who may see it.
type Notice struct {
	Seq    uint64
	Time   time.Time // to the microsecond
	Event  string
	Qube   string
	Number uint64 // of the request, 0 for none
	State  string // of a final record
}

func noticeOf(r Record) Notice {
	return Notice{r.Seq, r.Time.UTC().Truncate(time.Microsecond), r.Event, r.Qube, r.Number, r.State}
}

// recentNotices are kept to tell a record that is told twice, as by two owners
// of the name in turn, from another one of the same number.
const recentNotices = 256

// recordLog makes news of notices. Not for concurrent use.
type recordLog struct {
	max     int // notices kept in each list below, and records fetched after a gap
	known   bool
	next    uint64   // number of the record that is expected
	recent  []Notice // those right before next
	gap     uint64   // not 0: [next, gap) is to be fetched
	waiting []Notice // of records after that
	queue   []News
}

// restart is that the service, maybe another one, has head records now, and
// that notices come after that.
func (l *recordLog) restart(head uint64) {
	l.gap, l.waiting = 0, nil
	switch _, remembered := l.remember(head); {
	case !l.known:
		l.known, l.next = true, head
	case head > l.next:
		l.miss(head)
	case head < l.next && !remembered:
		l.rewrite(head)
	}
	// A head that is a little behind is a service that has not read yet what its
	// predecessor told last. If it is another log, add will find out.
}

// add is a notice that came.
func (l *recordLog) add(n Notice) {
	if l.gap == 0 && n.Seq > l.next {
		l.miss(n.Seq)
	}
	switch {
	case l.gap != 0:
		l.waiting = append(l.waiting, n)
		if len(l.waiting) > l.max {
			l.skip(l.gap)
			l.closeGap()
		}
	case n.Seq < l.next:
		if old, ok := l.remember(n.Seq); ok && old != n {
			l.rewrite(n.Seq)
			l.deliver(n)
		}
	default:
		l.deliver(n)
	}
}

// page is the answer of ExportAuditText from that number on.
func (l *recordLog) page(from uint64, records []Record, next uint64, err error) {
	if l.gap == 0 || from != l.next {
		return // it was given up meanwhile
	}
	for _, r := range records {
		if r.Event == UnreadableEvent || r.Seq < l.next || r.Seq >= l.gap {
			continue
		}
		if r.Seq > l.next {
			l.skip(r.Seq)
		}
		l.deliver(noticeOf(r))
	}
	if err != nil || next <= from {
		next = l.gap
	}
	if next = min(next, l.gap); next > l.next {
		l.skip(next) // damaged, pruned, or not to be had
	}
	if l.next == l.gap {
		l.closeGap()
	}
}

// closeGap goes on with what came after the gap.
func (l *recordLog) closeGap() {
	waiting := l.waiting
	l.gap, l.waiting = 0, nil
	for _, n := range waiting {
		l.add(n)
	}
}

// miss is that [next, to) never came.
func (l *recordLog) miss(to uint64) {
	if to-l.next > uint64(l.max) {
		l.skip(to)
	} else {
		l.gap = to
	}
}

func (l *recordLog) skip(to uint64) {
	l.put(News{Kind: Missed, From: l.next, To: to})
	l.next, l.recent = to, nil
}

func (l *recordLog) rewrite(head uint64) {
	l.queue = nil
	l.put(News{Kind: Rewritten, From: head, To: head})
	l.next, l.recent = head, nil
}

func (l *recordLog) deliver(n Notice) {
	l.put(News{Kind: Added, From: n.Seq, To: n.Seq + 1, Notice: n})
	l.next = n.Seq + 1
	if len(l.recent) == 2*recentNotices {
		l.recent = append(l.recent[:0], l.recent[recentNotices:]...)
	}
	l.recent = append(l.recent, n)
}

// remember returns the notice of that number, if it is among the recent ones.
func (l *recordLog) remember(seq uint64) (Notice, bool) {
	if seq >= l.next || l.next-seq > uint64(len(l.recent)) {
		return Notice{}, false
	}
	return l.recent[len(l.recent)-int(l.next-seq)], true
}

// put appends to the queue, which becomes one gap when nobody takes from it.
func (l *recordLog) put(n News) {
	if len(l.queue) >= l.max {
		kept := 0
		if l.queue[0].Kind == Rewritten {
			kept = 1
		}
		missed := News{Kind: Missed, From: l.queue[0].From, To: l.queue[len(l.queue)-1].To}
		l.queue = append(l.queue[:kept:kept], missed)
	}
	l.queue = append(l.queue, n)
}
