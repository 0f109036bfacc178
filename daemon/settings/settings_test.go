package settings

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// file is a source with that text in it.
func file(t *testing.T, text string) Source {
	t.Helper()
	path := filepath.Join(t.TempDir(), "remote.conf")
	must(t, os.WriteFile(path, []byte(text), 0o600))
	return Source{Path: path}
}

func TestDefaultsAreTheProtocols(t *testing.T) {
	t.Parallel()
	want := Settings{
		VMUser:     "user",
		Transport:  "auto",
		MaxTimeout: 86400, MaxScript: 1 << 20, MaxStdin: 64 << 20, MaxOutput: 10 << 20, MaxPending: 1000,
		Concurrent: 8, PerQube: 4, MaxRunning: 50, StopWait: 30,
		SpoolQube: 256 << 20, SpoolTotal: 1 << 30, SpoolFree: 512 << 20,
		AuditDays: 400, AuditBytes: 1 << 30, AuditReserve: 4 << 20, Excerpt: 1 << 10, Refusals: 20, SuspendAfter: 100,
	}
	if got := Default(); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	s, warnings, err := Source{Path: filepath.Join(t.TempDir(), "missing")}.Load()
	if err != nil || len(warnings) > 0 || !reflect.DeepEqual(s, want) {
		t.Errorf("a missing file: %+v, %v, %v", s, warnings, err)
	}
}

func TestTheTemplateSaysTheDefaults(t *testing.T) {
	t.Parallel()
	s, warnings, err := file(t, Template()).Load()
	if err != nil || len(warnings) > 0 || !reflect.DeepEqual(s, Default()) {
		t.Fatalf("%+v, %v, %v", s, warnings, err)
	}
	on := ""
	for _, d := range Table() {
		if err := d.set(&Settings{}, d.Default); err != nil {
			t.Errorf("the default of %s: %v", d.Name, err)
		}
		if !strings.HasPrefix(d.Name, "QVM_REMOTE_") || d.Doc == "" || d.Unit == "" {
			t.Errorf("%s is not described", d.Name)
		}
		on += d.Name + "=" + d.Default + "\n"
		if !strings.Contains(Template(), "\n#"+d.Name+"="+d.Default+"\n") {
			t.Errorf("%s is not in the template", d.Name)
		}
	}
	if s, _, err := file(t, on).Load(); err != nil || !reflect.DeepEqual(s, Default()) {
		t.Errorf("all defaults written out: %+v, %v", s, err)
	}
}

