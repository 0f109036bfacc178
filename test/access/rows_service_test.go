package access

import (
	"os"
	"syscall"

	godbus "github.com/godbus/dbus/v5"

	"qvmremote/daemon/admin"
	"qvmremote/daemon/audit"
	"qvmremote/daemon/keys"
	"qvmremote/dbus"
	"qvmremote/queue"
)

// inQube is a row of a method of work's object.
func inQube(method string, r row) row {
	r.iface, r.path, r.method = dbus.QubeInterface, dbus.QubePath("work"), method
	return r
}

// is fails the test unless the executor's state becomes this.
func (m *machine) is(state string) {
	m.t.Helper()
	await(m.t, "state "+state, func() bool { return m.state() == state })
}

// reached waits until the executor has its connection to work, and the agent
// there has written what it writes at its start.
func (m *machine) reached() {
	m.t.Helper()
	m.has("work", "Connection", "connected")
	m.has("work", "Transport", "stream")
	for _, name := range []string{m.layout().Name(), m.layout().AgentLock()} {
		await(m.t, name, func() bool { _, err := os.Stat(name); return err == nil })
	}
}

// boots fails the test unless systemd has this to say about the next boot, and
// everybody else too.
func (m *machine) boots(word string) {
	m.t.Helper()
	if got := m.systemd.Enabled(admin.Service); got != word {
		m.t.Errorf("the executor is %s, want %s", got, word)
	}
	if got, err := manager(m.conn).GetProperty(dbus.ManagerInterface + ".StartsAtBoot"); err != nil || got.Value() != (word == "enabled") {
		m.t.Errorf("StartsAtBoot: %v, %v", got, err)
	}
}

func (m *machine) paused(want bool) {
	m.t.Helper()
	if _, err := os.Stat(m.root.Pause()); (err == nil) != want {
		m.t.Errorf("paused: %v, want %v", err, want)
	}
}

// suspend does what the executor does after too many requests without a MAC.
func (s *story) suspend(vm string) {
	s.t.Helper()
	store, err := keys.Open(s.root.Keys())
	must(s.t, err)
	held, err := store.Get(vm)
	must(s.t, err)
	held.Meta.Suspended = 7
	must(s.t, store.PutMeta(vm, held.Meta))
}

// powerRows shut work down and start it again.
func powerRows() []row {
	power := func(want string) func(*story, []any) {
		return func(s *story, _ []any) {
			if got := string(s.Get("work").State()); got != want {
				s.t.Errorf("work is %s, want %s", got, want)
			}
			s.has("work", "PowerState", want)
		}
	}
	told := change(dbus.QubePath("work"), "PowerState")
	return []row{
		inQube("ShutDown", row{before: func(s *story) { s.has("work", "PowerState", "Running") }, after: power("Halted"), hears: told}),
		inQube("Start", row{after: power("Running"), hears: told}),
		inQube("Resume", row{
			before: func(s *story) { s.suspend("work"); s.has("work", "SuspendedAt", uint64(7)) },
			after:  func(s *story, _ []any) { s.has("work", "SuspendedAt", uint64(0)) },
			hears:  record(string(audit.Readmitted), "work"),
		}),
	}
}

// serviceRows are what can be done while no executor runs; they end with one
// that does.
func serviceRows() []row {
	return []row{
		on("EnableAtBoot", row{args: with(true), after: func(s *story, _ []any) { s.boots("enabled") }, hears: change(dbus.ManagerPath, "StartsAtBoot")}),
		on("DisableAtBoot", row{after: func(s *story, _ []any) { s.boots("disabled") }, hears: change(dbus.ManagerPath, "StartsAtBoot")}),
		on("Pause", row{after: func(s *story, _ []any) { s.paused(true) }, hears: record(string(audit.Paused), "")}),
		on("Resume", row{after: func(s *story, _ []any) { s.paused(false) }, hears: record(string(audit.Resumed), "")}),
		on("Start", row{after: func(s *story, _ []any) { s.is(dbus.Running); s.reached() }, hears: record(string(audit.Started), "")}),
		on("Reload", row{after: func(s *story, _ []any) { s.is(dbus.Running) }}),
		on("ListSettings", row{after: func(s *story, out []any) {
			if list, _ := out[0].([][]any); len(list) == 0 || list[0][0] != "QVM_REMOTE_VMS" || list[0][1] != "work" || out[1] != s.root.Config() {
				s.t.Errorf("ListSettings: %v", out)
			}
		}}),
	}
}

