package e2e

import (
	"bytes"
	"context"
	"os"
	"strings"
	"sync"
	"testing"

	"qvmremote/daemon/audit"
	"qvmremote/queue"
	"qvmremote/test/sim"
)

// admin runs the administrator's program in dom0.
func (h *house) admin(stdin string, args ...string) ran {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := h.Dom0Command(ctx, programs.dom0, append([]string{"--root", h.Dom0()}, args...)...)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &errs
	return ran{exitCode(h.t, cmd.Run()), out.String(), errs.String()}
}

// done is admin for what must succeed.
func (h *house) done(stdin string, args ...string) ran {
	h.t.Helper()
	r := h.admin(stdin, args...)
	if r.code != 0 {
		h.t.Fatalf("%v: %+v", args, r)
	}
	return r
}

// TestFromNothing is the first day: a qube makes a key, dom0 authorises it,
// looks at what happened, and takes the key away again.
func TestFromNothing(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "other")
	h.World.Qube("work", sim.Halted)
	bare := &qube{Qube: h.Get("work"), h: h, t: t, layout: h.of("other").layout}
	bare.layout.Root = strings.Replace(bare.layout.Root, "/other/", "/work/", 1)
	bare.Install(programs.client, "qvm-remote")
	bare.SetState(sim.Running)
	h.quick()
	h.of("other").works()
	if r := bare.run("key", "gen"); r.code != 0 {
		t.Fatalf("%+v", r)
	}
	key := strings.TrimSpace(bare.run("key", "show").out)
	h.done(key+"\n", "authorize", "work")
	q := h.of("work")
	q.works()
	// what the administrator sees
	keys := h.done("", "keys")
	if !strings.Contains(keys.out, "work") || !strings.Contains(keys.out, q.key.Fingerprint()) || strings.Contains(keys.out, key[:16]) {
		t.Errorf("keys: %+v", keys)
	}
	if r := h.done("", "status"); !strings.Contains(r.out, "work") || strings.Contains(r.out+r.err, key[:16]) {
		t.Errorf("status: %+v", r)
	}
	// The daemon writes what it tells of its qubes at most every so often.
	await(t, "status tells that the qube is reached by "+by, func() bool {
		return strings.Contains(h.done("", "status", "--json").out, `"transport": "`+by+`"`)
	})
	s := q.put(q.craft("echo proof\n"))
	q.answered(s.ID)
	await(t, "the delivery's record, which the checkpoint needs", func() bool { return h.about(s.ID, audit.Delivered) == 1 })
	if r := h.done("", "audit", "verify", q.checkpoint(s.ID)); !strings.Contains(r.out, "unchanged and in place") {
		t.Errorf("verify: %+v", r)
	}
	if r := h.admin("", "audit", "verify", "sha256:"+strings.Repeat("cd", 32)); r.code != 1 {
		t.Errorf("verify with a checkpoint of no log: %+v", r)
	}
	if r := h.done("", "audit", "show"); !strings.Contains(r.out, "echo proof") || strings.Contains(r.out, key) {
		t.Errorf("show: %+v", r)
	}
	h.done("", "queue", "status")
	// the end
	h.done("", "revoke", "work")
	if r := q.run("touch", "revoked-mark"); r.code != queue.ExitDenied || !strings.Contains(r.err, "denied(no-key)") {
		t.Errorf("after revoke: %+v", r)
	}
	if log := h.log(); strings.Contains(log, key) || strings.Contains(log, key[:32]) {
		t.Error("the key is in the log")
	}
	h.of("other").works()
	h.verified()
}

// TestRotation: both keys count until the new one is used, then only that one.
func TestRotation(t *testing.T) {
	once(t)
	t.Parallel()
	h := newHouse(t, "work")
	h.quick()
	q := h.of("work")
	q.works()
	old, fresh := q.key, queue.GenerateKey()
	h.done(string(fresh.Reveal())+"\n", "rotate", "work")
	q.works()
	q.key = fresh
	first := q.put(q.craft("true\n"))
	await(t, "an answer to the first use of the new key", func() bool {
		return exists(q.layout.Result(first.ID, queue.Exit)) || exists(q.layout.Result(first.ID, queue.Denied))
	})
	if b, err := os.ReadFile(q.layout.Result(first.ID, queue.Denied)); err == nil {
		t.Errorf("the new key: %s", b)
	}
	q.key = old
	late := q.put(q.craft("touch old-key-mark\n"))
	q.refused(late.ID, queue.BadMAC)
	write(t, q.layout.Key(), string(fresh.Reveal()))
	q.works()
	if exists(h.marker("old-key-mark")) {
		t.Error("the old key still counts")
	}
	h.verified()
}

