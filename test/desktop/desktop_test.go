package desktop

import (
	"bufio"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"qvmremote/test/child"
	"qvmremote/test/desktop/x11"
)

// TestMain has this program be one with a desktop, too, for the test that ends
// it.
func TestMain(m *testing.M) {
	if os.Getenv("DESKTOP_TEST_HOLD") == "" {
		os.Exit(m.Run())
	}
	d, err := New(Options{})
	if err != nil {
		os.Stdout.WriteString(err.Error() + "\n")
		os.Exit(1)
	}
	os.Stdout.WriteString(d.dir + "\n")
	time.Sleep(time.Hour)
}

// left lists the processes that know a folder, by their variables or arguments.
func left(t *testing.T, dir string) []string {
	t.Helper()
	var found []string
	for _, name := range []string{"environ", "cmdline"} {
		files, err := filepath.Glob("/proc/[0-9]*/" + name)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err == nil && strings.Contains(string(text), dir) {
				found = append(found, file+": "+strings.ReplaceAll(string(text), "\x00", " "))
			}
		}
	}
	return found
}

func TestNothingIsLeft(t *testing.T) {
	t.Parallel()
	d, err := New(Options{Width: 800, Height: 600})
	if err != nil {
		t.Fatal(err)
	}
	if d.x.Width != 800 || d.x.Height != 600 {
		t.Errorf("the screen has %d by %d pixels", d.x.Width, d.x.Height)
	}
	p := d.Launch(t, nil, "sleep", "1000")
	if len(left(t, d.dir)) < 3 {
		t.Errorf("the screen, the registry and a program should be found by the desktop's folder; these are: %v", left(t, d.dir))
	}
	d.Close()
	if p.Running() {
		t.Error("a program outlives its desktop")
	}
	Await(t, "no process is left", func() bool { return len(left(t, d.dir)) == 0 })
	if _, err := os.Stat(d.dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the folder is left: %v", err)
	}
	d.Close()
}

func TestNothingIsLeftOfATestThatIsKilled(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), "DESKTOP_TEST_HOLD=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	c, err := child.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	defer c.End(endLimit)
	dir, err := bufio.NewReader(out).ReadString('\n')
	if dir = strings.TrimSpace(dir); err != nil || !filepath.IsAbs(dir) {
		t.Fatalf("the other program said %q: %v", dir, err)
	}
	defer os.RemoveAll(dir)
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	Await(t, "no process is left", func() bool { return len(left(t, dir)) == 0 })
}

func TestOnlyWhoKnowsTheCookieConnects(t *testing.T) {
	t.Parallel()
	d := Start(t)
	if c, err := x11.Dial(d.screen.number, make([]byte, 16)); err == nil {
		c.Close()
		t.Error("a program with another cookie connected")
	}
}

func TestKeysByName(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]x11.Keysym{"a": 'a', "ctrl+2": '2', "Ctrl+Return": 0xff0d, "F1": 0xffbe, "shift+Tab": 0xff09, "ctrl+question": '?', "ctrl+ü": 0xfc} {
		sym, with, err := parse(text)
		if err != nil || sym != want || len(with) != strings.Count(text, "+") {
			t.Errorf("%s is key %#x with %v held: %v", text, sym, with, err)
		}
	}
	for _, text := range []string{"", "ctrl+", "hyper+a", "ab"} {
		if _, _, err := parse(text); err == nil {
			t.Errorf("%q is taken for a key", text)
		}
	}
}
