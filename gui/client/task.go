//go:build gtk

package client

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/diamondburned/gotk4-adwaita/pkg/adw"
	"github.com/diamondburned/gotk4/pkg/gtk/v4"

	"qvmremote/client"
	"qvmremote/queue"
	"qvmremote/ui"
	"qvmremote/ui/i18n"
)

// taskView is resources/client/run.ui.
type taskView struct {
	Root      *gtk.Paned
	Editor    *gtk.TextView
	Controls  *gtk.Box
	Timeout   *gtk.SpinButton
	Input     *gtk.Button
	InputName *gtk.Label
	NoInput   *gtk.Button
	Copy      *gtk.Button
	Cancel    *gtk.Button
	Run       *gtk.Button
	Result    *gtk.Stack
	Hint      *gtk.Label
	Icon      *gtk.Image
	State     *gtk.Label
	Detail    *gtk.Label
	Trust     *gtk.Box
	Tools     *gtk.Box
	Search    *gtk.Button
	More      *gtk.MenuButton
	Finder    *gtk.Revealer
	Words     *gtk.SearchEntry
	Found     *gtk.Label
	Previous  *gtk.Button
	Next      *gtk.Button
	Output    *gtk.Box
	Left      *gtk.Label
}

// task is one tab: a command, and what became of it when it was run last.
type task struct {
	taskView
	*desk
	page   *runPage
	number uint64 // no other tab has it, nor had it
	scope  *ui.Scope
	tab    *adw.TabPage
	stream *ui.Stream
	finder *finder
	trust  ui.Pill
	input  string // path of the file for standard input, "" for none
	chosen *gtk.FileChooserNative

	run       *ui.Scope // of the command under way; nil for none
	sending   *ui.Scope // within run, of what comes before there is a ticket
	progress  progress
	ticket    *client.Ticket // nil before it was submitted
	asked     bool           // it is being cancelled
	cancelled func()         // to be done once it has ended after that
	stopClock func()
	rearm     func() // gives up waiting for the end of a gesture; nil where Run can be pressed
}

func newTask(r *runPage) (*task, error) {
	t := &task{desk: r.desk, page: r, number: r.made, scope: ui.NewScope(r.scope), trust: ui.NewPill(), stopClock: func() {}}
	if err := ui.Fill(&t.taskView, "/org/qvmremote/Client/ui/run.ui"); err != nil {
		return nil, err
	}
	t.stream = ui.NewStream(t.scope, i18n.T("Output"), t.outputGrew)
	t.stream.SetVExpand(true)
	t.Output.Append(t.stream)
	t.More.SetMenuModel(r.Menu)
	t.trust.SetVisible(false)
	t.Trust.Append(t.trust)
	t.finder = newFinder(t)
	s := t.scope
	buffer := t.Editor.Buffer()
	s.Bind(buffer, buffer.ConnectChanged(func() {
		t.title()
		t.show()
	}))
	s.Bind(t.Run, t.Run.ConnectClicked(t.start))
	s.Bind(t.Cancel, t.Cancel.ConnectClicked(t.cancel))
	s.Bind(t.Input, t.Input.ConnectClicked(t.chooseInput))
	s.Bind(t.NoInput, t.NoInput.ConnectClicked(func() { t.setInput("") }))
	s.Bind(t.Copy, t.Copy.ConnectClicked(t.copyLine))
	s.Bind(t.Search, t.Search.ConnectClicked(t.finder.begin))
	t.addActions()
	t.setInput("")
	t.show()
	return t, nil
}

func (t *task) close() {
	t.stopClock()
	t.scope.Close()
}

// script is what is written.
func (t *task) script() string {
	b := t.Editor.Buffer()
	start, end := b.Bounds()
	return b.Text(start, end, true)
}

// busy reports whether a command has not ended.
func (t *task) busy() bool { return t.run != nil }

// begun reports whether there is a command that was run.
func (t *task) begun() bool { return t.progress.phase != idle }

// title names the tab by the beginning of its script.
func (t *task) title() {
	if t.tab == nil {
		return
	}
	line, _, _ := strings.Cut(strings.TrimSpace(t.script()), "\n")
	if line == "" {
		line = i18n.T("New command")
	}
	t.tab.SetTitle(queue.Plain(line, 60))
}

func (t *task) narrow(narrow bool) {
	orientation := gtk.OrientationHorizontal
	if narrow {
		orientation = gtk.OrientationVertical
	}
	t.Controls.SetOrientation(orientation)
}

// chooseInput asks for the file that becomes standard input.
func (t *task) chooseInput() {
	c := gtk.NewFileChooserNative(i18n.T("Standard input for the command"), t.over(), gtk.FileChooserActionOpen, i18n.T("Choose"), i18n.T("Cancel"))
	c.SetModal(true)
	t.chosen = c
	c.ConnectResponse(func(response int) {
		t.chosen = nil
		if response == int(gtk.ResponseAccept) && c.File() != nil {
			t.setInput(c.File().Path())
		}
	})
	c.Show()
}

func (t *task) setInput(path string) {
	t.input = path
	text := i18n.T("Input…")
	if path != "" {
		text = queue.Plain(filepath.Base(path), 200)
	}
	t.InputName.SetText(text)
	ui.Name(t.Input, i18n.T("Standard input: %s", text))
	t.NoInput.SetVisible(path != "")
}

// copyLine copies what does the same in a terminal.
func (t *task) copyLine() {
	t.Timeout.Update() // what is typed there counts, too
	t.Copy.Clipboard().SetText(commandLine(t.script(), t.Timeout.ValueAsInt(), t.input))
	t.toast(i18n.T("The command line for a terminal is in the clipboard."))
}

// tick shows how long it has been, as long as it runs and is seen.
func (t *task) tick() {
	t.stopClock()
	if t.busy() {
		t.stopClock = ui.After(t.scope, uint(time.Second/time.Millisecond), func() {
			t.show()
			t.tick()
		})
	}
}

// cancel takes the command back, in dom0 as well.
func (t *task) cancel() {
	if !t.busy() || t.asked {
		return
	}
	t.asked = true
	t.show()
	if t.ticket == nil {
		t.sending.Close() // what is sent nevertheless is taken back then
		return
	}
	t.takeBack()
}

// takeBack cancels what was sent.
func (t *task) takeBack() {
	ticket, run := t.ticket, t.run
	look(run, func(ctx context.Context) (untaken bool, err error) {
		_, err = t.queue.Cancel(ctx, ticket)
		_, there := os.Lstat(t.queue.Layout.Running(ticket.ID))
		return errors.Is(there, fs.ErrNotExist), err
	}, func(untaken bool, err error) {
		if err == nil || t.run != run {
			return // who waits for the command learns how it ended
		}
		unsure := errors.Is(err, client.ErrNotConfirmed)
		if unsure && untaken && t.progress.phase == queued {
			t.finish(run, client.Outcome{}, err) // nobody is there to answer
			return
		}
		t.asked = false
		t.progress.note, t.progress.unsure = sentence(err), unsure
		t.show()
	})
}
