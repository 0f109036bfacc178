package world

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func made(t *testing.T) World {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	w, err := Create(filepath.Join(t.TempDir(), "w"), self)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func FuzzCalls(f *testing.F) {
	f.Add("qvm-run", "a b\t\"\n")
	f.Add("", "\x00\xff")
	self, err := os.Executable()
	if err != nil {
		f.Fatal(err)
	}
	w, err := Create(filepath.Join(f.TempDir(), "w"), self)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		os.Remove(w.callLog())
		argv := []string{a, b}
		if err := w.LogCall("tool", argv); err != nil {
			t.Fatal(err)
		}
		calls, err := w.Calls()
		if err != nil || len(calls) != 1 {
			t.Fatalf("%q is read back as %v, %v", argv, calls, err)
		}
		if !slices.Equal(calls[0].Argv, argv) || calls[0].Pid != os.Getpid() || calls[0].Tool != "tool" {
			t.Errorf("%q is read back as %v", argv, calls[0])
		}
	})
}

func TestNames(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"work", "sys-net", "a", "A1_.-", "default-mgmt-dvm"} {
		if err := CheckName(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	long := "a234567890123456789012345678901"
	if err := CheckName(long); err != nil {
		t.Errorf("31 characters: %v", err)
	}
	for _, bad := range []string{"", "1a", "-a", "a/b", "..", "a b", "a\n", "none", "default", "dom0", "Domain-0", "work-dm", long + "x"} {
		if CheckName(bad) == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}

func TestNarrowestKnobWins(t *testing.T) {
	w := made(t)
	if err := w.Add("work", "red", "AppVM"); err != nil {
		t.Fatal(err)
	}
	read := func(want string) {
		t.Helper()
		if got := w.Knob("work", Stall); got != want {
			t.Errorf("stall is %q, want %q", got, want)
		}
	}
	read("")
	for _, set := range []func() error{
		func() error { return w.Set("", Stall, "1") },
		func() error { return w.Set("work", Stall, "2") },
		func() error { t.Setenv("SIM_STALL", "3"); return nil },
	} {
		if err := set(); err != nil {
			t.Fatal(err)
		}
	}
	read("3")
	os.Unsetenv("SIM_STALL")
	read("2")
	if err := w.Set("work", Stall, ""); err != nil {
		t.Fatal(err)
	}
	read("1")
}