func TestOneLine(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		`X=work`: "work", `X=work personal`: "work personal", `X="work personal"`: "work personal", `X='a b'`: "a b",
		`export X=work`: "work", "export\tX=\"a\"": "a", `  X=work  `: "work", `X=work # comment`: "work", `X="a b" # it's`: "a b",
		"X=a\t# c": "a", `X=`: "", `X=""`: "", `X= # none`: "", `X=" a "`: "a", `X=a#b`: "a#b", `X=#a`: "#a", `X="a # b"`: "a # b",
		"X=a\r": "a", `export=1`: "1", `X=a=b`: "a=b",
	} {
		a, ok, err := parseLine(line)
		if err != nil || !ok || a.value != want {
			t.Errorf("%q: %+v, %v, %v; want %q", line, a, ok, err, want)
		}
	}
	for _, line := range []string{"", "   ", "# X=1", "\t#", "#"} {
		if a, ok, err := parseLine(line); ok || err != nil {
			t.Errorf("%q: %+v, %v", line, a, err)
		}
	}
	for _, line := range []string{
		"work", "X", "=a", "X =a", "1X=a", "X-Y=a", "X+=a", "export", "export X", "export  =a", `X="a`, `X='a`, `X="a" b`, `X="a"b`, `X="a"#b`,
		`X=a"b"`, `X=it's`, "X=$HOME", "X=`id`", `X="$(id)"`, `X=a\`, "X=a\x00", "X=\x1b[2J", "X=a\rb", "X=\xff", "; X=a", "[section]", "X=a\u0085",
	} {
		if a, ok, err := parseLine(line); err == nil {
			t.Errorf("%q was read as %+v, %v", line, a, ok)
		}
	}
}

func TestABadLineIsNamedWithItsCause(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]string{
		"# all\n\nQVM_REMOTE_VMS=work #\nQVM_REMOTE_VMS=b": {":4", "QVM_REMOTE_VMS", "second time", "line 3"},
		"\nQVM_REMOTE_VMS=\"a b\n":                         {":2", "quote"},
		"QVM_REMOTE_VMS=#work":                             {":1", `"#work"`, "not a qube's name"},
		"QVM_REMOTE_VMS=work dom0":                         {":1", `"dom0"`},
		"QVM_REMOTE_VMS=../x":                              {":1", `"../x"`},
		"QVM_REMOTE_VM_USER=root; id":                      {":1", "QVM_REMOTE_VM_USER", "account"},
		"QVM_REMOTE_TRANSPORT=http":                        {":1", "QVM_REMOTE_TRANSPORT", `"http"`, "auto, stream, qrexec, poll"},
		"QVM_REMOTE_MAX_OUTPUT=11M":                        {":1", "QVM_REMOTE_MAX_OUTPUT", "10485760"},
		"QVM_REMOTE_STOP_WAIT=30s":                         {"QVM_REMOTE_STOP_WAIT", "whole number"},
		"QVM_REMOTE_STOP_WAIT=030":                         {"whole number"},
		"QVM_REMOTE_CONCURRENT=0":                          {"between 1 and 1000"},
		"QVM_REMOTE_MAX_TIMEOUT=86401":                     {"between 1 and 86400"},
		"QVM_REMOTE_SPOOL_QUBE=2G":                         {"QVM_REMOTE_SPOOL_QUBE", "QVM_REMOTE_SPOOL_TOTAL"},
		"QVM_REMOTE_MAX_RUNNING=7":                         {"QVM_REMOTE_MAX_RUNNING"},
		strings.Repeat("# long\n", maxFile):                {"longer"},
		"QVM_REMOTE_VMS=" + manyQubes(maxVMs+1):            {"more than"},
	} {
		_, _, err := file(t, text).Load()
		if err == nil {
			t.Errorf("%.60q was taken", text)
			continue
		}
		for _, part := range append(want, "remote.conf") {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%.60q: %q does not say %q", text, err, part)
			}
		}
	}
}

func manyQubes(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "q%d ", i)
	}
	return b.String()
}

func TestSizes(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{"0": 0, "4096": 4096, "64K": 64 << 10, "64KiB": 64 << 10, "10M": 10 << 20, "1GiB": 1 << 30, "2T": 2 << 40} {
		if n, err := ParseSize(text); err != nil || n != want {
			t.Errorf("%s: %d, %v", text, n, err)
		}
		if n, err := ParseSize(bytes(want)); err != nil || n != want {
			t.Errorf("%s is written %s", text, bytes(want))
		}
	}
	for _, bad := range []string{"", "K", "-1", "+1", "01", "1.5G", "1 G", "1KK", "1iB", "1B", "1k", "1KB", "0x10", "9223372036854775808", "8388608T", "1E"} {
		if n, err := ParseSize(bad); err == nil {
			t.Errorf("%q was read as %d", bad, n)
		}
	}
}

func TestTheFirstThatSaysSomethingWins(t *testing.T) {
	t.Parallel()
	const text = "QUBES_REMOTE_VM=d\nQVM_REMOTE_VM=c\nQUBES_REMOTE_VMS=\"b b2 b\"\nQVM_REMOTE_VMS=\nQVM_REMOTE_STOP_WAIT=5\n"
	src := file(t, text)
	vms := func(want ...string) []Warning {
		t.Helper()
		s, warnings, err := src.Load()
		if err != nil || !slices.Equal(s.VMs, want) || s.StopWait != 5 && len(src.Environ) == 0 {
			t.Errorf("%q, %v; want %q", s.VMs, err, want)
		}
		return warnings
	}
	vms("b", "b2")
	src.Environ = []string{"HOME=/root", "QVM_REMOTE_VMS=", "QVM_REMOTE_VM=e", "QVM_REMOTE_STOP_WAIT=7"}
	warnings := vms("e")
	if len(warnings) != 2 || !strings.Contains(warnings[0].String(), "QVM_REMOTE_VM overrides QUBES_REMOTE_VMS in "+src.Path+":3") {
		t.Errorf("warnings: %v", warnings)
	}
	src.VMs = []string{"f"}
	vms("f")
	src.VMs = []string{"$(id)"}
	if _, _, err := src.Load(); err == nil || !strings.Contains(err.Error(), "--vm") {
		t.Errorf("got %v", err)
	}
	src = Source{Path: src.Path, Environ: []string{"QVM_REMOTE_CONCURRENT=many"}}
	if _, _, err := src.Load(); err == nil || !strings.Contains(err.Error(), "environment: QVM_REMOTE_CONCURRENT") {
		t.Errorf("got %v", err)
	}
}

func TestUnknownNamesAreWarnings(t *testing.T) {
	t.Parallel()
	src := file(t, "QVM_REMOTE_VMZ=work\nPATH=/tmp\nQVM_REMOTE_LEGACI=1\n")
	src.Environ = []string{"QVM_REMOTE_CONCURENT=4", "QVM_REMOTE_LEGACI=1", "QVM_REMOTE_REAL=1", "QVM_REMOTE_BUS=unix:path=/bus", "OTHER=1"}
	s, warnings, err := src.Load()
	must(t, err)
	if !reflect.DeepEqual(s, Default()) {
		t.Errorf("%+v", s)
	}
	var text []string
	for _, w := range warnings {
		text = append(text, strings.TrimPrefix(w.String(), src.Path))
	}
	want := []string{":1: QVM_REMOTE_VMZ is no setting", ":2: PATH is no setting", ":3: QVM_REMOTE_LEGACI is no setting",
		"environment: QVM_REMOTE_CONCURENT is no setting", "environment: QVM_REMOTE_LEGACI is no setting"}
	if !slices.Equal(text, want) {
		t.Errorf("%q", text)
	}
}

func TestAFileThatOthersCanWriteIsRefused(t *testing.T) {
	t.Parallel()
	src := file(t, "QVM_REMOTE_VMS=work\n")
	must(t, os.Chmod(src.Path, 0o644))
	if s, warnings, err := src.Load(); err != nil || len(warnings) != 1 || len(s.VMs) != 1 {
		t.Errorf("readable by others: %v, %v", warnings, err)
	}
	must(t, os.Chmod(src.Path, 0o620))
	if _, _, err := src.Load(); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("writable by a group: %v", err)
	}
	must(t, os.Rename(src.Path, src.Path+".real"))
	must(t, os.Symlink(src.Path+".real", src.Path))
	if _, _, err := src.Load(); err == nil || !strings.Contains(err.Error(), "symbolic link") {
		t.Errorf("a symbolic link: %v", err)
	}
	must(t, os.Remove(src.Path))
	must(t, unix.Mkfifo(src.Path, 0o600))
	if _, _, err := src.Load(); err == nil || !strings.Contains(err.Error(), "regular") {
		t.Errorf("a FIFO: %v", err)
	}
	if os.Geteuid() == 0 {
		must(t, os.Remove(src.Path))
		must(t, os.WriteFile(src.Path, nil, 0o600))
		must(t, os.Chown(src.Path, 65534, -1))
		if _, _, err := src.Load(); err == nil || !strings.Contains(err.Error(), "65534") {
			t.Errorf("somebody else's: %v", err)
		}
	}
}
