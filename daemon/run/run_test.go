package run

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"qvmremote/test/executable"
)

func TestScript(t *testing.T) {
	long := "echo start\n" + strings.Repeat("x=1 # padding\n", 70000) + "echo $LINENO\n"
	cases := []struct{ name, script, out, err string }{
		{"exit code zero", "true", "", ""},
		{"streams apart", "echo a; echo b >&2", "a\n", "b\n"},
		{"name", `echo "$0 $# $-"`, "qvm-remote 0 hBc\n", ""},
		{"errors name the line", "#!/bin/sh\n\nnosuch-command\ntrue", "", "qvm-remote: line 3: nosuch-command: command not found\n"},
		{"always bash", "#!/bin/false\n[[ a == a ]] && echo $BASH", "/bash\n", ""},
		{"no newline at the end", "cat <<X\na\nX", "a\n", ""},
		{"continued last line", "echo a \\\n", "a\n", ""},
		{"carriage return", "echo a\r\n", "a\r\n", ""},
		{"odd bytes", "printf '\xff\x7f\x01 $x \\\\ \"'", "\xff\x7f\x01 $x \\ \"", ""},
		{"nothing", "", "", ""},
		{"blank", "\n\n", "", ""},
		{"comment", "# only", "", ""},
		{"error trap once", "trap 'echo trap' ERR\nfalse\ntrue", "trap\n", ""},
		{"aliases by line", "shopt -s expand_aliases\nalias hi='echo hello'\nhi", "hello\n", ""},
		{"exit trap", "trap 'echo bye' EXIT\nexit 0", "bye\n", ""},
		{"a mebibyte", long, "start\n70002\n", ""},
		{"its folder", `cd / && umask; pwd; cd ~ && pwd | sed 's,.*/,,'`, "0022\n/\nroot\n", ""},
	}
	bothWays(t, func(t *testing.T, r *Runner) {
		for _, c := range cases {
			got := runScript(t, r, c.script)
			mustExit(t, got, 0)
			if c.name == "always bash" {
				got.out = got.out[strings.LastIndexByte(got.out, '/'):]
			}
			if got.out != c.out || got.err != c.err {
				t.Errorf("%s: got %v", c.name, got)
			}
			if got.OutBytes != int64(len(got.out)) && c.name != "always bash" || got.ErrBytes != int64(len(got.err)) {
				t.Errorf("%s: counted %d and %d bytes", c.name, got.OutBytes, got.ErrBytes)
			}
		}
	})
}

func TestExitCodes(t *testing.T) {
	cases := map[string]int{
		"exit 7":              7,
		"false":               1,
		"exit 255":            255,
		"nosuch":              127,
		"echo (":              2,
		"set -e\nfalse":       1,
		"kill -9 $$":          137,
		"kill $$":             143,
		"kill -PIPE $$":       141,
		"exec true":           0,
		"exec sh -c 'exit 3'": 3,
	}
	bothWays(t, func(t *testing.T, r *Runner) {
		for script, code := range cases {
			got := runScript(t, r, script)
			mustExit(t, got, code)
		}
	})
}

func TestFolderOfTheCommand(t *testing.T) {
	bothWays(t, func(t *testing.T, r *Runner) {
		got := runScript(t, r, `cd "`+r.Dir+`" && ls; stat -c %a */ */*; cd *; ls`)
		mustExit(t, got, 0)
		lines := strings.Split(got.out, "\n")
		if len(lines) != 5 || !isFolder(lines[0]) || lines[1] != "700" || lines[2] != "700" || lines[3] != "command" {
			t.Errorf("got %v", got)
		}
	})
}

func TestNoBash(t *testing.T) {
	t.Parallel()
	r := newRunner(t, false)
	r.Path = "relative:" + t.TempDir()
	got := runScript(t, r, "true")
	if got.State != Interrupted || got.Exit != 125 || got.Began || got.Err == nil || !strings.Contains(got.Err.Error(), "no bash in PATH") {
		t.Errorf("got %v", got)
	}
}

func TestBashThatCannotStart(t *testing.T) {
	bothWays(t, func(t *testing.T, r *Runner) {
		r.Path = t.TempDir()
		if err := executable.Write(filepath.Join(r.Path, "bash"), []byte("no program")); err != nil {
			t.Fatal(err)
		}
		got := runScript(t, r, "true")
		if got.State != Interrupted || got.Exit != 125 || got.Began || got.Err == nil || !strings.Contains(got.Err.Error(), "cannot start bash") {
			t.Errorf("got %v", got)
		}
	})
}

// TestScriptIsLost: a script that cannot be read is not a script that did
// nothing.
func TestScriptIsLost(t *testing.T) {
	bothWays(t, func(t *testing.T, r *Runner) {
		c := command(t, "exit 0")
		c.BeforeStart = func() error {
			return os.Remove(filepath.Join(r.Dir, leftovers(t, r)[0], scriptName))
		}
		got := runCommand(t, t.Context(), r, c)
		mustExit(t, got, 125)
		if !strings.Contains(got.err, "qvm-remote: cannot read the script\n") {
			t.Errorf("got %v", got)
		}
	})
}
