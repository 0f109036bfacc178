package dbus

import (
	"context"
	"slices"
	"testing"
	"time"

	godbus "github.com/godbus/dbus/v5"
)

// properties are all of an interface, with the values of a Manager or a Qube.
func properties(t testing.TB, iface string, of fields) map[string]godbus.Variant {
	t.Helper()
	all, err := Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]godbus.Variant{}
	for _, i := range all {
		if i.Name != iface {
			continue
		}
		for _, p := range i.Properties {
			values[p.Name] = variantOf(t, of.field(p.Name))
			if got := values[p.Name].Signature().String(); got != p.Type {
				t.Errorf("%s.%s is of type %s here, its XML says %s", iface, p.Name, got, p.Type)
			}
		}
	}
	return values
}

func variantOf(t testing.TB, field any) godbus.Variant {
	t.Helper()
	switch v := field.(type) {
	case *string:
		return godbus.MakeVariant(*v)
	case *bool:
		return godbus.MakeVariant(*v)
	case *uint32:
		return godbus.MakeVariant(*v)
	case *uint64:
		return godbus.MakeVariant(*v)
	case *time.Time:
		return godbus.MakeVariant(unixSeconds(*v))
	case *[]string:
		return godbus.MakeVariant(append([]string{}, *v...))
	case *[]Problem:
		return godbus.MakeVariant(append([]Problem{}, *v...))
	}
	t.Fatalf("no property is a %T", field)
	return godbus.Variant{}
}

// managed is the answer of GetManagedObjects.
func managed(t testing.TB, qubes ...Qube) objects {
	all := objects{}
	for _, q := range qubes {
		all[QubePath(q.Name)] = map[string]map[string]godbus.Variant{QubeInterface: properties(t, QubeInterface, &q)}
	}
	return all
}

func (f *fake) has(m Manager, qubes ...Qube) {
	f.t.Helper()
	f.reply("GetManagedObjects", managed(f.t, qubes...))
	f.reply("GetAll", properties(f.t, ManagerInterface, &m))
}

// changes emits new values of the Manager's properties.
func (f *fake) changes(changed map[string]any, invalidated ...string) {
	f.t.Helper()
	f.changesOf(ManagerPath, ManagerInterface, changed, invalidated...)
}

func (f *fake) changesOf(path godbus.ObjectPath, iface string, changed map[string]any, invalidated ...string) {
	f.t.Helper()
	values := map[string]godbus.Variant{}
	for name, v := range changed {
		values[name] = godbus.MakeVariant(v)
	}
	f.emit(path, Properties+".PropertiesChanged", iface, values, append([]string{}, invalidated...))
}

type noticeRow struct {
	Seq         uint64
	Time        int64
	Event, Qube string
	Number      uint64
	State       string
}

// tells emits that these records were added.
func (f *fake) tells(seqs ...uint64) {
	f.t.Helper()
	var rows []noticeRow
	for _, seq := range seqs {
		rows = append(rows, noticeRow{seq, recordTime(seq).UnixMicro(), "final", "work", seq + 1, "exit"})
	}
	f.emit(ManagerPath, ManagerInterface+".RecordsAdded", rows)
}

// logs answers ExportAuditText from a log of head records.
func (f *fake) logs(head uint64) {
	f.on("ExportAuditText", func(a asked) ([]any, error) {
		from := a.Args[0].(uint64)
		to := min(from+uint64(a.Args[1].(uint32)), head)
		return []any{lines(from, to), to}, nil
	})
}

// mirror begins one, with limits that a test can wait for.
func mirror(t testing.TB, c *Client, change ...func(*limits)) *Mirror {
	t.Helper()
	l := usualLimits()
	l.delay, l.longest = time.Millisecond, 4*time.Millisecond
	for _, f := range change {
		f(&l)
	}
	m, err := newMirror(context.Background(), c, l)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	return m
}

// await waits until the mirror shows what is asked for.
func await(t testing.TB, m *Mirror, what string, holds func(Snapshot) bool) Snapshot {
	t.Helper()
	late := time.After(forComing)
	for {
		s := m.Snapshot()
		if holds(s) {
			return s
		}
		select {
		case _, ok := <-m.Changed():
			if !ok && !holds(m.Snapshot()) {
				t.Fatalf("the mirror ended before %s: %+v", what, m.Snapshot())
			}
		case <-late:
			t.Fatalf("never came: %s; last %+v", what, s)
		}
	}
}

func is(a Availability) func(Snapshot) bool {
	return func(s Snapshot) bool { return s.Availability == a }
}

func available(s Snapshot) bool { return s.Availability == Available && !s.Stale }

// awaitNews takes news until they go up to record number to, and holds them to
// their order.
func awaitNews(t testing.TB, m *Mirror, from, to uint64) []News {
	t.Helper()
	var all []News
	eventually(t, "the news", func() bool {
		all = append(all, m.TakeNews()...)
		return len(all) > 0 && all[len(all)-1].To >= to
	})
	for _, n := range all {
		if n.From != from || n.To <= n.From && n.Kind != Rewritten {
			t.Fatalf("after record %d come news of %d to %d", from, n.From, n.To)
		}
		if n.Kind == Added && (n.Notice.Seq != n.From || !n.Notice.Time.Equal(recordTime(n.From)) || n.Notice.Number != n.From+1) {
			t.Fatalf("record %d is %+v", n.From, n.Notice)
		}
		from = n.To
	}
	return all
}

func kinds(news []News) []NewsKind {
	var all []NewsKind
	for _, n := range news {
		if len(all) == 0 || all[len(all)-1] != n.Kind {
			all = append(all, n.Kind)
		}
	}
	return all
}

func onlyAdded(news []News) bool { return slices.Equal(kinds(news), []NewsKind{Added}) }
