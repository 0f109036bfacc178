//go:build gtk

package client

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/diamondburned/gotk4/pkg/gio/v2"
	"github.com/diamondburned/gotk4/pkg/gtk/v4"

	"qvmremote/client"
	"qvmremote/client/standing"
	"qvmremote/gui/program"
	"qvmremote/queue"
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

func open(t *testing.T) *opened {
	t.Helper()
	stage.Enter(t)
	t.Setenv("HOME", t.TempDir())
	who := identity("")
	who.ID += "." + t.Name() // of one name there is one in a process
	a := &App{Program: program.Unregistered(who, gio.ApplicationNonUnique), queue: client.New(t.TempDir() + "/" + queue.FolderName), bell: standing.NewBell()}
	if err := a.App.Register(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := a.queue.Prepare(); err != nil {
		t.Fatal(err)
	}
	a.queue.Tidy(t.Context()) // so that none that comes later writes into a folder that is being removed
	key, err := a.queue.GenerateKey(false)
	if err != nil {
		t.Fatal(err)
	}
	a.addActions()
	w, err := newWindow(a)
	if err != nil {
		t.Fatal(err)
	}
	w.Present()
	w.report(standing.Standing{Qube: "work", Fingerprint: key.Fingerprint(), KeySince: time.Now(), Connected: true, LastLook: time.Now()})
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

// TestNothingIsLeftOpen: pages, tabs and dialogs that were opened and closed a
// hundred times, and the output of a hundred commands, leave no object behind.
func TestNothingIsLeftOpen(t *testing.T) {
	s := open(t)
	r := s.page("run").(*runPage)
	k := s.page("key").(*keyPage)
	steps := map[string]func(){
		"pages": func() {
			for _, name := range Pages() {
				s.Show(name)
			}
		},
		"a tab": func() {
			t := r.anotherTab()
			t.Editor.Buffer().SetText("hostname")
			stage.Settle()
			r.Tabs.ClosePage(t.tab)
		},
		"output": func() {
			t := r.task()
			flow := t.stream.Begin()
			t.become(progress{phase: running})
			for i := range 300 {
				fmt.Fprintf(flow.Stdout(), "line %d\n", i)
				fmt.Fprintf(flow.Stderr(), "error %d\n", i)
			}
			t.stream.Refresh()
			t.become(progress{phase: ended, outcome: client.Outcome{State: queue.StateExit, Signed: true}})
			t.Words.SetText("line 2")
			t.finder.begin()
			stage.Settle()
			t.finder.end()
		},
		"import":     func() { k.importKey(); s.closeAll() },
		"shortcuts":  func() { s.Shortcuts("/org/qvmremote/Client/ui/shortcuts.ui"); s.closeAll() },
		"a question": func() { k.generate(); s.closeAll() },
		"standing": func() {
			now := s.now
			now.Connected = !now.Connected
			s.report(now)
		},
	}
	maps.Copy(steps, listSteps(t, s))
	maps.Copy(steps, backupSteps(t, s))
	for _, name := range slices.Sorted(maps.Keys(steps)) {
		stage.NothingLeft(t, name, steps[name])
	}
}
