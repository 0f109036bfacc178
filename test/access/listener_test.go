package access

import (
	"reflect"
	"slices"
	"sync"
	"testing"

	godbus "github.com/godbus/dbus/v5"

	"qvmremote/dbus"
)

// listener is somebody without any rights who hears all broadcasts.
type listener struct {
	t *testing.T

	mu    sync.Mutex
	heard []*godbus.Signal
}

// listen asks the bus for every signal there is, whoever sends it.
func listen(t *testing.T, conn *godbus.Conn) *listener {
	t.Helper()
	l := &listener{t: t}
	signals := make(chan *godbus.Signal, 100)
	conn.Signal(signals)
	must(t, conn.BusObject().Call("org.freedesktop.DBus.AddMatch", 0, "type='signal'").Err)
	go func() {
		for s := range signals { // closed with the connection
			l.mu.Lock()
			l.heard = append(l.heard, s)
			l.mu.Unlock()
		}
	}()
	return l
}

// so far is how many signals were heard; what comes later is since that.
func (l *listener) soFar() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.heard)
}

func (l *listener) since(n int) []*godbus.Signal {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.heard[n:])
}

// hears describes a signal that must come.
type hears func(*godbus.Signal) bool

// await fails the test unless such a signal was heard after the first n.
func (l *listener) await(n int, what string, is hears) {
	l.t.Helper()
	await(l.t, "a signal after "+what, func() bool { return slices.ContainsFunc(l.since(n), is) })
}

// record is RecordsAdded with a record of that event.
func record(event, vm string) hears {
	return func(s *godbus.Signal) bool {
		if s.Path != dbus.ManagerPath || s.Name != dbus.ManagerInterface+".RecordsAdded" {
			return false
		}
		records, _ := s.Body[0].([][]any)
		return slices.ContainsFunc(records, func(r []any) bool { return r[2] == event && r[3] == vm })
	}
}

// change is PropertiesChanged of an object that has the property's new value.
func change(path godbus.ObjectPath, property string) hears {
	return func(s *godbus.Signal) bool {
		if s.Path != path || s.Name != dbus.Properties+".PropertiesChanged" {
			return false
		}
		changed, _ := s.Body[1].(map[string]godbus.Variant)
		_, is := changed[property]
		return is
	}
}

// object is InterfacesAdded or InterfacesRemoved for a qube.
func object(signal, vm string) hears {
	return func(s *godbus.Signal) bool {
		return s.Path == dbus.ManagerPath && s.Name == dbus.ObjectManager+"."+signal && s.Body[0] == dbus.QubePath(vm)
	}
}

// words are all texts in a signal, at whatever depth, and byte strings.
func words(s *godbus.Signal) []string {
	list := []string{string(s.Path), s.Name}
	for _, v := range s.Body {
		list = wordsOf(reflect.ValueOf(v), list)
	}
	return list
}

func wordsOf(v reflect.Value, list []string) []string {
	if !v.IsValid() {
		return list
	}
	if x, ok := v.Interface().(godbus.Variant); ok {
		return wordsOf(reflect.ValueOf(x.Value()), list)
	}
	switch v.Kind() {
	case reflect.Interface:
		return wordsOf(v.Elem(), list)
	case reflect.String:
		return append(list, v.String())
	case reflect.Map:
		for i := v.MapRange(); i.Next(); {
			list = wordsOf(i.Value(), wordsOf(i.Key(), list))
		}
	case reflect.Slice:
		if b, ok := v.Interface().([]byte); ok {
			return append(list, string(b))
		}
		for i := range v.Len() {
			list = wordsOf(v.Index(i), list)
		}
	}
	return list
}
