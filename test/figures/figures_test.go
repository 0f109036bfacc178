package figures

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestEachCommandReplacesItsOwnPart(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "figures.md")
	for _, w := range []struct{ name, text string }{{"one", "1\n\n"}, {"two", "2"}, {"one", "3\n"}, {"two", "4\n"}, {"one", "5"}} {
		if err := Write(path, w.name, w.text); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want := "<!-- one writes from here -->\n5\n<!-- one writes to here -->\n\n<!-- two writes from here -->\n4\n<!-- two writes to here -->\n"
	if string(got) != want {
		t.Errorf("it is\n%s\nwant\n%s", got, want)
	}
}

func TestTextOfOthersStays(t *testing.T) {
	t.Parallel()
	const others = "# Title\n\nbefore\n"
	once, err := replace(others, "one", "x")
	if err != nil || !strings.HasPrefix(once, others+"\n<!--") {
		t.Errorf("it is %q: %v", once, err)
	}
	again, err := replace(once+"after", "one", "y")
	if err != nil || again != strings.Replace(once, "x\n", "y\n", 1)+"after" {
		t.Errorf("it is %q: %v", again, err)
	}
	if half, err := replace("<!-- one writes from here -->\nall of the rest\n", "one", "z"); err == nil {
		t.Errorf("a part without an end became %q", half)
	}
}
