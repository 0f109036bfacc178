//go:build crashpoints

package crash

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"qvmremote/daemon/audit"
	"qvmremote/daemon/keys"
)

// fate is what the log says of one request.
type fate struct {
	claims, runs      int
	finals, delivered []audit.Record
}

func (s *scene) fates() map[string]*fate {
	all := map[string]*fate{}
	for i, r := range s.records() {
		if r.Seq != int64(i) {
			s.t.Errorf("record %d has the number %d", i, r.Seq)
		}
		f := all[r.ID]
		if f == nil {
			f = &fate{}
			all[r.ID] = f
		}
		switch r.Event {
		case audit.Claim:
			f.claims++
		case audit.Run:
			f.runs++
		case audit.Final:
			f.finals = append(f.finals, r)
		case audit.Delivered:
			f.delivered = append(f.delivered, r)
		}
	}
	return all
}

// closed reports whether each claimed request of the log is delivered.
func (s *scene) closed() bool {
	for id, f := range s.fates() {
		if id != "" && f.claims > 0 && len(f.delivered) == 0 {
			return false
		}
	}
	return true
}

// check holds what dom0 and the qube have after the day against the promises.
func (d *day) check(crashed bool) {
	s := d.s
	s.t.Helper()
	marks := s.marks()
	fates := s.fates()
	for _, a := range d.list {
		if marks[a.name] > 1 {
			s.t.Errorf("%s ran %d times", a.name, marks[a.name])
		}
		f := fates[a.id]
		if f == nil {
			f = &fate{}
		}
		if a.claimed {
			d.checkClaimed(a, f, marks[a.name], crashed)
		} else if a.err != nil || f.claims != 0 || marks[a.name] != 0 {
			s.t.Errorf("%s: error %v, %d claims, ran %d times; it must be refused without a claim", a.name, a.err, f.claims, marks[a.name])
		}
	}
	s.checkLeft()
	s.checkLog(d.checkpoints()...)
}

// checkpoints are what the qube holds of dom0's log.
func (d *day) checkpoints() (list []string) {
	for _, a := range d.list {
		if a.got.Checkpoint != "" {
			list = append(list, a.got.Checkpoint)
		}
	}
	return list
}

func (d *day) checkClaimed(a *asked, f *fate, ran int, crashed bool) {
	t := d.s.t
	t.Helper()
	if a.err != nil {
		t.Errorf("%s: the qube has no answer: %v", a.name, a.err)
		return
	}
	if f.claims != 1 || len(f.finals) != 1 || len(f.delivered) != 1 || f.runs > 1 {
		t.Errorf("%s: %d claims, %d runs, %d final states, %d deliveries in the log", a.name, f.claims, f.runs, len(f.finals), len(f.delivered))
		return
	}
	if c := f.delivered[0].Checkpoint; c == "" || c != a.got.Checkpoint {
		t.Errorf("%s: the log says that checkpoint %q was delivered, the qube has %q", a.name, c, a.got.Checkpoint)
	}
	state := f.finals[0].State
	if string(a.got.State) != string(state) || !a.got.Signed {
		t.Errorf("%s: the log says %s, the qube was told %s (signed: %v)", a.name, state, a.got.State, a.got.Signed)
	}
	switch {
	case state == a.want:
		if a.got.Exit != a.exit {
			t.Errorf("%s: exit %d, want %d", a.name, a.got.Exit, a.exit)
		}
		if a.runs && ran != 1 || a.want == audit.Denied && ran != 0 {
			t.Errorf("%s: %s, and it ran %d times", a.name, state, ran)
		}
		if state == audit.Exit && a.gotOut.String() != a.out {
			t.Errorf("%s: output %q, want %q", a.name, a.gotOut.String(), a.out)
		}
	case state == audit.Interrupted && crashed:
	default:
		t.Errorf("%s came to %s (%s), want %s", a.name, state, f.finals[0].Detail, a.want)
	}
	if f.runs == 0 && ran != 0 {
		t.Errorf("%s ran and the log does not say so", a.name)
	}
}

func (s *scene) marks() map[string]int {
	marks := map[string]int{}
	b, _ := os.ReadFile(s.marker)
	for _, name := range strings.Fields(string(b)) {
		marks[name]++
	}
	return marks
}

var runFolder = regexp.MustCompile(`^[0-9a-f]{16}$`)

// checkLeft looks for what should not be there any more.
func (s *scene) checkLeft() {
	s.t.Helper()
	if pids := s.alive(); len(pids) > 0 {
		s.t.Errorf("processes of a command are left: %v", pids)
	}
	for _, dir := range []string{s.root.Spool(), s.root.Run(), s.root.Keys(), s.root.Audit()} {
		entries, err := os.ReadDir(dir)
		must(s.t, err)
		for _, e := range entries {
			if dir == s.root.Spool() || runFolder.MatchString(e.Name()) || strings.HasPrefix(e.Name(), ".tmp-") && dir == s.root.Audit() {
				s.t.Errorf("left behind: %s", filepath.Join(dir, e.Name()))
			}
		}
	}
}

// checkKeys: a key that waited is the qube's only one after its first use.
func (s *scene) checkKeys() {
	s.t.Helper()
	want := s.key
	if !s.next.IsZero() {
		want = s.next
	}
	store, err := keys.Open(s.root.Keys())
	must(s.t, err)
	held, err := store.Get(qubeName)
	if err != nil || !held.Current.Equal(want) || !held.Next.IsZero() || !held.HasMeta {
		s.t.Errorf("the keys are %s, %s (%v), want %s alone", held.Current, held.Next, err, want)
	}
}

func (s *scene) checkLog(checkpoints ...string) {
	s.t.Helper()
	report, err := audit.Verify(context.Background(), s.root.Audit(), checkpoints)
	if err != nil || !report.OK() || len(report.Lost) > 0 {
		s.t.Errorf("the audit log does not verify: %v\n%s", err, report)
	}
}
