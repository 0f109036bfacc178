package admin

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"qvmremote/daemon/audit"
)

// TestARuleIsRecordedBeforeItCounts: with who and by which way; where it cannot
// be, nothing changes.
func TestARuleIsRecordedBeforeItCounts(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	vm, ctx := l.qube("work", "Halted"), context.Background()
	const text = "# about all\n\nask qvm-start *\ndeny **\n"
	c, err := l.SetRules(ctx, vm, text, "")
	l.must(err)
	r := l.records()[len(l.records())-1]
	if !c.Changed || l.rulesOf(vm) != text || r.Event != audit.Setting || r.Qube != vm || r.Who != "tester" || r.Way != "test" ||
		r.Detail != vm+".policy: # about all …" || r.Hash != HashOfRules(text) {
		t.Errorf("%+v, recorded as %+v", c, r)
	}
	l.must(os.RemoveAll(l.Root.Audit()))
	l.must(os.WriteFile(l.Root.Audit(), nil, 0o600)) // where the log has to be
	if _, err := l.SetRules(ctx, vm, "allow **\n", HashOfRules(text)); err == nil || !strings.Contains(err.Error(), "nothing was changed") || l.rulesOf(vm) != text {
		t.Errorf("without a log: %v, %q", err, l.rulesOf(vm))
	}
}

// TestTwoEditorsOfOneText: the second learns that the first was there.
func TestTwoEditorsOfOneText(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	vm, ctx := l.qube("work", "Halted"), context.Background()
	_, err := l.SetRules(ctx, vm, "ask **\n", "")
	l.must(err)
	errs := make(chan error)
	for _, text := range []string{"deny **\n", "allow qvm-ls\n"} {
		go func() {
			_, err := l.SetRules(ctx, vm, text, HashOfRules("ask **\n"))
			errs <- err
		}()
	}
	if a, b := <-errs, <-errs; (a == nil) == (b == nil) || !errors.Is(errors.Join(a, b), ErrRefused) {
		t.Errorf("%v, %v", a, b)
	}
}

// TestPolicyOfNoQube: no name that is not a qube's reaches a path.
func TestPolicyOfNoQube(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	ctx := context.Background()
	for _, vm := range []string{"../x", "", "dom0", "a/b"} {
		_, read := l.Rules(vm)
		_, written := l.SetRules(ctx, vm, "allow **\n", "")
		_, explained := l.Explain(vm, "", []byte("true"))
		for _, err := range []error{read, written, explained} {
			if err == nil {
				t.Errorf("%q: %v", vm, err)
			}
		}
	}
	if found, _ := filepath.Glob(filepath.Join(string(l.Root), "etc", "*", "*")); len(found) != 0 {
		t.Errorf("written: %q", found)
	}
}
