package e2e

import (
	"context"
	"strings"
	"syscall"
	"testing"

	"qvmremote/daemon"
	"qvmremote/test/sim"
)

// askingEvery starts the daemon with that pause between looks at power states,
// once the qubes are as they should be.
func (h *house) askingEvery(pause string) *dom0 {
	h.t.Helper()
	cmd := h.Dom0Command(context.Background(), programs.self, "--root", h.Dom0())
	cmd.Env = append(cmd.Env, roleVar+"=daemon", clockVar+"="+h.clock, powerVar+"="+pause)
	return h.launch(cmd)
}

// seen waits until the daemon says that the qube is in that state.
func (q *qube) seen(state string) {
	q.t.Helper()
	await(q.t, q.Name+" to be "+state, func() bool {
		st, err := daemon.ReadStatus(q.h.root.Status())
		for _, one := range st.Qubes {
			if err == nil && one.Name == q.Name && one.State == state {
				return true
			}
		}
		return false
	})
}

// unfollowed reports whether the daemon's health says that power states are not
// followed.
func (h *house) unfollowed() bool {
	st, err := daemon.ReadStatus(h.root.Status())
	for _, one := range st.Health {
		if one.Code == "events" {
			return true
		}
	}
	return err != nil
}

const followed = "power states are followed"

// TestPowerStatesAreFollowed: a daemon that would look again in an hour learns
// of each change at once.
func TestPowerStatesAreFollowed(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "work", "third")
	other := h.qube("other", sim.Halted)
	h.configure("QVM_REMOTE_VMS=work third other later")
	work, third := h.of("work"), h.of("third")
	third.SetState(sim.Paused)
	d := h.askingEvery("1h")
	await(t, "the daemon to follow", func() bool { return d.said.has(followed) })
	work.works()
	third.seen("Paused")
	third.SetState(sim.Running)
	third.works()
	other.seen("Halted")
	other.SetState(sim.Running)
	other.works()
	other.SetState(sim.Halted)
	other.seen("Halted")
	other.SetState(sim.Paused)
	other.seen("Paused")
	other.SetState(sim.Running)
	other.works()
	work.Remove()
	work.seen("no such qube")
	h.qube("later", sim.Running).works()
}

// TestIdleDom0CallsNoTool: however often the daemon would look.
func TestIdleDom0CallsNoTool(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "work")
	others := []*qube{h.qube("halted", sim.Halted), h.qube("paused", sim.Running)}
	others[1].SetState(sim.Paused)
	h.configure("QVM_REMOTE_VMS=work halted paused missing")
	d := h.askingEvery("1ms")
	await(t, "the daemon to follow", func() bool { return d.said.has(followed) })
	h.of("work").works()
	others[0].seen("Halted")
	others[1].seen("Paused")
	before := h.Calls("qvm-ls")
	for range 3 {
		for _, q := range others {
			q.Event("domain-qdb-change:/x", "path", "/x")
			q.Event("domain-is-fully-usable")
			q.Event("property-set:memory", "name", "memory", "newvalue", "400")
		}
		h.of("work").works()
	}
	if n := h.Calls("qvm-ls") - before; n > 0 {
		t.Errorf("qvm-ls was called %d times while nothing happened", n)
	}
	if h.unfollowed() {
		t.Error("the daemon's health says that states are not followed")
	}
}

// TestAQubeThatShutsDownIsNotCalled: dom0's tools say that it runs until it is
// down; a call then could start it again.
func TestAQubeThatShutsDownIsNotCalled(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "work")
	q := h.of("work")
	d := h.askingEvery("1h")
	await(t, "the daemon to follow", func() bool { return d.said.has(followed) })
	q.works()
	q.Event("domain-pre-shutdown", "force", "False")
	h.loseConnection()
	q.seen("Halting")
	before := h.Calls(tool())
	q.Event("domain-paused") // a reason to look, not to call
	q.Event("domain-unpaused")
	q.seen("Halting")
	if n := h.Calls(tool()) - before; n > 0 {
		t.Errorf("it was called %d times", n)
	}
	q.Event("domain-shutdown-failed", "reason", "it would not")
	q.works()
}

// loseConnection kills the call that the daemon made last.
func (h *house) loseConnection() {
	h.t.Helper()
	calls, err := h.World.World.Calls()
	must(h.t, err)
	pid := 0
	for _, c := range calls {
		if c.Tool == tool() {
			pid = c.Pid
		}
	}
	if pid == 0 {
		h.t.Fatalf("no %s was called", tool())
	}
	if err := syscall.Kill(-pid, syscall.SIGKILL); err != nil && by != "poll" { // whose calls are over soon
		h.t.Fatal(err)
	}
}

// TestWithoutEventsQubesAreAskedFor: whatever becomes of the socket, a qube that
// starts is found, the daemon says that it asks, once, and it follows again as
// soon as it can.
func TestWithoutEventsQubesAreAskedFor(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	q := h.qube("work", sim.Halted)
	h.configure("QVM_REMOTE_VMS=work")
	h.SetKnob(sim.Events, "absent")
	d := h.quick()
	await(t, "the daemon to ask", func() bool { return d.said.has("power states are asked for") })
	q.SetState(sim.Running)
	q.works()
	if h.unfollowed() {
		t.Error("that there is no qubesd is shown as a trouble")
	}
	for _, mode := range []string{"garbage", "stall", "close", "refuse", "absent"} {
		q.SetState(sim.Halted)
		h.SetKnob(sim.Events, "")
		await(t, "the daemon to follow again after "+mode, func() bool { return !h.unfollowed() && strings.Count(d.said.String(), followed) > 0 })
		q.seen("Halted")
		h.SetKnob(sim.Events, mode)
		await(t, "the daemon's health to tell of "+mode, h.unfollowed)
		q.SetState(sim.Running)
		q.works()
	}
	if n := strings.Count(d.said.String(), "refuses to tell of events"); n > 1 {
		t.Errorf("it was said %d times that qubesd refuses", n)
	}
}
