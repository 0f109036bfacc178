//go:build gtk

package admin

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/diamondburned/gotk4/pkg/gio/v2"
	"github.com/diamondburned/gotk4/pkg/gtk/v4"

	"qvmremote/dbus"
	"qvmremote/gui/link"
	"qvmremote/gui/program"
	"qvmremote/test/stage"
)

// TestMain gives the tests of this package a screen, in a process that counts
// its objects.
func TestMain(m *testing.M) { stage.Main(m) }

// opened is the program without its main loop.
type opened struct {
	*window
	t *testing.T
}

// open makes the program's window.
func open(t *testing.T) *opened {
	t.Helper()
	stage.Enter(t)
	a := &App{Program: program.Unregistered(identity(""), gio.ApplicationNonUnique), link: link.New("", nil)}
	if err := a.App.Register(context.Background()); err != nil {
		t.Fatal(err)
	}
	a.addActions()
	w, err := newWindow(a)
	if err != nil {
		t.Fatal(err)
	}
	w.Present()
	client, err := dbus.Dial(t.Context(), os.Getenv("DBUS_SESSION_BUS_ADDRESS"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	w.report(link.Report{Quiet: client, Asking: client, Fresh: true, Snapshot: dbus.Snapshot{
		Availability: dbus.Available,
		Manager:      dbus.Manager{Version: "2.0.0", State: dbus.Running, Since: time.Now(), Pid: 1},
		Qubes:        []dbus.Qube{{Name: "work", Label: "red", PowerState: "Running", Connection: "connected", KeyState: "good", Fingerprint: "0bde", Configured: true}},
	}})
	return &opened{w, t}
}

// closeAll closes every window but the program's own.
func (s *opened) closeAll() {
	for _, w := range gtk.WindowListToplevels() {
		if top, ok := w.(interface{ Close() }); ok && !strings.Contains(fmt.Sprintf("%T", w), "ApplicationWindow") {
			top.Close()
		}
	}
}

// TestNothingIsLeftOpen: pages and dialogs that were opened and closed a
// hundred times, and ten thousand events, leave no object behind.
func TestNothingIsLeftOpen(t *testing.T) {
	s := open(t)
	record := dbus.Record{Seq: 1, Time: time.Now(), Event: "final", Qube: "work", Number: 1, State: "exit", Command: "hostname", OutHead: "dom0\n"}
	seq := uint64(0)
	waits := func(requests ...dbus.Request) {
		now := s.now
		now.Requests = requests
		s.report(link.Report{Snapshot: now, Quiet: s.quiet, Asking: s.asking})
	}
	steps := map[string]func(){
		"pages":  func() { s.Show("qubes"); s.Show("requests"); s.Show("activity"); s.Show("overview") },
		"a qube": func() { s.openQube("work"); s.GoBack() },
		"a request": func() {
			waits(dbus.Request{Number: 1, Qube: "work", Expires: time.Now().Add(time.Hour), StdinSize: -1})
			s.openRequest(1)
			s.page("requests").(*requests).one.show(reading{script: []string{"hostname"}, change: []string{"+hostname"}, whole: true}, nil)
			s.GoBack()
			waits()
		},
		"a record":   func() { s.openRecord(record); s.GoBack() },
		"authorise":  func() { s.authorise(""); s.closeAll() },
		"verify":     func() { s.page("activity").(*activity).verify("x"); s.closeAll() },
		"rules":      func() { s.editRules("work"); s.closeAll() },
		"shortcuts":  func() { s.Shortcuts("/org/qvmremote/Admin/ui/shortcuts.ui"); s.closeAll() },
		"a question": func() { s.page("overview").(*overview).confirmEverything(); s.closeAll() },
		"typed question": func() {
			s.page("overview").(*overview).bootPressed(true)
			s.closeAll()
		},
		"events": func() {
			s.Show("activity")
			var news []dbus.News
			for range 100 {
				news = append(news, dbus.News{Kind: dbus.Added, From: seq, To: seq + 1, Notice: dbus.Notice{Seq: seq, Time: time.Now(), Event: "refused", Qube: "work"}})
				seq++
			}
			now := s.now
			now.Manager.AuditHead = seq
			s.report(link.Report{Snapshot: now, News: news, Quiet: s.quiet, Asking: s.asking})
		},
	}
	for _, name := range slices.Sorted(maps.Keys(steps)) {
		stage.NothingLeft(t, name, steps[name])
	}
}
