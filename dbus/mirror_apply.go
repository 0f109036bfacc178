package dbus

import (
	"context"
	"slices"
	"strings"
	"time"

	godbus "github.com/godbus/dbus/v5"
)

// drain takes the signals that wait; false when no more will come.
func (w *watcher) drain() bool {
	t := w.client.signals.take()
	if t.lost {
		w.ownerIs(t.owner)
		w.lost = true
		if w.live {
			w.read()
		}
	}
	for len(t.signals) > 0 {
		if _, owner, ok := ownerChange(t.signals[0]); ok {
			w.ownerIs(owner)
			t.signals = t.signals[1:]
			continue
		}
		n := slices.IndexFunc(t.signals, func(s *godbus.Signal) bool { return s.Sender == busName })
		if n < 0 {
			n = len(t.signals)
		}
		w.receive(t.signals[:n])
		t.signals = t.signals[n:]
	}
	if t.closed && w.ctx.Err() == nil {
		w.unavailable(NoBus, goneText)
	}
	return !t.closed
}

// receive is signals of the owner of the name.
func (w *watcher) receive(signals []*godbus.Signal) {
	if !w.live {
		if w.pending = append(w.pending, signals...); len(w.pending) > maxSignals {
			w.pending, w.lost = nil, true
		}
		return
	}
	ok := true
	w.publish(func() {
		for _, s := range signals {
			ok = w.apply(s) && ok
		}
	})
	w.follow(ok)
}

// follow does what signals made necessary; ok is that they could be applied.
func (w *watcher) follow(ok bool) {
	if !ok {
		w.read() // shows what is, or finds that this is another version
		return
	}
	if w.healthAgain && !w.healthAsked {
		w.fetchHealth()
	}
	w.mu.Lock()
	from, to := w.records.next, w.records.gap
	w.mu.Unlock()
	if to != 0 && !w.recordsAsked {
		w.fetchRecords(from, to)
	}
}

// apply changes what is shown as one signal says; false when that cannot be
// done, because the signal is of another form, or tells only that there is
// something to read.
func (w *watcher) apply(s *godbus.Signal) bool {
	switch {
	case s.Name == Properties+".PropertiesChanged":
		return w.propertiesChanged(s)
	case s.Name == ObjectManager+".InterfacesAdded" && s.Path == ManagerPath:
		var path godbus.ObjectPath
		var added map[string]map[string]godbus.Variant
		if godbus.Store(s.Body, &path, &added) != nil {
			return false
		}
		if number, ok := RequestNumber(path); ok {
			return w.requestAdded(number, added[RequestInterface])
		}
		name, isQube := QubeName(path)
		properties, has := added[QubeInterface]
		if !isQube || !has {
			return true // an object of a later version
		}
		var q Qube
		if setAll(&q, QubeInterface, properties) != nil {
			return false
		}
		q.Name = name
		w.qubes[name] = q
	case s.Name == ObjectManager+".InterfacesRemoved" && s.Path == ManagerPath:
		var path godbus.ObjectPath
		var removed []string
		if godbus.Store(s.Body, &path, &removed) != nil {
			return false
		}
		if name, ok := QubeName(path); ok && slices.Contains(removed, QubeInterface) {
			delete(w.qubes, name)
		}
		if number, ok := RequestNumber(path); ok && slices.Contains(removed, RequestInterface) {
			delete(w.requests, number)
		}
	case s.Name == ManagerInterface+".RecordsAdded" && s.Path == ManagerPath:
		return w.recordsAdded(s)
	}
	return true
}

func (w *watcher) requestAdded(number uint64, properties map[string]godbus.Variant) bool {
	var r Request
	if setAll(&r, RequestInterface, properties) != nil {
		return false
	}
	r.Number = number
	w.requests[number] = r
	return true
}

// requestChanged is a change of a request that is shown; of another it is old.
func (w *watcher) requestChanged(number uint64, changed map[string]godbus.Variant, invalidated []string) bool {
	r, known := w.requests[number]
	if !known {
		return true
	}
	if set(&r, changed) != nil {
		return false
	}
	r.Number = number
	w.requests[number] = r
	return !slices.ContainsFunc(invalidated, func(p string) bool { return r.field(p) != nil })
}

func (w *watcher) propertiesChanged(s *godbus.Signal) bool {
	var iface string
	var changed map[string]godbus.Variant
	var invalidated []string
	if godbus.Store(s.Body, &iface, &changed, &invalidated) != nil {
		return false
	}
	if s.Path == ManagerPath && iface == ManagerInterface {
		m := w.shown.Manager
		if set(&m, changed) != nil {
			return false
		}
		w.shown.Manager = m
		for _, name := range invalidated {
			if name == "Health" {
				w.healthAgain = true
			} else if m.field(name) != nil {
				return false
			}
		}
		return true
	}
	if number, ok := RequestNumber(s.Path); ok && iface == RequestInterface {
		return w.requestChanged(number, changed, invalidated)
	}
	name, ok := QubeName(s.Path)
	q, known := w.qubes[name]
	if !ok || !known || iface != QubeInterface {
		return true
	}
	if set(&q, changed) != nil {
		return false
	}
	q.Name = name
	w.qubes[name] = q
	return !slices.ContainsFunc(invalidated, func(p string) bool { return q.field(p) != nil })
}

func (w *watcher) recordsAdded(s *godbus.Signal) bool {
	var rows []struct {
		Seq         uint64
		Time        int64
		Event, Qube string
		Number      uint64
		State       string
	}
	if godbus.Store(s.Body, &rows) != nil {
		return false
	}
	for _, r := range rows {
		w.records.add(Notice{r.Seq, time.UnixMicro(r.Time).UTC(), r.Event, r.Qube, r.Number, r.State})
	}
	return true
}

// fetchHealth reads Health, of whose change no value is told, and reads it
// again when it changes meanwhile.
func (w *watcher) fetchHealth() {
	w.healthAsked, w.healthAgain = true, false
	r := request{dest: w.owner, path: ManagerPath, iface: Properties, method: "Get", args: []any{ManagerInterface, "Health"}, silent: true}
	w.background(func(ctx context.Context) func() {
		var value godbus.Variant
		err := w.client.call(ctx, r, &value)
		return func() {
			w.healthAsked = false
			if err == nil {
				w.publish(func() {
					m := w.shown.Manager
					if err = set(&m, map[string]godbus.Variant{"Health": value}); err == nil {
						w.shown.Manager = m
					}
				})
			}
			w.follow(err == nil)
		}
	})
}

// fetchRecords reads audit records whose notices were missed, a page at a time.
func (w *watcher) fetchRecords(from, to uint64) {
	w.recordsAsked = true
	r := manager("ExportAuditText", from, uint32(min(to-from, pageSize)))
	r.dest, r.silent = w.owner, true
	w.background(func(ctx context.Context) func() {
		var text string
		var next uint64
		err := w.client.call(ctx, r, &text, &next)
		var records []Record
		for line := range strings.Lines(text) {
			records = append(records, recordOf(strings.TrimSuffix(line, "\n")))
		}
		return func() {
			w.recordsAsked = false
			w.publish(func() { w.records.page(from, records, next, err) })
			w.follow(true)
		}
	})
}
