package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"qvmremote/daemon/audit"
	"qvmremote/daemon/keys"
	"qvmremote/daemon/paths"
	"qvmremote/queue"
	"qvmremote/test/bus"
)

// office is a house whose daemon is on a message bus, where the administrator's
// program asks it.
type office struct {
	*house
	bus *bus.Bus
	d   *dom0
}

func newOffice(t *testing.T, names ...string) *office {
	t.Helper()
	o := &office{house: newHouse(t, names...), bus: bus.Start(t)}
	o.open()
	return o
}

// open starts the daemon, and waits until it is on the bus.
func (o *office) open() {
	o.t.Helper()
	cmd := o.Dom0Command(context.Background(), programs.dom0, "--root", o.Dom0())
	cmd.Env = append(cmd.Env, paths.BusVar+"="+o.bus.Address)
	o.d = o.launch(cmd)
	// Before it has its lock the program answers without it, from the files.
	c := (&installed{house: o.house, bus: o.bus}).client()
	await(o.t, "the daemon to be on the bus", func() bool {
		there, err := c.Present(context.Background())
		return err == nil && there
	})
}

// ask runs the administrator's program over the bus.
func (o *office) ask(stdin string, args ...string) ran {
	o.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := o.Dom0Command(ctx, programs.dom0, append([]string{"--root", o.Dom0()}, args...)...)
	cmd.Env = append(cmd.Env, paths.BusVar+"="+o.bus.Address)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &errs
	return ran{exitCode(o.t, cmd.Run()), out.String(), errs.String()}
}

// must is ask for what has to succeed.
func (o *office) must(stdin string, args ...string) string {
	o.t.Helper()
	r := o.ask(stdin, args...)
	if r.code != 0 {
		o.t.Fatalf("%v: %+v", args, r)
	}
	return r.out
}

// dies runs the administrator's program until it asks, and kills it.
func (o *office) dies(args ...string) {
	o.t.Helper()
	cmd := o.Dom0Command(context.Background(), programs.dom0, append([]string{"--root", o.Dom0()}, args...)...)
	cmd.Env = append(cmd.Env, paths.BusVar+"="+o.bus.Address)
	var out said
	cmd.Stdout, cmd.Stderr = &out, &out
	_, err := cmd.StdinPipe() // held open, and never written to
	must(o.t, err)
	must(o.t, cmd.Start())
	await(o.t, "the program to ask", func() bool { return out.has("Type 'yes'") })
	must(o.t, cmd.Process.Kill())
	_ = cmd.Wait() // by the signal
}

// waiting is a request as `requests --json` has it.
type waiting struct {
	ID                int64
	Qube, Sha256      string
	Received, Expires time.Time
	Waiting           int
}

// id is dom0's number, as it is typed.
func (w waiting) id() string { return strconv.FormatInt(w.ID, 10) }

// requests waits until a request of the qube waits for approval.
func (o *office) requests(qube string) (found waiting) {
	o.t.Helper()
	await(o.t, qube+" to wait for approval", func() bool {
		var list []waiting
		must(o.t, json.Unmarshal([]byte(o.must("", "requests", "--json")), &list))
		for _, w := range list {
			if w.Qube == qube {
				found = w
			}
		}
		return found.ID != 0
	})
	return found
}

// TestAskedApprovedDenied is a day at dom0's desk.
func TestAskedApprovedDenied(t *testing.T) {
	once(t)
	t.Parallel()
	o := newOffice(t, "work", "other")
	work, other := o.of("work"), o.of("other")
	work.rules("allow echo free\nask **\n")
	work.prints("echo free", "free\n")

	g := work.begin("echo yes; touch approved")
	w := o.requests("work")
	await(t, "the qube's user to read that it waits", func() bool { return strings.Contains(g.err.String(), "waiting for approval in dom0") })
	if !w.Expires.After(w.Received) || len(w.Sha256) != 64 {
		t.Errorf("listed as %+v", w)
	}
	other.works() // nobody else waits
	if r := o.ask("no\n", "approve", w.id()); r.code == 0 || !strings.Contains(r.out, "| echo yes; touch approved") || !strings.Contains(r.out, w.Sha256) {
		t.Errorf("no is no yes: %+v", r)
	}
	o.dies("approve", w.id())
	if r := o.ask("", "approve", w.id(), "--hash", strings.Repeat("0", 64)); r.code == 0 || !strings.Contains(r.err, w.Sha256) {
		t.Errorf("another hash: %+v", r)
	}
	if r := o.ask("", "approve", "999"); r.code == 0 || !strings.Contains(r.err, "no request with the number 999") {
		t.Errorf("an unknown number: %+v", r)
	}
	if exists(o.marker("approved")) {
		t.Fatal("it ran, and nobody approved it")
	}
	o.must("yes\n", "approve", w.id())
	if r := g.end(); r.code != 0 || r.out != "yes\n" || !exists(o.marker("approved")) {
		t.Errorf("approved: %+v", r)
	}

	g = work.begin("touch denied")
	o.must("", "deny", o.requests("work").id())
	if r := g.end(); r.code != queue.ExitDenied || !strings.Contains(r.err, "said no") {
		t.Errorf("denied: %+v", r)
	}
	if r := work.run("touch denied"); r.code != queue.ExitDenied || !strings.Contains(r.err, "a moment ago") {
		t.Errorf("the same again at once: %+v", r)
	}

	r := work.run("--within", "5", "touch late")
	if r.code != queue.ExitDenied || !strings.Contains(r.err, "nobody did in time") {
		t.Errorf("nobody answers: %+v", r)
	}
	if exists(o.marker("denied")) || exists(o.marker("late")) {
		t.Error("what was denied ran")
	}
	for _, r := range o.records() {
		if r.Event == audit.Approved && (r.Hash != w.Sha256 || r.Who == "" || r.Way != "dbus") {
			t.Errorf("recorded as %+v", r)
		}
	}
	o.verified()
}

