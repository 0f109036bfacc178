package qubes

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"qvmremote/daemon/paths"
)

const (
	uuidA = "5f1c4d2a-0f0e-4c57-9d4c-9c2f7a3c1b11"
	uuidB = "00000000-0000-0000-0000-000000000000"
)

// dom0 has tools of the test's own, in the folder it returns.
func dom0(t *testing.T) (*Tools, string) {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("PATH", dir+":/usr/bin:/bin")
	return &Tools{Root: paths.Root(t.TempDir())}, dir
}

func TestListReadsQvmLs(t *testing.T) {
	tools, dir := dom0(t)
	script(t, dir, "qvm-ls", `[ "$*" = "--raw-data --fields NAME,STATE,CLASS,LABEL,UUID" ] || exit 2
echo 'work|Running|AppVM|blue|`+uuidA+`'
echo 'dom0|Running|AdminVM|black|`+uuidB+`'
echo 'sys-net-dm|Running|AppVM|red|-'
echo 'anon|Halted|DispVM|my label|-'`)
	list, err := tools.List(t.Context())
	want := []Qube{{"anon", Halted, "DispVM", "my label", ""}, {"work", Running, "AppVM", "blue", uuidA}}
	if err != nil || !slices.Equal(list, want) {
		t.Fatalf("%+v, %v", list, err)
	}
}

func TestAnOlderQvmLsHasNoUUIDs(t *testing.T) {
	tools, dir := dom0(t)
	script(t, dir, "qvm-ls", `case "$*" in *UUID*) echo 'no column UUID' >&2; exit 2;; esac; echo 'work|Paused|AppVM|blue'`)
	script(t, dir, "qvm-prefs", `[ "$*" = "work uuid" ] && echo `+uuidA)
	list, err := tools.List(t.Context())
	if err != nil || !slices.Equal(list, []Qube{{"work", Paused, "AppVM", "blue", ""}}) {
		t.Fatalf("%+v, %v", list, err)
	}
	if uuid, err := tools.UUID(t.Context(), "work"); err != nil || uuid != uuidA {
		t.Errorf("%q, %v", uuid, err)
	}
	if _, err := tools.UUID(t.Context(), "anon"); err == nil {
		t.Error("a uuid for a qube that qvm-prefs does not know")
	}
	for _, vm := range []string{"--help", "dom0", "a b", ""} {
		if _, err := tools.UUID(t.Context(), vm); !errors.Is(err, ErrNoQube) {
			t.Errorf("UUID(%q): %v", vm, err)
		}
	}
	script(t, dir, "qvm-prefs", "echo None")
	if uuid, err := tools.UUID(t.Context(), "work"); err == nil {
		t.Errorf("%q was taken for a uuid", uuid)
	}
}

func TestABrokenQvmLsIsAnError(t *testing.T) {
	tools, dir := dom0(t)
	script(t, dir, "qvm-ls", "echo qubesd is away >&2; exit 1")
	if _, err := tools.List(t.Context()); err == nil || !strings.Contains(err.Error(), "qubesd is away") {
		t.Errorf("got %v", err)
	}
	if _, err := tools.State(t.Context(), "work", 0); err == nil {
		t.Error("a state without an answer")
	}
}

func TestAnswersOfAnotherFormAreErrors(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{
		"", "\n", "work", "NAME  STATE\n", "work|Running|AppVM|blue\n", "work|Running|AppVM|blue|-|x\n", "|Running|AppVM|blue|-\n",
		"work|Run\x1bning|AppVM|blue|-\n", "work|Running|AppVM|blue|no\n", "work|Running|AppVM|blue|" + strings.ToUpper(uuidA) + "\n",
		"work|Running|AppVM|blue|-\nwork|Halted|AppVM|blue|-\n", "work|Running|AppVM|blue|-\n\n", "work|Running|AppVM|blue|-\r\n",
		"work|Running|AppVM|blue|" + uuidA[:35] + "\n", "work|" + strings.Repeat("R", 65) + "|AppVM|blue|-\n",
	} {
		if list, err := parseList([]byte(bad), 5); err == nil {
			t.Errorf("%q was read as %+v", bad, list)
		} else if strings.ContainsAny(err.Error(), "\x1b\r") {
			t.Errorf("the error for %q is not quoted", bad)
		}
	}
}

func TestState(t *testing.T) {
	tools, dir := dom0(t)
	script(t, dir, "qvm-ls", `echo 'work|Running|AppVM|blue|-'; echo 'anon|Halting|AppVM|red|-'`)
	for vm, want := range map[string]State{"work": Running, "anon": "Halting"} {
		if got, err := tools.State(t.Context(), vm, time.Minute); err != nil || got != want {
			t.Errorf("%s: %q, %v", vm, got, err)
		}
	}
	for _, vm := range []string{"gone", "dom0", "--all", "a\nb"} {
		if got, err := tools.State(t.Context(), vm, time.Minute); !errors.Is(err, ErrNoQube) || got == Running {
			t.Errorf("%q: %q, %v", vm, got, err)
		}
	}
}

