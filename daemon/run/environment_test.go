package run

import (
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestEnvironment(t *testing.T) {
	bothWays(t, func(t *testing.T, r *Runner) {
		c := command(t, "exec env")
		got := runCommand(t, t.Context(), r, c)
		mustExit(t, got, 0)
		lines := strings.Split(strings.TrimSuffix(got.out, "\n"), "\n")
		slices.Sort(lines)
		want := []string{
			"HOME=" + r.Home,
			"LANG=C.UTF-8",
			"PATH=" + r.Path,
			"PWD=" + r.Home,
			"QVM_REMOTE_ID=" + c.ID,
			"QVM_REMOTE_QUBE=work",
			"SHLVL=0", // bash counts down before exec
		}
		lines = slices.DeleteFunc(lines, func(s string) bool { return strings.HasPrefix(s, "_=") })
		if !slices.Equal(lines, want) {
			t.Errorf("got  %q\nwant %q", lines, want)
		}
	})
}

func TestDescriptors(t *testing.T) {
	// One that is not closed on exec: the command must not get it either.
	leak, err := unix.Open("/dev/null", unix.O_RDONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(leak) })
	script := "for n in {0..300}; do [ -e /proc/$$/fd/$n ] && echo $n; done; readlink /proc/$$/fd/0"
	bothWays(t, func(t *testing.T, r *Runner) {
		got := runScript(t, r, script)
		mustExit(t, got, 0)
		if got.out != "0\n1\n2\n/dev/null\n" {
			t.Errorf("got %q", got.out)
		}
	})
}

func TestStdin(t *testing.T) {
	bothWays(t, func(t *testing.T, r *Runner) {
		c := command(t, "read a; echo \"$a|\"; cat; exec 2>&-; echo x >&0 || echo read-only")
		c.Stdin = spool(t, "first\nsecond\x00\xff\n")
		got := runCommand(t, t.Context(), r, c)
		mustExit(t, got, 0)
		if got.out != "first|\nsecond\x00\xff\nread-only\n" {
			t.Errorf("got %v", got)
		}
		if b, err := os.ReadFile(c.Stdin); err != nil || string(b) != "first\nsecond\x00\xff\n" {
			t.Errorf("stdin became %q, %v", b, err)
		}
		c.Stdin += "-missing"
		if got := runCommand(t, t.Context(), r, c); got.Began || got.State != Interrupted || got.Err == nil {
			t.Errorf("without its stdin: %v", got)
		}
	})
}

// TestInherited starts a daemon in bad company: with signals blocked and
// ignored, another umask and a low limit. The command sees none of it but the
// limit, which is the system's to set.
func TestInherited(t *testing.T) {
	t.Parallel()
	d := newDaemon(t, false, "umask; ulimit -Sn; ulimit -Hn; exec grep -E '^Sig(Blk|Ign)' /proc/self/status")
	out, err := d.through("bash", "-c",
		`umask 077; ulimit -Sn 500; ulimit -Hn 600; exec env --ignore-signal=PIPE,HUP,INT,TSTP,USR1,RTMIN --block-signal=TERM,USR2 "$@"`, "-").Output()
	if err != nil {
		t.Fatal(err)
	}
	want := "0022\n500\n600\n"
	for _, name := range []string{"SigBlk", "SigIgn"} {
		want += name + ":\t0000000000000000\n"
	}
	if string(out) != want {
		t.Errorf("got %q\nwant %q", out, want)
	}
}

// TestSuperviseIsForTheDaemon: who calls it by hand is told so.
func TestSuperviseIsForTheDaemon(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{nil, {"/x", "/bin/bash", "1", noGroup}} {
		cmd := newCmd(t, self, append([]string{superviseArg}, args...)...)
		out, err := cmd.CombinedOutput()
		if err == nil || !strings.HasPrefix(string(out), "qvm-remote-dom0: cannot supervise") {
			t.Errorf("%q: %v, %q", args, err, out)
		}
	}
}
