package desktop

import (
	"sync/atomic"
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

	conn *dbus.Conn
	last atomic.Uint32 // number of the newest
}

// noticesMost is how many may come before anybody looks at them.
const noticesMost = 100

// Notices gives the desktop such a service, for the time of the test.
func (d *Desktop) Notices(t testing.TB) *Notices {
	t.Helper()
	n := &Notices{Titles: make(chan string, noticesMost), Offered: make(chan []string, noticesMost), conn: d.Session.Connect(t)}
	if err := n.conn.Export(board{n}, noticesPath, noticesName); err != nil {
		t.Fatal(err)
	}
	if _, err := n.conn.RequestName(noticesName, 0); err != nil {
		t.Fatal(err)
	}
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

// Press presses the newest notification, "default", or what it offers.
func (n *Notices) Press(t testing.TB, action string) {
	t.Helper()
	if err := n.conn.Emit(noticesPath, noticesName+".ActionInvoked", n.last.Load(), action); err != nil {
		t.Fatal(err)
	}
}

// board is what programs call.
type board struct{ n *Notices }

// GetCapabilities says that it shows buttons.
func (board) GetCapabilities() ([]string, *dbus.Error) { return []string{"actions", "body"}, nil }

// Notify shows one, as org.freedesktop.Notifications says.
func (b board) Notify(_ string, replaced uint32, _, title, _ string, actions []string, _ map[string]dbus.Variant, _ int32) (uint32, *dbus.Error) {
	number := replaced
	if number == 0 {
		number = b.n.last.Add(1)
	}
	b.n.Titles <- title
	b.n.Offered <- actions
	return number, nil
}

// CloseNotification takes one back.
func (b board) CloseNotification(uint32) *dbus.Error {
	b.n.Titles <- ""
	return nil
}