func TestWithoutQvmLsQvmCheckDecides(t *testing.T) {
	tools, dir := dom0(t)
	t.Setenv("PATH", dir) // no real one by accident
	if _, err := tools.State(t.Context(), "work", 0); !errors.Is(err, ErrNoTool) {
		t.Errorf("no tool at all: %v", err)
	}
	script(t, dir, "qvm-check", `[ "$1" = --running ] || exit 2; case $2 in work) ;; anon) exit 1;; *) exit 3;; esac`)
	for vm, want := range map[string]State{"work": Running, "anon": Unknown} {
		if got, err := tools.State(t.Context(), vm, 0); err != nil || got != want {
			t.Errorf("%s: %q, %v", vm, got, err)
		}
	}
	if got, err := tools.State(t.Context(), "other", 0); err == nil || got == Running {
		t.Errorf("qvm-check failed: %q, %v", got, err)
	}
}

// calls counts the lines the fake tool wrote.
func calls(t *testing.T, dir string) int {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "calls"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return strings.Count(string(b), "\n")
}

func TestSnapshotAsksOnceForMany(t *testing.T) {
	tools, dir := dom0(t)
	script(t, dir, "qvm-ls", `echo >> `+dir+`/calls; while [ ! -e `+dir+`/go ]; do sleep 0.01; done; echo 'work|Running|AppVM|blue|-'`)
	type answer struct {
		list []Qube
		err  error
	}
	answers := make(chan answer)
	ask := func() {
		list, err := tools.Snapshot(t.Context(), time.Hour)
		answers <- answer{list, err}
	}
	impatient, cancel := context.WithCancel(t.Context())
	left := make(chan error)
	go func() {
		_, err := tools.Snapshot(impatient, time.Hour)
		left <- err
	}()
	eventually(t, "qvm-ls was asked", func() bool { return calls(t, dir) == 1 })
	for range 5 {
		go ask()
	}
	cancel() // who asked first leaves; the others still get their answer
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		if a := <-answers; a.err != nil || len(a.list) != 1 {
			t.Fatalf("%+v", a)
		}
	}
	if n := calls(t, dir); n != 1 {
		t.Errorf("asked %d times", n)
	}
	list, err := tools.Snapshot(t.Context(), 0)
	if err != nil || calls(t, dir) != 2 {
		t.Errorf("a fresh answer was wanted: %v, %d calls", err, calls(t, dir))
	}
	list[0].State = Halted // the answer is the caller's own
	if list, err := tools.Snapshot(t.Context(), time.Hour); err != nil || list[0].State != Running || calls(t, dir) != 2 {
		t.Errorf("%+v, %v, %d calls", list, err, calls(t, dir))
	}
}

func TestSnapshotDoesNotKeepErrors(t *testing.T) {
	tools, dir := dom0(t)
	script(t, dir, "qvm-ls", `exit 1`)
	if _, err := tools.Snapshot(t.Context(), time.Hour); err == nil {
		t.Fatal("no error")
	}
	script(t, dir, "qvm-ls", `echo 'work|Running|AppVM|blue|-'`)
	if list, err := tools.Snapshot(t.Context(), time.Hour); err != nil || len(list) != 1 {
		t.Errorf("%+v, %v", list, err)
	}
}

func TestAToolThatHangsEndsAtItsDeadline(t *testing.T) {
	tools, dir := dom0(t)
	tools.Timeout = 50 * time.Millisecond
	script(t, dir, "qvm-ls", "exec sleep 1000")
	if _, err := tools.Snapshot(t.Context(), 0); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

func FuzzParseList(f *testing.F) {
	f.Add([]byte("dom0|Running|AdminVM|black|-\nwork|Running|AppVM|blue|"+uuidA+"\n"), true)
	f.Add([]byte("a|b|c|d\n"), false)
	f.Fuzz(func(t *testing.T, b []byte, uuids bool) {
		fields := 4
		if uuids {
			fields = 5
		}
		list, err := parseList(b, fields)
		if err != nil {
			return
		}
		for _, q := range list {
			if !strings.Contains("\n"+string(b), "\n"+q.Name+"|"+string(q.State)+"|") {
				t.Fatalf("%+v is not a line of %q", q, b)
			}
			if q.Name == "dom0" || q.UUID != "" && !ValidUUID(q.UUID) {
				t.Fatalf("%+v", q)
			}
		}
	})
}
