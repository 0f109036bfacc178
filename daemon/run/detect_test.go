package run

import (
	"os"
	"path"
	"slices"
	"strings"
	"testing"
)

const (
	hybrid = "31 24 0:27 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n" +
		"42 31 0:30 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n" +
		"43 31 0:31 / /sys/fs/cgroup/unified rw,relatime shared:9 master:2 - cgroup2 cgroup2 rw\n"
	pure = "30 24 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
)

func TestUnitFolder(t *testing.T) {
	cases := []struct{ name, own, mounts, want string }{
		{"pure", "0::/system.slice/qvm-remote-dom0.service\n", pure, "/sys/fs/cgroup/system.slice/qvm-remote-dom0.service"},
		{"hybrid", "4:memory:/x\n0::/a.service\n", hybrid, "/sys/fs/cgroup/unified/a.service"},
		{"moved already", "0::/a.service/daemon\n", pure, "/sys/fs/cgroup/a.service"},
		{"the root", "0::/\n", pure, "/sys/fs/cgroup"},
		{"a part is mounted", "0::/a/b\n", "1 2 0:3 /a /m rw - cgroup2 none rw\n", "/m/b"},
		{"another part is mounted", "0::/ab\n", "1 2 0:3 /a /m rw - cgroup2 none rw\n", ""},
		{"escaped", "0::/a\n", "1 2 0:3 / /m\\040n\\9 rw - cgroup2 none rw\n", "/m n\\9/a"},
		{"version 1 only", "4:memory:/x\n", pure, ""},
		{"not mounted", "0::/x\n", "31 24 0:27 / /sys rw - tmpfs tmpfs rw\n", ""},
		{"outside of the namespace", "0::/../x\n", pure, ""},
	}
	for _, c := range cases {
		got, ok := unitFolder([]byte(c.own), []byte(c.mounts))
		if got != c.want || ok != (c.want != "") {
			t.Errorf("%s: got %q, %v; want %q", c.name, got, ok, c.want)
		}
	}
}

func FuzzUnitFolder(f *testing.F) {
	f.Add([]byte("4:memory:/x\n0::/a.service/daemon\n"), []byte(hybrid))
	f.Add([]byte("0::/"), []byte(pure))
	f.Add([]byte("0::/a"), []byte("1 2 0:3 /a /m\\04 rw - cgroup2"))
	f.Fuzz(func(t *testing.T, own, mounts []byte) {
		if dir, ok := unitFolder(own, mounts); ok && (!path.IsAbs(dir) || path.Clean(dir) != dir) {
			t.Errorf("%q, %q: %q", own, mounts, dir)
		}
	})
}

func TestDelegatedCgroup(t *testing.T) {
	dir, err := DelegatedCgroup()
	if err == nil {
		if _, err := os.Stat(dir + "/cgroup.procs"); err != nil {
			t.Errorf("%s is no cgroup: %v", dir, err)
		}
	} else if !strings.Contains(err.Error(), "Delegate=yes") {
		t.Errorf("it does not say what to do: %v", err)
	}
}

func TestParseStat(t *testing.T) {
	for text, want := range map[string]int{
		"12 (bash) S 7 12 12 0":        7,
		"12 (a) S 1 (b\n) R 8 12 12 0": 8,
		"":                             -1,
		"12 (bash":                     -1,
		"12 (bash) S":                  -1,
		"12 (bash) S x":                -1,
	} {
		if got, ok := parseStat([]byte(text)); ok != (want >= 0) || ok && got.parent != want {
			t.Errorf("%q: got %+v, %v", text, got, ok)
		}
	}
}

func FuzzStat(f *testing.F) {
	f.Add([]byte("12 (a) S 1 (b\n) R 8 12 12 0"))
	f.Add([]byte(")"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if s, ok := parseStat(b); ok && s.parent < 0 {
			t.Errorf("%q: %+v", b, s)
		}
	})
}

// TestChildren: both ways to find children find them.
func TestChildren(t *testing.T) {
	t.Parallel()
	cmd := newCmd(t, "sleep", "1000")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	pid := cmd.Process.Pid
	for name, list := range map[string]func(int) []int{"listed": children, "scanned": scanChildren} {
		if got := list(os.Getpid()); !slices.Contains(got, pid) {
			t.Errorf("%s: %d is not in %d", name, pid, got)
		}
		if got := list(pid); len(got) > 0 {
			t.Errorf("%s: %d has children %d", name, pid, got)
		}
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	if got := children(pid); len(got) > 0 {
		t.Errorf("a dead process has children %d", got)
	}
}

func TestQuote(t *testing.T) {
	for s, want := range map[string]string{"/a b": "'/a b'", "a'b": `'a'\''b'`, "$(x)\n\\": "'$(x)\n\\'"} {
		if got := quote(s); got != want {
			t.Errorf("%q: got %q, want %q", s, got, want)
		}
	}
}