// workRows need an executor.
func workRows() []row {
	one := func(s *story) []command {
		list := s.commands()
		if len(list) != 1 {
			s.t.Fatalf("commands: %+v", list)
		}
		return list
	}
	return []row{
		on("ListCommands", row{before: func(s *story) { s.going = s.run() }, after: func(s *story, out []any) {
			var list []command
			must(s.t, godbus.Store(out, &list))
			if len(list) != 1 || list[0].Qube != "work" || list[0].State != "running" || list[0].ID == "" {
				s.t.Errorf("ListCommands: %+v", list)
			}
		}}),
		on("CancelCommand", row{
			args:  func(s *story) []any { return []any{one(s)[0].Number} },
			after: func(s *story, _ []any) { s.ended(s.going, queue.ExitCancelled); s.whole() },
			hears: record(string(audit.Final), "work"),
		}),
		inQube("QueueStatus", row{after: func(s *story, out []any) {
			if len(out) != 4 || out[1] != uint32(0) || out[3] != "" {
				s.t.Errorf("QueueStatus: %v", out)
			}
		}}),
		inQube("QueueEntries", row{
			before: func(s *story) { s.lay(func(l queue.Layout) string { return l.Result("left", queue.Out) }, telltale) },
			after: func(s *story, out []any) {
				if list, _ := out[0].([][]any); len(list) != 1 || list[0][1] != "left"+queue.Out {
					s.t.Errorf("QueueEntries: %v", out)
				}
			}}),
		inQube("CleanQueue", row{args: with(true), after: func(s *story, out []any) {
			if list, _ := out[0].([]string); len(list) != 1 {
				s.t.Errorf("CleanQueue: %v", out)
			}
		}, hears: record(string(audit.Cleaned), "work")}),
		inQube("RecoverQueue", row{
			before: func(s *story) { s.lay(func(l queue.Layout) string { return l.Running("left") }, "running") },
			after: func(s *story, out []any) {
				if list, _ := out[0].([]string); len(list) != 1 || list[0] != "left" {
					s.t.Errorf("RecoverQueue: %v", out)
				}
			}, hears: record(string(audit.Recovered), "work")}),
	}
}

// endRows end what runs, and the executor.
func endRows() []row {
	var pid any
	return []row{
		on("StopEverything", row{
			before: func(s *story) { s.going = s.run() },
			after:  func(s *story, _ []any) { s.ended(s.going, queue.ExitInterrupted); s.is(dbus.Paused) },
			hears:  record(string(audit.StoppedEverything), ""),
		}),
		on("Restart", row{
			before: func(s *story) { s.whole(); s.ask("Resume"); s.is(dbus.Running); pid = s.pid() },
			after: func(s *story, _ []any) {
				await(s.t, "another executor", func() bool { return s.state() == dbus.Running && s.pid() != pid })
				s.reached()
			},
			hears: change(dbus.ManagerPath, "State"),
		}),
		on("Stop", row{after: func(s *story, _ []any) { s.is(dbus.Stopped); s.gone() }, hears: record(string(audit.Stopped), "")}),
	}
}

// gone waits until systemd has seen the executor's end: until then the bus may
// still be answered by it.
func (m *machine) gone() {
	m.t.Helper()
	await(m.t, "the executor's end", func() bool { return m.systemd.Active(admin.Service) == "inactive" })
}

func (m *machine) pid() any {
	v, err := manager(m.conn).GetProperty(dbus.ManagerInterface + ".Pid")
	if err != nil {
		return err
	}
	return v.Value()
}

// sameOwner gives a file that a test made the owner of the qube's files.
func sameOwner(name string, home os.FileInfo) error {
	st, _ := home.Sys().(*syscall.Stat_t)
	return os.Chown(name, int(st.Uid), int(st.Gid))
}
