package service

import (
	"context"
	"maps"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	godbus "github.com/godbus/dbus/v5"

	"qvmremote/dbus"
)

// properties are the values of one object's properties, of one interface. A
// map that was published is never changed again.
type properties map[string]any

// view is everything that the objects say at one moment.
type view struct {
	manager properties
	qubes   map[string]properties // by name

	requests map[uint64]properties // that wait for approval, by number
}

// objects keep the view that is served, and tell everybody what changes in it.
type objects struct {
	s     *Service
	dirty chan struct{}
	look  *look

	refreshing sync.Mutex // one at a time, so that views come in order
	now        atomic.Pointer[view]
	boot       atomic.Bool // the executor starts at boot
}

func newObjects(s *Service) *objects {
	return &objects{s: s, dirty: make(chan struct{}, 1), look: newLook(s)}
}

// touch says that something may have changed.
func (o *objects) touch() {
	select {
	case o.dirty <- struct{}{}:
	default:
	}
}

// loop publishes changes, gathered over a little while, until the service ends.
func (o *objects) loop() {
	defer o.s.loops.Done()
	o.s.loops.Add(1)
	go o.look.watch(o.s.life)
	for {
		select {
		case <-o.s.life.Done():
			return
		case <-o.dirty:
		}
		o.refresh(o.s.life)
		select {
		case <-o.s.life.Done():
			return
		case <-time.After(o.s.o.Times.Gather):
		}
	}
}

// refresh looks now and publishes what changed; methods that change something
// do it before they answer.
func (o *objects) refresh(ctx context.Context) {
	o.refreshing.Lock()
	defer o.refreshing.Unlock()
	o.s.feed.again()
	next := o.look.view(ctx)
	last := o.now.Swap(next)
	if last == nil {
		return // nobody can have seen anything before
	}
	o.tell(dbus.ManagerPath, dbus.ManagerInterface, last.manager, next.manager)
	o.tellRequests(last.requests, next.requests)
	for name, p := range last.qubes {
		if next.qubes[name] == nil {
			o.emit(dbus.ManagerPath, dbus.ObjectManager+".InterfacesRemoved", dbus.QubePath(name), []string{dbus.QubeInterface})
		} else {
			o.tell(dbus.QubePath(name), dbus.QubeInterface, p, next.qubes[name])
		}
	}
	for _, name := range slices.Sorted(maps.Keys(next.qubes)) {
		if last.qubes[name] == nil {
			o.emit(dbus.ManagerPath, dbus.ObjectManager+".InterfacesAdded", dbus.QubePath(name),
				map[string]map[string]godbus.Variant{dbus.QubeInterface: variants(next.qubes[name])})
		}
	}
}

// tellRequests sends what became of the requests that wait for approval.
func (o *objects) tellRequests(last, next map[uint64]properties) {
	for number, p := range last {
		if next[number] == nil {
			o.emit(dbus.ManagerPath, dbus.ObjectManager+".InterfacesRemoved", dbus.RequestPath(number), []string{dbus.RequestInterface})
		} else {
			o.tell(dbus.RequestPath(number), dbus.RequestInterface, p, next[number])
		}
	}
	for _, number := range slices.Sorted(maps.Keys(next)) {
		if last[number] == nil {
			o.emit(dbus.ManagerPath, dbus.ObjectManager+".InterfacesAdded", dbus.RequestPath(number),
				map[string]map[string]godbus.Variant{dbus.RequestInterface: variants(next[number])})
		}
	}
}

// unsaid are properties whose values stay out of signals: they hold sentences.
var unsaid = map[string]bool{"Health": true}

// tell sends one signal with everything that changed in an object.
func (o *objects) tell(path godbus.ObjectPath, iface string, before, after properties) {
	changed, invalid := map[string]godbus.Variant{}, []string{}
	for name, v := range after {
		switch {
		case reflect.DeepEqual(before[name], v):
		case unsaid[name]:
			invalid = append(invalid, name)
		default:
			changed[name] = godbus.MakeVariant(v)
		}
	}
	if len(changed)+len(invalid) > 0 {
		o.emit(path, dbus.Properties+".PropertiesChanged", iface, changed, invalid)
	}
}

func (o *objects) emit(path godbus.ObjectPath, signal string, values ...any) {
	if err := o.s.conn.Emit(path, signal, values...); err != nil {
		o.s.o.Log.Debug("cannot send a signal", "signal", signal, "error", err)
	}
}

func variants(p properties) map[string]godbus.Variant {
	out := make(map[string]godbus.Variant, len(p))
	for name, v := range p {
		out[name] = godbus.MakeVariant(v)
	}
	return out
}

// find returns the properties of an object's interface.
func (v *view) find(path godbus.ObjectPath, iface string) (properties, bool) {
	if path == dbus.ManagerPath && iface == dbus.ManagerInterface {
		return v.manager, true
	}
	if name, ok := dbus.QubeName(path); ok && iface == dbus.QubeInterface && v.qubes[name] != nil {
		return v.qubes[name], true
	}
	if number, ok := dbus.RequestNumber(path); ok && iface == dbus.RequestInterface && v.requests[number] != nil {
		return v.requests[number], true
	}
	return nil, false
}
