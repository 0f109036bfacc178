package backup

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"context"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// The test program is started again to be killed in the middle of a restore.
const crashVariable = "QVM_REMOTE_BACKUP_CRASH"

func TestMain(m *testing.M) {
	if spec := os.Getenv(crashVariable); spec != "" {
		restoreUntil(spec)
	}
	os.Exit(m.Run())
}

// restoreUntil restores "step home archive" and kills itself at that step.
func restoreUntil(spec string) {
	f := strings.SplitN(spec, " ", 3)
	left, err := strconv.Atoi(f[0])
	if err != nil {
		os.Exit(2)
	}
	k := keeperIn(f[1])
	k.step = func(string) {
		if left--; left == 0 {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		}
	}
	if _, err := k.Restore(context.Background(), f[2], Choice{Log: true, Settings: true, Keys: true, Passphrase: pass, ReplaceKey: true}); err != nil {
		println(err.Error())
		os.Exit(1)
	}
	os.Exit(0)
}

// unpacked is an archive's tar file.
func unpacked(t *testing.T, path string) string {
	t.Helper()
	f, err := os.Open(path)
	must(t, err)
	defer f.Close()
	z, err := gzip.NewReader(bufio.NewReader(f))
	must(t, err)
	b, err := io.ReadAll(z)
	must(t, err)
	if _, err := tar.NewReader(strings.NewReader(string(b))).Next(); err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestKilledWhileRestoring: wherever it is killed, each request is in the history
// whole or not at all, and restoring again does the rest.
func TestKilledWhileRestoring(t *testing.T) {
	t.Parallel()
	from := newKeeper(t, filepath.Join(t.TempDir(), "from"))
	from.lived(t)
	made, err := from.Create(t.Context(), pass)
	must(t, err)
	want := from.history(t)
	for n := 1; ; n++ {
		home := filepath.Join(t.TempDir(), "home")
		k := newKeeper(t, home)
		k.request(t, morning, "20261120-080000-1-00000000", "mine\n", nil)
		mine := k.history(t)
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), crashVariable+"="+strconv.Itoa(n)+" "+home+" "+made.Path)
		out, err := cmd.CombinedOutput()
		if err == nil {
			if n < 15 {
				t.Errorf("only %d steps", n)
			}
			return
		}
		if cmd.ProcessState.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
			t.Fatalf("step %d: %v\n%s", n, err, out)
		}
		for _, p := range k.Client.History(100) {
			dir := k.Client.Layout.HistoryOf(p.Issued, p.ID)
			rel := strings.TrimPrefix(dir, k.Client.Layout.History())
			for path, content := range want {
				if strings.HasPrefix(path, rel+"/") && state(t, dir)[strings.TrimPrefix(path, rel)] != content {
					t.Errorf("step %d: %s is not whole", n, path)
				}
			}
		}
		if _, err := k.Client.Key(); err != nil {
			t.Errorf("step %d: the key: %v", n, err)
		}
		if _, err := k.Restore(t.Context(), made.Path, Choice{Log: true, Keys: true, Passphrase: pass, ReplaceKey: true}); err != nil {
			t.Errorf("step %d: restoring again: %v", n, err)
		}
		all := maps.Clone(want)
		maps.Copy(all, mine)
		if got := k.history(t); !maps.Equal(got, all) {
			t.Errorf("step %d: the history has %q, want %q", n, slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(all)))
		}
	}
}
