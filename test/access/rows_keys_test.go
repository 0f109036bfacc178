package access

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	godbus "github.com/godbus/dbus/v5"

	"qvmremote/daemon/admin"
	"qvmremote/daemon/audit"
	"qvmremote/dbus"
	"qvmremote/queue"
)

// on is a row of a method of the manager.
func on(method string, r row) row {
	r.iface, r.path, r.method = dbus.ManagerInterface, dbus.ManagerPath, method
	return r
}

func with(args ...any) func(*story) []any { return func(*story) []any { return args } }

var replace = map[string]godbus.Variant{"replace": godbus.MakeVariant(true)}

// through passes a key by file descriptor.
func (s *story) through(key []byte) godbus.UnixFD {
	s.t.Helper()
	r, w, err := os.Pipe()
	must(s.t, err)
	_, err = w.Write(key)
	must(s.t, err)
	must(s.t, w.Close())
	s.t.Cleanup(func() { r.Close() })
	return godbus.UnixFD(r.Fd())
}

// secret is a key that is made in one function of a row and used in others.
type secret struct{ queue.Key }

func (k *secret) fresh(s *story) { k.Key = s.newKey() }

// has fails the test unless a property of the qube becomes this value.
func (m *machine) has(vm, property string, want any) {
	m.t.Helper()
	await(m.t, vm+"'s "+property, func() bool { return m.property(vm, property) == want })
}

// keyOf fails the test unless dom0 holds exactly this key for the qube.
func (s *story) keyOf(vm string, key []byte) {
	s.t.Helper()
	held, err := os.ReadFile(filepath.Join(s.root.Keys(), vm+".key"))
	if err != nil || strings.TrimSpace(string(held)) != string(key) {
		s.t.Errorf("the key of %s in dom0 is not the one that was given (%v)", vm, err)
	}
}

// keyRows give, change and take keys. At their end work has the key that dom0
// knows, and personal none.
func keyRows() []row {
	given, second := new(secret), new(secret)
	work := dbus.QubePath("work")
	return []row{
		on("Subscribe", row{}),
		on("Unsubscribe", row{}),
		on("AuthorizeQubeWithString", row{
			before: given.fresh,
			args: func(*story) []any {
				return []any{"work", string(given.Reveal()), map[string]godbus.Variant{"policy": godbus.MakeVariant("allow")}}
			},
			after: func(s *story, out []any) {
				s.keyOf("work", given.Reveal())
				s.has("work", "Fingerprint", given.Fingerprint())
			},
			hears: object("InterfacesAdded", "work"),
		}),
		on("AuthorizeQube", row{
			before: given.fresh,
			args:   func(s *story) []any { return []any{"work", s.through(given.Reveal()), replace} },
			after: func(s *story, out []any) {
				s.keyOf("work", given.Reveal())
				if out[0] != given.Fingerprint() {
					s.t.Errorf("AuthorizeQube: %v", out)
				}
			},
			hears: change(work, "Fingerprint"),
		}),
		on("RotateKeyWithString", row{
			before: second.fresh,
			args:   func(*story) []any { return []any{"work", string(second.Reveal())} },
			after:  func(s *story, _ []any) { s.has("work", "NextFingerprint", second.Fingerprint()) },
			hears:  record(string(audit.Rotating), "work"),
		}),
		on("CancelRotation", row{
			args:  with("work"),
			after: func(s *story, _ []any) { s.has("work", "NextFingerprint", ""); s.keyOf("work", given.Reveal()) },
			hears: change(work, "KeyState"),
		}),
		on("RotateKey", row{
			before: second.fresh,
			args:   func(s *story) []any { return []any{"work", s.through(second.Reveal())} },
			after:  func(s *story, _ []any) { s.has("work", "KeyState", "rotating") },
			hears:  change(work, "NextFingerprint"),
		}),
		on("FetchKey", row{args: with("work"), after: func(s *story, out []any) {
			if out[0] != s.keyIn("work").Fingerprint() {
				s.t.Errorf("FetchKey: %v", out)
			}
		}}),
		on("ConnectQube", row{
			args:  func(s *story) []any { return []any{"work", s.keyIn("work").Fingerprint(), replace} },
			after: func(s *story, _ []any) { s.keyOf("work", s.keyIn("work").Reveal()) },
			hears: record(string(audit.Connected), "work"),
		}),
		on("LimitQube", row{
			args:  with("work", map[string]godbus.Variant{"count": godbus.MakeVariant(uint64(1000))}),
			after: func(s *story, _ []any) { s.has("work", "GrantCount", uint64(1000)) },
			hears: change(work, "GrantLeft"),
		}),
		on("GetPolicy", row{args: with("work"), after: func(s *story, out []any) {
			if out[0] != "allow **\n" || out[2] != "" {
				s.t.Errorf("GetPolicy: %v", out)
			}
		}}),
		on("ExplainRequest", row{args: with("work", "deny id\nallow **\n", "id"), after: func(s *story, out []any) {
			if out[0] != "deny" || out[2] != "work.policy:1: deny id" {
				s.t.Errorf("ExplainRequest: %v", out)
			}
		}}),
		on("SetPolicy", row{
			args: with("work", "allow qvm-ls\nallow **\n", admin.HashOfRules("allow **\n")),
			after: func(s *story, _ []any) {
				if got := s.ask("GetPolicy", "work").Body[0]; got != "allow qvm-ls\nallow **\n" {
					s.t.Errorf("SetPolicy: %v", got)
				}
			},
			hears: record(string(audit.Setting), "work"),
		}),
		on("GenerateKey", row{
			args:  with("personal", noOptions),
			after: func(s *story, _ []any) { s.keyOf("personal", s.keyIn("personal").Reveal()) },
			hears: object("InterfacesAdded", "personal"),
		}),
		on("RevokeQube", row{
			before: func(s *story) { s.secrets = append(s.secrets, string(s.keyIn("personal").Reveal())) },
			args:   with("personal", noOptions),
			after:  func(s *story, _ []any) { s.has("personal", "KeyState", "none") },
			hears:  record(string(audit.Revoked), "personal"),
		}),
		on("DisconnectQube", row{args: with("personal"), hears: object("InterfacesRemoved", "personal")}),
		on("ListQubes", row{after: func(s *story, out []any) {
			if list, _ := out[0].([]godbus.ObjectPath); !slices.Equal(list, []godbus.ObjectPath{work}) {
				s.t.Errorf("ListQubes: %v", out)
			}
		}}),
		on("AvailableQubes", row{after: func(s *story, out []any) {
			list, _ := out[0].([][]any)
			for _, vm := range []string{"work", "personal"} {
				if !slices.ContainsFunc(list, func(q []any) bool { return q[0] == vm && q[3] == "Running" && q[5] == (vm == "work") }) {
					s.t.Errorf("AvailableQubes: no %s as it is in %v", vm, list)
				}
			}
		}}),
	}
}
