package polkit_test

import (
	"errors"
	"reflect"
	"testing"

	"github.com/godbus/dbus/v5"

	"qvmremote/test/bus"
	"qvmremote/test/bus/polkit"
)

type answer struct {
	Yes, Challenge bool
	Details        map[string]string
}

func ask(conn *dbus.Conn, action string, flags uint32, cancel string) (a answer, err error) {
	subject := struct {
		Kind    string
		Details map[string]dbus.Variant
	}{"system-bus-name", map[string]dbus.Variant{"name": dbus.MakeVariant(":1.7")}}
	err = conn.Object(polkit.Name, polkit.Path).Call(polkit.Interface+".CheckAuthorization", 0,
		subject, action, map[string]string{}, flags, cancel).Store(&a)
	return a, err
}

func errorName(err error) string {
	var e dbus.Error
	if errors.As(err, &e) {
		return e.Name
	}
	return ""
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	b := bus.Start(t)
	f, conn := polkit.Start(t, b), b.Connect(t)
	if a, err := ask(conn, "x.a", 0, ""); err != nil || a.Yes {
		t.Errorf("before anything is allowed: %+v, %v", a, err)
	}
	f.SetAllowed("x.a")
	for _, c := range []struct {
		answer         polkit.Answer
		action         string
		flags          uint32
		yes, challenge bool
	}{
		{polkit.ByList, "x.a", 0, true, false},
		{polkit.ByList, "x.b", 0, false, false},
		{polkit.Password, "x.b", 0, false, true},
		{polkit.Password, "x.b", polkit.AllowInteraction, true, false},
		{polkit.Challenge, "x.a", polkit.AllowInteraction, false, true},
		{polkit.Dismissed, "x.a", polkit.AllowInteraction, false, false},
	} {
		f.SetAnswer(c.answer)
		if a, err := ask(conn, c.action, c.flags, ""); err != nil || a.Yes != c.yes || a.Challenge != c.challenge {
			t.Errorf("%+v: %+v, %v", c, a, err)
		}
	}
	f.SetAnswer(polkit.Failure)
	if _, err := ask(conn, "x.a", 0, ""); errorName(err) != "org.freedesktop.PolicyKit1.Error.Failed" {
		t.Errorf("failure: %v", err)
	}
	f.SetAnswer(polkit.Garbage)
	if _, err := ask(conn, "x.a", 0, ""); err == nil {
		t.Error("garbage was taken for an answer")
	}
}

func TestHangIsRecordedAndCancelled(t *testing.T) {
	t.Parallel()
	b := bus.Start(t)
	f, conn := polkit.Start(t, b), b.Connect(t)
	f.SetAnswer(polkit.Hang)
	done := make(chan error, 1)
	go func() {
		_, err := ask(conn, "x.a", polkit.AllowInteraction, "one")
		done <- err
	}()
	f.Await(t, 1, 0)
	want := polkit.Call{Kind: "system-bus-name", Subject: ":1.7", Action: "x.a",
		Details: map[string]string{}, Flags: polkit.AllowInteraction, Cancel: "one"}
	if got := f.Calls()[0]; !reflect.DeepEqual(got, want) {
		t.Errorf("recorded %+v, want %+v", got, want)
	}
	if err := conn.Object(polkit.Name, polkit.Path).Call(polkit.Interface+".CancelCheckAuthorization", 0, "one").Err; err != nil {
		t.Fatal(err)
	}
	if err := <-done; errorName(err) != "org.freedesktop.PolicyKit1.Error.Cancelled" {
		t.Errorf("the cancelled question ended with %v", err)
	}
	if got := f.Cancelled(); !reflect.DeepEqual(got, []string{"one"}) {
		t.Errorf("cancelled %q", got)
	}
	f.Forget()
	if len(f.Calls())+len(f.Cancelled()) != 0 {
		t.Error("the record is not empty")
	}
}

func TestStopLeavesTheBus(t *testing.T) {
	t.Parallel()
	b := bus.Start(t)
	f, conn := polkit.Start(t, b), b.Connect(t)
	f.SetAnswer(polkit.Hang)
	done := make(chan error, 1)
	go func() {
		_, err := ask(conn, "x.a", 0, "one")
		done <- err
	}()
	f.Await(t, 1, 0)
	f.Stop()
	if err := <-done; errorName(err) != "org.freedesktop.DBus.Error.NoReply" {
		t.Errorf("the question that polkit left behind ended with %v", err)
	}
}
