package desktop

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
)

const (
	noticesPath = "/org/freedesktop/Notifications"
	noticesName = "org.freedesktop.Notifications"
)

// Notices is the desktop's service for notifications.
type Notices struct {
	Titles  chan string   // of each as it comes; "" where one is taken back
	Offered chan []string // what each offers: names, each followed by what it says

	conn    *dbus.Conn
	answers chan *dbus.Message // to what it asks itself
	mu      sync.Mutex
	last    shown
}

// shown is the newest notification.
type shown struct {
	number uint32
	sender dbus.Variant
	app    string // by its desktop file
}

// noticesMost is how many may come before anybody looks at them.
const noticesMost = 100

// Notices gives the desktop such a service, for the time of the test.
func (d *Desktop) Notices(t testing.TB) *Notices {
	t.Helper()
	n := &Notices{Titles: make(chan string, noticesMost), Offered: make(chan []string, noticesMost),
		answers: make(chan *dbus.Message, noticesMost), conn: d.Session.Connect(t)}
	if _, err := n.conn.RequestName(noticesName, 0); err != nil {
		t.Fatal(err)
	}
	calls := make(chan *dbus.Message, noticesMost)
	n.conn.Eavesdrop(calls)
	go func() {
		for m := range calls { // until the connection is closed
			switch m.Type {
			case dbus.TypeMethodCall:
				n.answer(m)
			case dbus.TypeMethodReply, dbus.TypeError:
				n.answers <- m
			}
		}
	}()
	return n
}

// Await waits for the next one, or "" for that one is taken back.
func (n *Notices) Await(t testing.TB, want string) {
	t.Helper()
	select {
	case title := <-n.Titles:
		if title != want {
			t.Errorf("the desktop was told %q, want %q", title, want)
		}
	case <-time.After(patience):
		t.Fatalf("the desktop was not told %q", want)
	}
}

// Press presses the newest notification, "default", or what it offers, as soon as
// its program can know by which number it was shown.
func (n *Notices) Press(t testing.TB, action string) {
	t.Helper()
	n.mu.Lock()
	last := n.last
	n.mu.Unlock()
	// GLib takes in the answer in two turns of the program's main loop, a signal in
	// one. What is asked here waits for a turn as well.
	for range 2 {
		n.ask(t, last)
	}
	if err := n.conn.Emit(noticesPath, noticesName+".ActionInvoked", last.number, action); err != nil {
		t.Fatal(err)
	}
}

// ask asks a program something that its main loop answers.
func (n *Notices) ask(t testing.TB, last shown) {
	t.Helper()
	n.conn.Send(&dbus.Message{Type: dbus.TypeMethodCall, Headers: map[dbus.HeaderField]dbus.Variant{
		dbus.FieldDestination: last.sender,
		dbus.FieldPath:        dbus.MakeVariant(dbus.ObjectPath("/" + strings.ReplaceAll(last.app, ".", "/"))),
		dbus.FieldInterface:   dbus.MakeVariant("org.freedesktop.DBus.Properties"),
		dbus.FieldMember:      dbus.MakeVariant("Get"),
		dbus.FieldSignature:   dbus.MakeVariant(dbus.SignatureOf("", "")),
	}, Body: []any{"org.gtk.Application", "Busy"}}, make(chan *dbus.Call, 1))
	select {
	case m := <-n.answers:
		if m.Type == dbus.TypeError {
			t.Fatalf("%s does not say whether it is busy: %v", last.app, m.Body)
		}
	case <-time.After(patience):
		t.Fatalf("%s does not answer", last.app)
	}
}

// answer answers a call, as org.freedesktop.Notifications says, and tells the
// test of it after that.
func (n *Notices) answer(call *dbus.Message) {
	switch member, _ := call.Headers[dbus.FieldMember].Value().(string); member {
	case "GetCapabilities":
		n.reply(call, []string{"actions", "body"})
	case "Notify":
		var replaced uint32
		var title, rest string
		var actions []string
		var hints map[string]dbus.Variant
		var expires int32
		if err := dbus.Store(call.Body, &rest, &replaced, &rest, &title, &rest, &actions, &hints, &expires); err != nil {
			title = err.Error() // which no test waits for
		}
		n.reply(call, n.show(replaced, call.Headers[dbus.FieldSender], hints))
		n.Titles <- title
		n.Offered <- actions
	case "CloseNotification":
		n.reply(call)
		n.Titles <- ""
	}
}

// show keeps what is shown, and returns its number.
func (n *Notices) show(replaced uint32, sender dbus.Variant, hints map[string]dbus.Variant) uint32 {
	n.mu.Lock()
	defer n.mu.Unlock()
	number := replaced
	if number == 0 {
		number = n.last.number + 1
	}
	app, _ := hints["desktop-entry"].Value().(string)
	n.last = shown{max(number, n.last.number), sender, app}
	return number
}

// reply returns once the answer is written, if one is wanted. An error is a
// connection that was closed, with the test.
func (n *Notices) reply(call *dbus.Message, body ...any) {
	if call.Flags&dbus.FlagNoReplyExpected != 0 {
		return
	}
	headers := map[dbus.HeaderField]dbus.Variant{
		dbus.FieldDestination: call.Headers[dbus.FieldSender], dbus.FieldReplySerial: dbus.MakeVariant(call.Serial()),
	}
	if len(body) > 0 {
		headers[dbus.FieldSignature] = dbus.MakeVariant(dbus.SignatureOf(body...))
	}
	n.conn.Send(&dbus.Message{Type: dbus.TypeMethodReply, Headers: headers, Body: body}, nil)
}
