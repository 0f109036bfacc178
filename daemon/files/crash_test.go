//go:build crashpoints

package files

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"qvmremote/queue/piece"
)

const oldText, newText = "old", "0123456789"

// steps are what a crash may interrupt, with half of the new file there.
var steps = map[string]func(t *testing.T, to Target) error{
	"place": func(t *testing.T, to Target) error { _, err := to.put(t, 5, newText[5:]); return err },
	"replace": func(t *testing.T, to Target) error {
		to.Overwrite = true
		_, err := to.put(t, 5, newText[5:])
		return err
	},
	"mismatch":  func(t *testing.T, to Target) error { _, _ = to.put(t, 5, "xxxxx"); return nil },
	"drop":      func(_ *testing.T, to Target) error { _, err := to.Drop(); return err },
	"abandoned": func(_ *testing.T, to Target) error { _, err := to.Begin(time.Now().Add(2 * piece.Keep)); return err },
}

// TestStepInChild is no test: it is what the test below runs and kills.
func TestStepInChild(t *testing.T) {
	path, step := os.Getenv("FILES_CRASH_PATH"), os.Getenv("FILES_CRASH_STEP")
	if path == "" {
		t.Skip("run by TestACrashLeavesTheOldFileOrTheNew")
	}
	must(t, steps[step](t, target(path, newText)))
}

func TestACrashLeavesTheOldFileOrTheNew(t *testing.T) {
	t.Parallel()
	for step := range steps {
		points := strings.Fields(crash(t, step, ""))
		if len(points) == 0 {
			t.Errorf("%s passes no point", step)
		}
		for _, point := range points {
			crash(t, step, point)
		}
	}
}

// crash runs the step in a child that dies at point, "" for none, looks at what
// it left, and sends the file once more. It returns the points that were reached.
func crash(t *testing.T, step, point string) string {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	to := target(path, newText)
	_, err := to.put(t, 0, newText[:5])
	must(t, err)
	if step == "replace" {
		write(t, path, oldText)
	}
	trace := filepath.Join(t.TempDir(), "trace")
	cmd := exec.Command(os.Args[0], "-test.run=^TestStepInChild$")
	cmd.Env = append(os.Environ(), "FILES_CRASH_PATH="+path, "FILES_CRASH_STEP="+step,
		"QVM_REMOTE_CRASH="+point, "QVM_REMOTE_CRASH_TRACE="+trace)
	out, err := cmd.CombinedOutput()
	if died := err != nil && strings.Contains(err.Error(), "killed"); died != (point != "") {
		t.Fatalf("%s at %q: %v\n%s", step, point, err, out)
	}
	b, err := os.ReadFile(path)
	whole := string(b) == newText || step == "replace" && string(b) == oldText || step != "replace" && os.IsNotExist(err)
	if !whole {
		t.Errorf("%s killed at %s leaves %q, %v", step, point, b, err)
	}
	to.Overwrite = true
	s, err := to.Begin(time.Now())
	if err == nil && s.Size <= to.Size {
		_, err = to.put(t, s.Size, newText[s.Size:])
	}
	if err != nil || content(t, path) != newText {
		t.Errorf("%s killed at %s, sent again: %q, %v", step, point, content(t, path), err)
	}
	if left := names(t, dir); len(left) != 1 {
		t.Errorf("%s killed at %s, left: %q", step, point, left)
	}
	reached, err := os.ReadFile(trace)
	must(t, err)
	return string(reached)
}
