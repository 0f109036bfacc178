//go:build gtk

package admin

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/diamondburned/gotk4-adwaita/pkg/adw"
	"github.com/diamondburned/gotk4/pkg/gtk/v4"

	"qvmremote/dbus"
	"qvmremote/gui/say"
	"qvmremote/gui/words"
	"qvmremote/queue"
	"qvmremote/ui"
	"qvmremote/ui/i18n"
)

type requestsView struct {
	Root            *gtk.Stack
	List            *adw.PreferencesGroup
	One             *gtk.ScrolledWindow
	Head            *gtk.Box
	Reading         *gtk.Box
	Spinner         *gtk.Spinner
	Script          *adw.PreferencesGroup
	Input           *adw.PreferencesGroup
	Difference      *adw.PreferencesGroup
	Facts           *adw.PreferencesGroup
	ProblemRevealer *gtk.Revealer
	Problem         *gtk.Label
	Deny            *gtk.Button
	DenySession     *gtk.Button
	Approve         *gtk.Button
	More            *gtk.ToggleButton
	Scopes          *gtk.Revealer
	CommandWhile    *gtk.Button
	CommandBoot     *gtk.Button
	QubeWhile       *gtk.Button
	QubeBoot        *gtk.Button
}

// requests is the page of what waits for somebody to decide, and of one of these
// in full.
type requests struct {
	requestsView
	*desk
	window  *window
	scope   *ui.Scope
	list    rows[dbus.Request]
	scripts map[uint64][]byte // of what waits; nil while it is asked for
	decided uint64            // here, last: the service may not have said so yet
	ticks   bool              // the times are due to be shown anew
	one     *requestPane
}

func newRequests(w *window) (page, error) {
	q := &requests{desk: w.desk, window: w, scope: ui.NewScope(w.scope), scripts: map[uint64][]byte{}}
	if err := ui.Fill(&q.requestsView, "/org/qvmremote/Admin/ui/requests.ui"); err != nil {
		return nil, err
	}
	q.list = rows[dbus.Request]{group: q.List, make: q.newRow}
	q.one = newRequestPane(q)
	q.scope.Bind(q.Root, q.Root.ConnectMap(q.showAll))
	q.showAll()
	return q, nil
}

func (q *requests) Widget() gtk.Widgetter    { return q.Root }
func (q *requests) Shown()                   { q.readScripts() }
func (q *requests) Hidden()                  {}
func (q *requests) Narrow(bool)              {}
func (q *requests) find()                    {}
func (q *requests) Leave()                   { q.one.end() }
func (q *requests) close()                   { q.scope.Close() }
func (q *requests) report(bool, []dbus.News) { q.readScripts(); q.showAll() }
func (q *requests) waiting() []dbus.Request  { return without(q.now.Requests, q.decided) }

// inner is who asks for what is open.
func (q *requests) Inner() string {
	if !q.one.open {
		return ""
	}
	return i18n.T("Request of %s", q.one.now.Qube)
}

// open opens the request of that number, if it waits.
func (q *requests) open(number string) {
	n, err := strconv.ParseUint(number, 10, 64)
	i := slices.IndexFunc(q.waiting(), func(r dbus.Request) bool { return r.Number == n })
	if err != nil || i < 0 {
		q.toast(i18n.T("That request waits no more."))
		return
	}
	q.one.begin(q.waiting()[i])
	q.showAll()
}

// without are those that wait but for the one of a number.
func without(all []dbus.Request, number uint64) []dbus.Request {
	return slices.DeleteFunc(slices.Clone(all), func(r dbus.Request) bool { return r.Number == number })
}

// showAll shows the list, one request, or that there is none.
func (q *requests) showAll() {
	all := q.waiting()
	q.list.show(all)
	q.one.report(q.now.Requests)
	switch {
	case q.one.open:
		q.Root.SetVisibleChildName("one")
	case len(all) == 0:
		q.Root.SetVisibleChildName("none")
	default:
		q.Root.SetVisibleChildName("list")
	}
	q.tick()
}

// tick has the times shown anew with the next second, while they are to be seen:
// without a request, or on another page, nothing wakes.
func (q *requests) tick() {
	if q.ticks || !q.Root.Mapped() || len(q.now.Requests) == 0 {
		return
	}
	q.ticks = true
	next := time.Second - time.Duration(time.Now().Nanosecond())
	ui.After(q.scope, uint(next/time.Millisecond)+1, func() {
		q.ticks = false
		q.showAll()
	})
}

// newRow is a request that waits: who, how it begins, for how long.
func (q *requests) newRow() shownRow[dbus.Request] {
	scope := ui.NewScope(q.scope)
	row, chip, left := ui.NewRow(), ui.NewChip(), ui.NewPill()
	row.AddPrefix(chip)
	row.AddSuffix(left)
	row.SetActivatable(true)
	var now dbus.Request
	line := ""
	scope.Bind(row, row.ConnectActivated(func() { q.window.openRequest(now.Number) }))
	return shownRow[dbus.Request]{widget: row, close: scope.Close, set: func(r dbus.Request) {
		if said := words.RequestLine(r, q.scripts[r.Number]); r != now || said != line {
			now, line = r, said
			chip.SetColour(q.labels[r.Qube])
			row.Set(r.Qube, line)
			ui.Name(row, i18n.T("%s, label %s, %s", r.Qube, q.labels[r.Qube], queue.Plain(line, 200)))
		}
		left.Set(words.Left(r.Expires, time.Now()), leftTone(r))
	}}
}

// leftTone warns where the time is nearly over.
func leftTone(r dbus.Request) string {
	if time.Until(r.Expires) < 30*time.Second {
		return string(say.Warn)
	}
	return string(say.Quiet)
}

// readScripts asks for what begins the rows, once for each request; who may not
// see it, sees it nowhere.
func (q *requests) readScripts() {
	if !q.usable() || q.window.Current() != "requests" {
		return
	}
	waits := map[uint64]bool{}
	for _, r := range q.now.Requests {
		waits[r.Number] = true
		if _, asked := q.scripts[r.Number]; asked {
			continue
		}
		q.scripts[r.Number] = nil
		look(q.desk, q.scope, func(ctx context.Context, c *dbus.Client) ([]byte, error) { return scriptOf(ctx, c, r) },
			func(script []byte, err error) {
				if _, still := q.scripts[r.Number]; still && err == nil {
					q.scripts[r.Number] = script
					q.showAll()
				}
			})
	}
	for number := range q.scripts {
		if !waits[number] {
			delete(q.scripts, number)
		}
	}
}

// scriptOf is the script of a request without its input.
func scriptOf(ctx context.Context, c *dbus.Client, r dbus.Request) ([]byte, error) {
	r.StdinSize = -1
	script, _, _, err := c.RequestBytes(ctx, r)
	return script, err
}
