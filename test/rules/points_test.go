package rules

import (
	"strings"
	"testing"
)

func TestPointsAreConstantAndTheirOwn(t *testing.T) {
	t.Parallel()
	if _, err := load(t).Points(); err != nil {
		t.Error(err)
	}
}

func TestPointsOfASample(t *testing.T) {
	t.Parallel()
	points, err := sample(t, map[string]string{
		"daemon/run/a.go": `package run
			import ("os"; "qvmremote/daemon/disk")
			const began = "run.began"
			func f(p string, file *os.File) {
				disk.Point(began); disk.Point("run.ended:before-report"); disk.Sync("run.x:y", file); disk.Sync("run.out", file); disk.Replace("run.result", p, nil, 0)
				disk.Sync("run.out", file); disk.Point(p); disk.Point("NoForm")
				part("run.script", file); part(p, file)
			}
			func part(point string, file *os.File) { disk.Sync(point, file) }`,
		"daemon/audit/a.go": `package audit
			func (l *Log) f() { l.o.hooks.sync("audit.append", l.file); l.o.hooks.truncate(l.file, 0) }`,
	}).Points()
	var names []string
	for _, p := range points {
		names = append(names, p.Name)
	}
	want := "audit.append:after-fsync audit.append:before-fsync run.began run.ended:before-report run.out:after-fsync run.out:before-fsync run.result:after-fsync " +
		"run.result:after-rename run.result:before-fsync run.result:before-rename " +
		"run.script:after-fsync run.script:before-fsync"
	if got := strings.Join(names, " "); got != want {
		t.Errorf("points\n%s\nwant\n%s", got, want)
	}
	if err == nil || strings.Count(err.Error(), "is not a constant") != 2 {
		t.Errorf("the names that are no constants were not found: %v", err)
	}
	for _, fault := range []string{"point run.out:before-fsync is also at", `"NoForm" is not of the form`, `"run.x:y" is not of the form`} {
		if err == nil || !strings.Contains(err.Error(), fault) {
			t.Errorf("no fault %q in %v", fault, err)
		}
	}
}

// TestStepsAreThoseOfDisk: every exported function of daemon/disk that takes a
// point's name is in steps with the endings that its source passes to Point.
func TestStepsAreThoseOfDisk(t *testing.T) {
	t.Parallel()
	found := map[string]string{}
	for _, f := range load(t).Files {
		if f.Dir() == "daemon/disk" && !f.Test() {
			collectSteps(f, found)
		}
	}
	if len(found) != len(steps) {
		t.Errorf("daemon/disk has %v, steps has %d functions", found, len(steps))
	}
	for name, want := range steps {
		if got := found[name]; got != strings.Join(want, " ") {
			t.Errorf("disk.%s passes %q, steps says %q", name, got, want)
		}
	}
}