// prints fails the test unless the script prints that.
func (q *qube) prints(script, want string) {
	q.t.Helper()
	if r := q.run(script); r.code != 0 || r.out != want {
		q.t.Fatalf("%q: %+v", script, r)
	}
}

// TestGrantsOverARestart: what was approved for a while outlives the daemon and
// whoever approved it; the qube's question does not.
func TestGrantsOverARestart(t *testing.T) {
	once(t)
	t.Parallel()
	o := newOffice(t, "work")
	work := o.of("work")
	work.rules("ask **\n")
	g := work.begin("echo again")
	w := o.requests("work")
	o.must("", "approve", w.id(), "--hash", w.Sha256, "--for", "1h")
	if r := g.end(); r.code != 0 {
		t.Fatalf("%+v", r)
	}
	g = work.begin("echo lost")
	o.requests("work")
	o.d.stop()
	if r := g.end(); r.code != queue.ExitInterrupted {
		t.Errorf("what waited when the daemon ended: %+v", r)
	}
	o.open()
	work.prints("echo again", "again\n")
	g = work.begin("echo other")
	o.must("", "deny", o.requests("work").id(), "--until-reboot")
	if r := g.end(); r.code != queue.ExitDenied || !strings.Contains(r.err, "until dom0 reboots") {
		t.Errorf("denied until the reboot: %+v", r)
	}
}

// TestAuthorisedForTwoCommands: a limit is shown, counts over a restart, and is
// extended.
func TestAuthorisedForTwoCommands(t *testing.T) {
	once(t)
	t.Parallel()
	o := newOffice(t, "work")
	work := o.of("work")
	o.must("", "limit", "work", "--count", "2")
	if out := o.must("", "keys"); !strings.Contains(out, "2 of 2 commands left") {
		t.Errorf("keys: %s", out)
	}
	work.prints("echo one", "one\n")
	o.d.stop()
	o.open()
	work.prints("echo two", "two\n")
	if r := work.run("touch three"); r.code != queue.ExitDenied || !strings.Contains(r.err, "that is over") || exists(o.marker("three")) {
		t.Errorf("the third of two: %+v", r)
	}
	await(t, "status to tell that it has ended", func() bool { return strings.Contains(o.must("", "status"), "ENDED") })
	o.must("", "limit", "work", "--for", "2h")
	if out := o.must("", "keys"); !strings.Contains(out, "1h59m") && !strings.Contains(out, "2h0m0s") {
		t.Errorf("keys: %s", out)
	}
	work.prints("echo four", "four\n")
	o.must("", "limit", "work", "--none")
	work.prints("echo five", "five\n")
}

// TestAClockJumpMovesNoGrant: an authorisation for a time ends in that time,
// whatever the wall clock says, and not before.
func TestAClockJumpMovesNoGrant(t *testing.T) {
	once(t)
	t.Parallel()
	h := newHouse(t, "long", "short")
	h.off(-3 * time.Hour)
	h.quick()
	short, long := h.of("short"), h.of("long")
	for _, q := range []*qube{short, long} { // who adopts a key that was placed by hand, says from when on it counts
		meta := filepath.Join(h.root.Keys(), q.Name+".meta")
		await(t, "the daemon to have taken up the key of "+q.Name, func() bool { return exists(meta) })
	}
	h.done("", "limit", "long", "--for", "1h")
	h.done("", "limit", "short", "--for", "3s")
	await(t, "three seconds to end", func() bool {
		id := short.put(short.craft("true")).ID // its client, with the true clock, would not wait
		denied := short.layout.Result(id, queue.Denied)
		await(t, "an answer", func() bool { return exists(denied) || exists(short.layout.Result(id, queue.Exit)) })
		why, err := os.ReadFile(denied)
		if err == nil && !strings.HasPrefix(string(why), string(queue.GrantEnded)+"\n") {
			t.Fatalf("denied: %s", why)
		}
		return err == nil
	})
	h.off(3 * time.Hour)
	if r := long.answered(long.put(long.craft("echo on")).ID); r.code != 0 || r.out != "on\n" {
		t.Errorf("an hour is over after a jump: %+v", r)
	}
}