// TestRevokeAndAuthoriseAgain is TestSameKeyAgainRevivesNothing by the
// administrator's program.
func TestRevokeAndAuthoriseAgain(t *testing.T) {
	once(t)
	t.Parallel()
	h := newHouse(t, "work", "other")
	h.configure("QVM_REMOTE_VMS=work other", "QVM_REMOTE_CONCURRENT=1", "QVM_REMOTE_PER_QUBE=1")
	d := h.quick()
	q := h.of("work")
	s := q.ranOnce()
	blocker := q.put(q.craft(hold("release")))
	h.held("release")
	queued := q.put(q.craft(count))
	await(t, "the next to be queued", func() bool { return exists(q.layout.Running(queued.ID)) })
	h.done("", "revoke", "work")
	write(t, h.marker("release"), "")
	q.refused(queued.ID, queue.NoKey)
	h.done(string(q.key.Reveal())+"\n", "authorize", "work")
	q.works()
	q.still(s, 1)
	q.still(queued, 1)
	d.stop()
	h.quick()
	q.still(s, 1)
	q.still(queued, 1)
	q.works()
	if r := q.answered(blocker.ID); r.code != 0 {
		t.Errorf("what ran during the revoke: %+v", r)
	}
	h.verified()
}

// TestAuthoriseRefuses what is no qube, and a key that another has.
func TestAuthoriseRefuses(t *testing.T) {
	once(t)
	t.Parallel()
	h := newHouse(t, "work", "other")
	key := string(queue.GenerateKey().Reveal()) + "\n"
	for _, name := range []string{"dom0", "none", "work-dm", "../work", "no-such-qube", "a b", "$(id)", ""} {
		if r := h.admin(key, "authorize", name); r.code == 0 {
			t.Errorf("authorised %q: %+v", name, r)
		}
	}
	if r := h.admin(string(h.of("work").key.Reveal())+"\n", "authorize", "--replace", "other"); r.code == 0 || !strings.Contains(r.err, "work") {
		t.Errorf("authorised with the key of another: %+v", r)
	}
	for _, bad := range []string{"", "short\n", strings.Repeat("g", 64)} {
		if r := h.admin(bad, "authorize", "other"); r.code == 0 {
			t.Errorf("authorised with %q as its key", bad)
		}
	}
	if entries := mustRead(t, h.root.Keys()); len(entries) > 2+2+1 { // two keys with their rules, one lock
		t.Errorf("files were made: %v", entries)
	}
}

// TestAdministratorAndDaemonAtOnce: one log, whoever writes it.
func TestAdministratorAndDaemonAtOnce(t *testing.T) {
	once(t)
	t.Parallel()
	h := newHouse(t, "work", "other")
	h.World.Qube("third", sim.Halted)
	h.quick()
	h.of("work").works()
	var wg sync.WaitGroup
	wg.Add(1)
	go func() {
		defer wg.Done()
		key := string(queue.GenerateKey().Reveal()) + "\n"
		for range 4 {
			for _, args := range [][]string{{"authorize", "third"}, {"revoke", "third"}} {
				if r := h.admin(key, args...); r.code != 0 {
					t.Errorf("%v: %+v", args, r)
				}
			}
		}
	}()
	var sent []*submission
	for range 8 {
		for _, name := range []string{"work", "other"} {
			q := h.of(name)
			sent = append(sent, q.put(q.craft(count)))
		}
		h.done("", "audit", "verify")
	}
	wg.Wait()
	for _, s := range sent {
		await(t, "every delivery", func() bool { return h.about(s.ID, audit.Delivered) == 1 })
	}
	if n := h.counted(); n != len(sent) {
		t.Errorf("%d commands ran, of %d", n, len(sent))
	}
	authorised, revoked := h.named("third", audit.Authorized), h.named("third", audit.Revoked)
	if authorised != 4 || revoked != 4 {
		t.Errorf("%d records of authorising and %d of revoking, want 4 of each", authorised, revoked)
	}
	if _, err := os.Stat(h.of("work").keyFile()); err != nil {
		t.Error(err)
	}
	h.verified()
}
