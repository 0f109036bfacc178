package mirror

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"qvmremote/daemon/audit"
	"qvmremote/queue"
)

var at = time.Date(2026, 11, 23, 14, 42, 32, 999, time.UTC)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newLog(t *testing.T) (*Mirror, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "var/log/qubes/qvm-remote.log")
	return New(path, false), path
}

func content(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	must(t, err)
	return string(b)
}

func exit(n int) *int { return &n }

func TestTheLinesOfTheFirstVersion(t *testing.T) {
	t.Parallel()
	request := func(r audit.Record) audit.Record {
		r.Qube, r.ID, r.Number = "work", "20261123-144232-1-0b95ebc0", 7
		return r
	}
	const about = " vm=work id=20261123-144232-1-0b95ebc0"
	for _, c := range []struct {
		r    audit.Record
		want string
	}{
		{request(audit.Record{Event: audit.Claim, Kind: "script"}), "AUTH-OK" + about + " number=7 event=claim kind=script"},
		{request(audit.Record{Event: audit.Claim, Version: 1}), "AUTH-OK" + about + " number=7 event=claim legacy=insecure"},
		{request(audit.Record{Event: audit.Final, State: audit.Exit, Exit: exit(0), Duration: 12}), "DONE" + about + " number=7 duration=12ms exit=0"},
		{request(audit.Record{Event: audit.Final, State: audit.Exit, Exit: exit(0), OutHead: "secret", OutTail: "secret", ErrHead: "secret", ErrTail: "secret"}),
			"DONE" + about + " number=7 duration=0ms exit=0"},
		{request(audit.Record{Event: audit.Final, State: audit.Exit, Exit: exit(3)}), "DONE-FAIL" + about + " number=7 duration=0ms exit=3"},
		{request(audit.Record{Event: audit.Final, State: audit.Timeout, Exit: exit(124)}), "TIMEOUT" + about + " number=7 duration=0ms exit=124 state=timeout"},
		{request(audit.Record{Event: audit.Final, State: audit.Cancelled}), "DONE-FAIL" + about + " number=7 duration=0ms state=cancelled"},
		{request(audit.Record{Event: audit.Final, State: audit.Denied, Reason: "binary"}), "REJECT" + about + " number=7 duration=0ms state=denied reason=binary"},
		{request(audit.Record{Event: audit.Final, State: audit.Interrupted}), "RECOVER" + about + " number=7 duration=0ms state=interrupted"},
		{request(audit.Record{Event: audit.Delivered, Nonce: "secret"}), ""},
		{audit.Record{Event: audit.CarryEvent}, ""},
		{audit.Record{Event: audit.Refused, Qube: "anon", ID: "x", Reason: string(queue.NoKey)}, "AUTH-DENY vm=anon id=x event=refused reason=no-key"},
		{audit.Record{Event: audit.Refused, Qube: "anon", ID: "x", Reason: string(queue.BadMAC)}, "AUTH-FAIL vm=anon id=x event=refused reason=bad-mac"},
		{audit.Record{Event: audit.Refused, Qube: "anon", ID: "x", Reason: string(queue.Stale)}, "REJECT vm=anon id=x event=refused reason=stale"},
		{audit.Record{Event: audit.RefusedCount, Qube: "anon", Count: 99}, "AUTH-FAIL vm=anon event=refused-count count=99"},
		{audit.Record{Event: audit.Replayed, Qube: "anon", ID: "x"}, "REJECT vm=anon id=x event=replayed"},
		{audit.Record{Event: audit.Connected, Qube: "anon", Who: "root", Way: "cli"}, "CONNECT vm=anon event=connected who=root way=cli"},
		{audit.Record{Event: audit.Disconnected, Qube: "anon"}, "DISCONNECT vm=anon event=disconnected"},
		{audit.Record{Event: audit.Authorized, Qube: "anon", Key: "ab12 cd34"}, "INFO vm=anon event=authorized key=ab12-cd34"},
		{audit.Record{Event: audit.Floor, Qube: "anon", Floor: 17}, "INFO vm=anon event=floor floor=17"},
		{audit.Record{Event: audit.Torn, Detail: "12 bytes cut"}, `ERROR event=torn detail="12 bytes cut"`},
		{audit.Record{Event: "tomorrow's"}, `INFO event="tomorrow's"`},
	} {
		c.r.Time = at
		want := ""
		if c.want != "" {
			want = "[" + at.Local().Format("2006-01-02T15:04:05Z07:00") + "] " + c.want + "\n"
		}
		if got := lines(c.r); got != want {
			t.Errorf("got  %swant %s", got, want)
		}
	}
}

func TestARunHasTwoLines(t *testing.T) {
	t.Parallel()
	got := lines(audit.Record{Time: at, Event: audit.Run, Qube: "work", ID: "x", Command: "echo \"a\"\nreboot\n" + strings.Repeat("y", 300)})
	first, second, _ := strings.Cut(got, "\n")
	if !strings.HasSuffix(first, "] EXEC vm=work id=x event=run") {
		t.Errorf("first line: %s", first)
	}
	if !strings.Contains(second, `] CMD vm=work id=x cmd="echo \"a\"\x0areboot\x0ayyy`) || strings.Count(got, "\n") != 2 {
		t.Errorf("second line: %s", second)
	}
	if _, cmd, _ := strings.Cut(second, "cmd="); len(cmd) > maxCommand+10 {
		t.Errorf("%d characters of the command are shown", len(cmd))
	}
}