// TestSuspendedAndResumed: a qube that signs with a wrong key again and again is
// left alone until an administrator says otherwise.
func TestSuspendedAndResumed(t *testing.T) {
	once(t)
	t.Parallel()
	o := newOffice(t, "work", "other")
	work := o.of("work")
	work.rules("allow **\nlimit failures 3\n")
	work.works()
	for range 3 {
		s := work.craft("true")
		s.key = queue.GenerateKey()
		work.put(s.sign())
		work.refused(s.ID, queue.BadMAC)
	}
	await(t, "the qube to be suspended", func() bool { return strings.Contains(o.must("", "keys"), "SUSPENDED") })
	if r := work.run("touch suspended"); r.code != queue.ExitDenied || !strings.Contains(r.err, "resume") || exists(o.marker("suspended")) {
		t.Errorf("suspended: %+v", r)
	}
	o.of("other").works()
	o.must("", "resume", "work")
	work.works()
}

// TestRevokeKills ends what runs, and nobody else's.
func TestRevokeKills(t *testing.T) {
	once(t)
	t.Parallel()
	o := newOffice(t, "work", "other")
	work, other := o.of("work").begin(hold("work-goes-on")), o.of("other").begin(hold("other-goes-on"))
	o.held("work-goes-on")
	o.held("other-goes-on")
	if out := o.must("", "revoke", "work", "--kill"); !strings.Contains(out, "Ended 1 command(s).") {
		t.Errorf("revoke: %s", out)
	}
	if r := work.end(); r.code != queue.ExitCancelled {
		t.Errorf("what ran: %+v", r)
	}
	write(t, o.marker("other-goes-on"), "")
	if r := other.end(); r.code != 0 {
		t.Errorf("another qube's: %+v", r)
	}
	if !exists(filepath.Join(o.root.Keys(), "work.policy")) {
		t.Error("revoke took the rules away")
	}
}

// TestStopEverythingWithWhatWaits: what runs is killed, what waits for its turn
// or for approval is denied, and a restart changes nothing of that.
func TestStopEverythingWithWhatWaits(t *testing.T) {
	once(t)
	t.Parallel()
	o := newOffice(t, "work", "asks")
	o.of("asks").rules("ask **\n")
	var all []*going
	for i := range 6 {
		all = append(all, o.of("work").begin(hold("release-"+strconv.Itoa(i))))
	}
	asked := o.of("asks").begin("touch approved")
	o.requests("asks")
	await(t, "all of them to be taken", func() bool { return o.named("work", audit.Claim) == len(all) })
	await(t, "some of them to run", func() bool { return o.named("work", audit.Run) > 0 })
	must(t, os.WriteFile(o.root.Stop(), nil, 0o600))
	for _, g := range append(all, asked) {
		if r := g.end(); r.code != queue.ExitInterrupted && r.code != queue.ExitDenied {
			t.Errorf("after the stop: %+v", r)
		}
	}
	o.d.stop()
	o.open()
	if out := o.must("", "requests"); !strings.Contains(out, "Nothing waits") {
		t.Errorf("requests: %s", out)
	}
	late := o.of("work").put(o.of("work").craft("echo late"))
	o.must("", "resume")
	if r := o.of("work").answered(late.ID); r.code != 0 || r.out != "late\n" {
		t.Errorf("after the resume: %+v", r)
	}
	if exists(o.marker("approved")) {
		t.Error("what waited for approval ran")
	}
}

// TestAKeyWithoutRules is one that was authorised before there were any.
func TestAKeyWithoutRules(t *testing.T) {
	once(t)
	t.Parallel()
	o := newOffice(t, "work")
	work := o.of("work")
	must(t, os.Remove(filepath.Join(o.root.Keys(), "work.policy")))
	if r := work.run("touch ran"); r.code != queue.ExitDenied || !strings.Contains(r.err, "no rules for this qube") || exists(o.marker("ran")) {
		t.Errorf("without rules: %+v", r)
	}
	if r := o.ask("", "doctor"); r.code == 0 || !strings.Contains(r.out, "no-policy") {
		t.Errorf("doctor: %+v", r)
	}
	store, err := keys.Open(o.root.Keys())
	must(t, err)
	held, err := store.Get("work")
	must(t, err)
	o.must(string(held.Current.Reveal())+"\n", "authorize", "work")
	work.works()
}
