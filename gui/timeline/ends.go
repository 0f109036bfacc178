package timeline

// end is the record with which a request ended.
type end struct{ seq, number uint64 }

// ends are the requests that ended of late. An answer that was asked for before
// may still have them as open.
type ends struct {
	from uint64 // all ends from this record on are in the list
	list []end
	max  int // in the list
}

func (e *ends) add(added ...end) {
	e.list = append(e.list, added...)
	if n := len(e.list) - e.max; n > 0 {
		for _, old := range e.list[:n] {
			e.from = max(e.from, old.seq+1)
		}
		e.list = append([]end(nil), e.list[n:]...)
	}
}

// forget says that below a record there may have been others.
func (e *ends) forget(below uint64) { e.from, e.list = below, nil }

// drop takes the rows of requests that ended since the log had head records
// from an answer. ok is false if there may be others.
func (e *ends) drop(a *Answer) (ok bool) {
	since := map[uint64]bool{}
	for _, end := range e.list {
		if end.seq >= a.want.head {
			since[end.number] = true
		}
	}
	ok = true
	kept := make([]*row, 0, len(a.rows))
	for _, r := range a.rows {
		if r.open && a.want.filter.Kind != Every {
			if since[r.Number] {
				continue
			}
			ok = ok && e.from <= a.want.head
		}
		kept = append(kept, r)
	}
	a.rows = kept
	return ok
}
