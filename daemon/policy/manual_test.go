package policy

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const manual = "../../docs/policy.md"

// pages are those with examples.
var pages = []string{manual, "../../docs/files.md"}

var block = regexp.MustCompile("(?ms)^```(policy|expect)\n(.*?)^```$")

// TestTheManualsExamples: each policy on a page has no error, and does what the
// page says below it.
func TestTheManualsExamples(t *testing.T) {
	t.Parallel()
	dir := machine(t)
	held := 0
	for _, name := range pages {
		page, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var p *Policy
		for _, m := range block.FindAllStringSubmatch(string(page), -1) {
			if m[1] == "policy" {
				put(t, filepath.Join(dir, "work.policy"), m[2])
				if p, err = Load(dir, "work"); err != nil {
					t.Fatal(err)
				}
				continue
			}
			list, err := Expectations(name, []byte("policy work\n"+m[2]))
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range list {
				held++
				if wrong := e.Met(p); wrong != "" {
					t.Errorf("below\n%s%s", strings.Join(p.Rules(), "\n"), "\n"+wrong)
				}
			}
		}
	}
	if held < 50 {
		t.Errorf("only %d examples were found", held)
	}
}

// TestTheManualIsWhole: every limit, every set and each builtin that is no
// script is on the page.
func TestTheManualIsWhole(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(manual)
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, l := range limitTable() {
		want = append(want, "| `limit "+l.name+" ")
	}
	for _, name := range setNames(t) {
		want = append(want, "| `"+name+"` |")
	}
	for name := range seenThrough {
		want = append(want, "`"+name+"`")
	}
	for _, w := range want {
		if !strings.Contains(string(page), w) {
			t.Errorf("docs/policy.md does not say %s", w)
		}
	}
	example := regexp.MustCompile("(?m)^\\| `(limit [a-z]+ [^`]+)`")
	for _, m := range example.FindAllStringSubmatch(string(page), -1) {
		if _, err := Parse("manual", []byte(m[1]+"\n"), nil); err != nil {
			t.Errorf("%s: %v", m[1], err)
		}
	}
}
