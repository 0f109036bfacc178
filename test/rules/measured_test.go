package rules

import (
	"go/ast"
	"strings"
	"testing"
)

// framesTag is on what the desktop program has only where it is measured.
const framesTag = "//go:build gtk && frames"

// TestNoNormalBuildLogsFrames: what writes down what a person sees and which
// keys they press is in no program that is shipped. Of the files that go with
// such a log only those with the tag have code; their twins for all other
// builds have functions that do nothing.
func TestNoNormalBuildLogsFrames(t *testing.T) {
	t.Parallel()
	tree := load(t)
	tagged := 0
	for _, f := range tree.Files {
		if builtAs(f, framesTag) {
			tagged++
		}
	}
	if tagged == 0 {
		t.Error("no file has the tag " + framesTag)
	}
	report(t, framesLogged(tree))
	finds(t, 3, framesLogged(sample(t, map[string]string{
		"gui/a.go": framesTag + "\n\npackage gui; func keys() { log() }; func log() {}",
		"gui/b.go": "//go:build gtk && !frames\n\npackage gui; import _ \"os\"; func keys() { more() }; func more() {}",
		"gui/c.go": "//go:build gtk\n\npackage gui; var file = \"QVM_REMOTE_FRAMES\"",
	})))
}

func builtAs(f *File, line string) bool {
	for _, group := range f.AST.Comments {
		for _, c := range group.List {
			if c.Text == line {
				return true
			}
		}
	}
	return false
}

// framesLogged lists what logs frames, or could, without the tag.
func framesLogged(t *Tree) []string {
	var faults []string
	for _, f := range t.Files {
		if f.Test() || Under(f.Dir(), "test") || builtAs(f, framesTag) {
			continue
		}
		twin := builtAs(f, "//go:build gtk && !frames")
		if twin && len(f.AST.Imports) > 0 {
			faults = append(faults, f.Path+" imports something and should do nothing")
		}
		ast.Inspect(f.AST, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				if twin && len(n.Body.List) > 0 {
					faults = append(faults, t.At(f, n)+": "+n.Name.Name+" should do nothing")
				}
			case *ast.BasicLit:
				if strings.Contains(n.Value, "QVM_REMOTE_FRAMES") {
					faults = append(faults, t.At(f, n)+" names the log of frames and has not the tag")
				}
			}
			return true
		})
	}
	return faults
}