// aLine is what a reader of the log may rely on.
var aLine = regexp.MustCompile(`^\[\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(Z|[+-]\d\d:\d\d)\] [A-Z-]+( [a-z]+=([A-Za-z0-9_.:-]+|"([^"\\]|\\.)*"))*$`)

func hostile(s string) audit.Record {
	return audit.Record{Time: at, Event: audit.Run, Qube: s, ID: s, Command: s, Reason: s, Detail: s, Kind: s, Who: s, Way: s, Key: s, State: audit.State(s)}
}

func FuzzNothingForgesALine(f *testing.F) {
	f.Add("x\n[2026-11-23T14:42:32Z] DONE vm=vault id=y exit=0")
	f.Add("a\" exit=0 cmd=\"\\")
	f.Add("\x1b[2K\r\u2028\u202e\u0085\x9b\xff\x00")
	f.Fuzz(func(t *testing.T, s string) {
		for _, event := range []audit.Event{audit.Run, audit.Final, audit.Refused, audit.Event(s)} {
			r := hostile(s)
			r.Event = event
			for _, line := range strings.Split(strings.TrimSuffix(lines(r), "\n"), "\n") {
				if line != "" && !aLine.MatchString(line) {
					t.Fatalf("%q", line)
				}
			}
			e := entry(r)
			for name, value := range e.Fields {
				if strings.ContainsAny(value, "\n\r\x1b\x00") {
					t.Fatalf("%s=%q", name, value)
				}
			}
			if strings.ContainsAny(e.Message, "\n\r\x1b\x00") {
				t.Fatalf("%q", e.Message)
			}
		}
	})
}

func TestTheFileIsForPeopleOfTheGroupOnly(t *testing.T) {
	t.Parallel()
	m, path := newLog(t)
	must(t, m.Write(audit.Record{Time: at, Event: audit.Started}))
	must(t, m.Write(audit.Record{Time: at, Event: audit.Stopped}))
	info, err := os.Stat(path)
	must(t, err)
	if info.Mode().Perm() != 0o640 {
		t.Errorf("mode %o", info.Mode().Perm())
	}
	if got := content(t, path); strings.Count(got, "\n") != 2 || !strings.Contains(got, "event=stopped\n") {
		t.Errorf("%q", got)
	}
	must(t, os.Rename(path, path+".1")) // logrotate
	must(t, m.Write(audit.Record{Time: at, Event: audit.Started}))
	if got := content(t, path); strings.Count(got, "\n") != 1 {
		t.Errorf("after rotation: %q", got)
	}
}

func TestATrapInPlaceOfTheFileIsAWarning(t *testing.T) {
	t.Parallel()
	for name, lay := range map[string]func(path string) error{
		"symbolic link": func(path string) error {
			return errors.Join(os.WriteFile(path+".aim", nil, 0o600), os.Symlink(path+".aim", path))
		},
		"dangling link": func(path string) error { return os.Symlink(path+".aim", path) },
		"hard link": func(path string) error {
			return errors.Join(os.WriteFile(path+".aim", nil, 0o600), os.Link(path+".aim", path))
		},
		"fifo":     func(path string) error { return unix.Mkfifo(path, 0o600) },
		"folder":   func(path string) error { return os.Mkdir(path, 0o700) },
		"writable": func(path string) error { return errors.Join(os.WriteFile(path, nil, 0o600), os.Chmod(path, 0o666)) },
		"foreign": func(path string) error {
			if os.Geteuid() != 0 {
				return os.Mkdir(path, 0o700) // only root can give a file away
			}
			return errors.Join(os.WriteFile(path, nil, 0o600), os.Chown(path, 65534, -1))
		},
	} {
		m, path := newLog(t)
		must(t, os.MkdirAll(filepath.Dir(path), 0o755))
		must(t, lay(path))
		if err := m.Write(audit.Record{Time: at, Event: audit.Started}); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", name, err)
		}
		for _, p := range []string{path, path + ".aim"} {
			if info, err := os.Stat(p); err == nil && info.Mode().IsRegular() && info.Size() > 0 {
				t.Errorf("%s: something was written", name)
			}
		}
	}
}

func TestALineThatBrokeOffIsEnded(t *testing.T) {
	t.Parallel()
	m, path := newLog(t)
	must(t, m.Write(audit.Record{Time: at, Event: audit.Started}))
	must(t, os.WriteFile(path, []byte("[2026-11-23T14:42:31Z] DO"), 0o640))
	must(t, m.Write(audit.Record{Time: at, Event: audit.Stopped}))
	if got := content(t, path); !strings.HasPrefix(got, "[2026-11-23T14:42:31Z] DO\n[") {
		t.Errorf("%q", got)
	}
}

func TestManyWritersDoNotMix(t *testing.T) {
	t.Parallel()
	m, path := newLog(t)
	var all sync.WaitGroup
	for i := range 8 {
		all.Add(1)
		go func() {
			defer all.Done()
			for range 20 {
				if err := m.Write(audit.Record{Time: at, Event: audit.Run, Qube: fmt.Sprintf("q%d", i), ID: "x", Command: "ls"}); err != nil {
					t.Error(err)
				}
			}
		}()
	}
	all.Wait()
	lines := strings.Split(strings.TrimSuffix(content(t, path), "\n"), "\n")
	if len(lines) != 2*8*20 {
		t.Errorf("%d lines", len(lines))
	}
	for _, l := range lines {
		if !aLine.MatchString(l) {
			t.Errorf("%q", l)
		}
	}
}
