package access

import (
	"slices"
	"strings"
	"testing"

	"qvmremote/daemon/audit"
	"qvmremote/dbus"
	"qvmremote/queue"
)

// refuses has the executor refuse a request whose name and content are secret.
func (s *story) refuses() {
	s.t.Helper()
	s.ask("Start")
	s.reached()
	heard := s.listener.soFar()
	s.lay(func(l queue.Layout) string { return l.Body(telltale + "-id") }, telltale)
	s.lay(func(l queue.Layout) string { return l.Header(telltale + "-id") }, telltale)
	s.listener.await(heard, "a refused request", record(string(audit.Refused), "work"))
}

// TestBroadcastsAreForEverybody: somebody without any rights hears all signals
// while every method is called and commands run, and learns nothing of what is
// in them: no script, input or output, no id, no key.
func TestBroadcastsAreForEverybody(t *testing.T) {
	t.Parallel()
	s := newStory(t)
	s.caller = s.conn
	s.secrets = append(s.secrets, telltale, string(s.keyIn("work").Reveal()))
	for _, r := range rows() {
		if r.before != nil {
			r.before(s)
		}
		heard := s.listener.soFar()
		s.end(r, s.begin(s.caller, r, 0), heard)
	}
	s.refuses()
	ids := 0
	for _, r := range s.whole() {
		if r.ID != "" {
			s.secrets = append(s.secrets, r.ID)
			ids++
		}
	}
	if ids == 0 || len(s.secrets) < 6 {
		t.Fatalf("nothing happened that could be told: %d ids, %d secrets", ids, len(s.secrets))
	}
	names := map[string]bool{}
	for _, signal := range s.listener.since(0) {
		names[signal.Name] = true
		all := words(signal)
		for _, word := range all {
			// Half a key is a key too many.
			if slices.ContainsFunc(s.secrets, func(secret string) bool { return strings.Contains(word, secret[:min(len(secret), 32)]) }) {
				t.Errorf("%s tells everybody %q", signal.Name, word)
			}
		}
	}
	for _, name := range []string{dbus.ManagerInterface + ".RecordsAdded", dbus.Properties + ".PropertiesChanged",
		dbus.ObjectManager + ".InterfacesAdded", dbus.ObjectManager + ".InterfacesRemoved"} {
		if !names[name] {
			t.Errorf("nobody heard %s", name)
		}
	}
}
