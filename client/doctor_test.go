package client_test

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"qvmremote/client"
	"qvmremote/client/dom0test"
	"qvmremote/queue"
)

// finding looks one check up, which must be there.
func finding(t *testing.T, c *client.Client, check string) client.Finding {
	t.Helper()
	for _, f := range c.Doctor(limited(t)) {
		if f.Check == check {
			if f.Severity == client.Problem && f.Next == "" {
				t.Fatalf("%s: no next step for %q", check, f.Cause)
			}
			return f
		}
	}
	t.Fatalf("the doctor does not look at %s", check)
	return client.Finding{}
}

func expect(t *testing.T, f client.Finding, severity client.Severity, about string) {
	t.Helper()
	if f.Severity != severity || !strings.Contains(f.Cause+" → "+f.Next, about) {
		t.Fatalf("%+v, want %s about %q", f, severity, about)
	}
}

func TestDoctorInTheQube(t *testing.T) {
	t.Parallel()
	c := newQube(t)
	expect(t, finding(t, c, "key"), client.OK, "fingerprint")
	expect(t, finding(t, c, "connection"), client.Problem, "never looked")
	if err := os.Chmod(c.Layout.Key(), 0o644); err != nil {
		t.Fatal(err)
	}
	expect(t, finding(t, c, "folder"), client.Warning, "the key; that is closed now")
	if err := os.Chmod(c.Layout.PendingDir(), 0o755); err != nil {
		t.Fatal(err)
	}
	expect(t, finding(t, c, "folder"), client.Warning, "closed now")
	expect(t, finding(t, c, "folder"), client.OK, "")
	if err := os.Remove(c.Layout.Key()); err != nil {
		t.Fatal(err)
	}
	expect(t, finding(t, c, "key"), client.Problem, "qvm-remote-dom0 authorize work")
	c.Legacy = true
	expect(t, finding(t, c, "key"), client.Problem, "qvm-remote-dom0 authorize --legacy work")
	c.Legacy = false
	if err := os.WriteFile(c.Layout.Name(), []byte("former"), 0o600); err != nil {
		t.Fatal(err)
	}
	expect(t, finding(t, c, "name"), client.Problem, "former")
	expect(t, finding(t, c, "disposable"), client.OK, "")
	c.Database = func(context.Context, string) (string, error) { return "none", nil }
	expect(t, finding(t, c, "disposable"), client.Warning, "vanish")
	if err := queue.Publish(c.Layout.Body("orphan"), nil); err != nil {
		t.Fatal(err)
	}
	later(c, time.Hour)
	expect(t, finding(t, c, "queue"), client.Warning, "queue clean")
	if err := os.RemoveAll(c.Layout.Root); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(c.Layout.Root, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	expect(t, finding(t, c, "folder"), client.Problem, "not a folder")
}

func TestDoctorAsksDom0(t *testing.T) {
	t.Parallel()
	for name, try := range map[string]struct {
		d        *dom0test.Dom0
		severity client.Severity
		about    string
	}{
		"well":       {&dom0test.Dom0{}, client.OK, "knows the key"},
		"bad result": {&dom0test.Dom0{Sign: func(r *queue.Result) { r.ID = "other" }}, client.Problem, "another request"},
		"interrupted": {&dom0test.Dom0{Sign: func(r *queue.Result) { r.State = queue.StateInterrupted }},
			client.Problem, "interrupted"},
		"clock": {&dom0test.Dom0{Refuse: func(*queue.Request) *queue.Denial { return &queue.Denial{Reason: queue.Stale} }},
			client.Problem, "qvm-sync-clock"},
		"other qube": {&dom0test.Dom0{Refuse: func(*queue.Request) *queue.Denial { return &queue.Denial{Reason: queue.WrongQube} }},
			client.Problem, "another qube's"},
		"bad mac": {&dom0test.Dom0{Refuse: func(*queue.Request) *queue.Denial { return &queue.Denial{Reason: queue.BadMAC} }},
			client.Problem, "keys differ"},
		"limit": {&dom0test.Dom0{Refuse: func(*queue.Request) *queue.Denial { return &queue.Denial{Reason: queue.Limit} }},
			client.Problem, "audit show"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newQube(t)
			serve(t, c, try.d)
			expect(t, finding(t, c, "dom0"), try.severity, try.about)
			emptyQueue(t, c)
		})
	}
}

func TestDoctorWithoutAnAnswer(t *testing.T) {
	t.Parallel()
	c := newQube(t)
	c.Waits.Ping = 20 * time.Millisecond
	serve(t, c, &dom0test.Dom0{Ignore: true})
	expect(t, finding(t, c, "dom0"), client.Problem, "does not answer")
	emptyQueue(t, c)
}

func TestDoctorNoKeyInDom0(t *testing.T) {
	t.Parallel()
	c := newQube(t)
	connect(t, c, &dom0test.Dom0{Qube: "work"})
	expect(t, finding(t, c, "dom0"), client.Problem, "authorize")
}
