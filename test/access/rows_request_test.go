package access

import (
	"os"
	"path/filepath"
	"slices"

	godbus "github.com/godbus/dbus/v5"

	"qvmremote/daemon/audit"
	"qvmremote/dbus"
	"qvmremote/queue"
)

// inRequest is a row of a method of the one request that waits for approval.
func inRequest(method string, r row) row {
	r.iface, r.method = dbus.RequestInterface, method
	r.at = func(s *story) godbus.ObjectPath { return s.waiting }
	return r
}

// rules writes work's policy.
func (s *story) rules(text string) {
	s.t.Helper()
	path := filepath.Join(s.root.Keys(), "work.policy")
	must(s.t, os.WriteFile(path+"~", []byte(text), 0o600))
	must(s.t, os.Rename(path+"~", path))
}

// requests are the objects of what waits for approval.
func (s *story) requests() (all []godbus.ObjectPath) {
	s.t.Helper()
	var objects map[godbus.ObjectPath]map[string]map[string]godbus.Variant
	must(s.t, manager(s.conn).Call(dbus.ObjectManager+".GetManagedObjects", 0).Store(&objects))
	for path, interfaces := range objects {
		if interfaces[dbus.RequestInterface] != nil {
			all = append(all, path)
		}
	}
	return all
}

// asks has work ask for something that must be approved.
func (s *story) asks() {
	s.t.Helper()
	s.rules("ask **\n")
	s.going = s.launch()
	await(s.t, "a request that waits", func() bool { return len(s.requests()) == 1 })
	s.waiting = s.requests()[0]
	await(s.t, "the qube to know that it waits", func() bool {
		return slices.ContainsFunc(s.words(), func(word string) bool { return word == string(queue.WordApproval) })
	})
}

// hash is that of what waits, as its properties have it.
func (s *story) hash() string {
	s.t.Helper()
	v, err := s.conn.Object(dbus.Name, s.waiting).GetProperty(dbus.RequestInterface + ".Sha256")
	must(s.t, err)
	hash, _ := v.Value().(string)
	return hash
}

// approved is an entry of ListApprovals.
type approved struct {
	Number      uint64
	Qube, Hash  string
	Left, Count uint64
	Who, Way    string
}

// requestRows decide about what waits for approval.
func requestRows() []row {
	gone := func(s *story) {
		if left := s.requests(); len(left) != 0 {
			s.t.Errorf("still waiting: %v", left)
		}
	}
	granted := func(s *story) (list []approved) {
		must(s.t, s.ask("ListApprovals").Store(&list))
		return list
	}
	return []row{
		inRequest("GetScript", row{before: (*story).asks, after: func(s *story, out []any) {
			if script, _ := out[0].([]byte); string(script) != endless+"\n" {
				s.t.Errorf("GetScript: %q", script)
			}
		}}),
		inRequest("GetStdin", row{args: with(uint64(0)), after: func(s *story, out []any) {
			if piece, _ := out[0].([]byte); string(piece) != telltale+"-stdin\n" {
				s.t.Errorf("GetStdin: %q", piece)
			}
		}}),
		inRequest("GetDifference", row{after: func(s *story, out []any) {
			if out[0] != false || out[1] != "" {
				s.t.Errorf("GetDifference: %v", out)
			}
		}}),
		inRequest("Approve", row{
			args: func(s *story) []any {
				return []any{s.hash(), map[string]godbus.Variant{"for": godbus.MakeVariant(uint64(600))}}
			},
			after: func(s *story, _ []any) {
				s.begun(s.going)
				gone(s)
				s.ask("CancelCommand", s.commands()[0].Number)
				s.ended(s.going, queue.ExitCancelled)
				s.whole()
			},
			hears: record(string(audit.Approved), "work"),
		}),
		on("ListApprovals", row{after: func(s *story, _ []any) {
			if list := granted(s); len(list) != 1 || list[0].Qube != "work" || len(list[0].Hash) != 64 || list[0].Left == 0 || list[0].Left > 600 || list[0].Who == "" {
				s.t.Errorf("ListApprovals: %+v", list)
			}
		}}),
		on("RevokeApprovals", row{
			args: with("work", uint64(0)),
			after: func(s *story, out []any) {
				if list := granted(s); len(list) != 0 || out[0] != uint32(1) {
					s.t.Errorf("RevokeApprovals: %v, and %+v", out, list)
				}
			},
			hears: record(string(audit.Setting), "work"),
		}),
		inRequest("Deny", row{
			before: (*story).asks,
			args:   with(noOptions),
			after: func(s *story, _ []any) {
				s.ended(s.going, queue.ExitDenied)
				gone(s)
				s.whole()
				s.rules("allow **\n")
			},
			hears: record(string(audit.Final), "work"),
		}),
	}
}
