package rules

import (
	"go/ast"
	"strconv"
	"testing"
)

// TestProgramsOfTestsCanBeStarted: a file that a test writes and starts is busy
// now and then, unless test/executable wrote it.
func TestProgramsOfTestsCanBeStarted(t *testing.T) {
	t.Parallel()
	report(t, busy(load(t)))
	finds(t, 2, busy(sample(t, map[string]string{
		"client/a_test.go": `package client; import "os"; func f() { os.WriteFile("x", nil, 0o700); os.WriteFile("y", nil, 0o600) }`,
		"test/sim/a.go":    `package sim; import "os"; func f() { os.WriteFile("x", nil, 0o755); os.MkdirAll("y", 0o755) }`,
		"client/a.go":      `package client; import "os"; func f() { os.WriteFile("x", nil, 0o700) }`,
	})))
}

// busy lists where tests write what can be started.
func busy(t *Tree) []string {
	var faults []string
	for _, f := range t.Files {
		if !f.Test() && !Under(f.Dir(), "test") {
			continue
		}
		for _, c := range f.Calls() {
			if c.Pkg == "os" && c.Name == "WriteFile" && len(c.Args) == 3 && starts(c.Args[2]) {
				faults = append(faults, t.At(f, c)+": use executable.Write for what is started, or no x among its rights")
			}
		}
	}
	return faults
}

// starts reports whether somebody may start a file with those rights.
func starts(rights ast.Expr) bool {
	number, ok := rights.(*ast.BasicLit)
	if !ok {
		return false
	}
	mode, err := strconv.ParseUint(number.Value, 0, 32)
	return err == nil && mode&0o111 != 0
}
