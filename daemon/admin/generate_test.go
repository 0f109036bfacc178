package admin

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"qvmremote/daemon/audit"
	"qvmremote/daemon/keys"
	"qvmremote/queue"
)

// inQube is the key that the qube has; "" for none.
func (l *lab) inQube(vm string) string {
	return strings.TrimSpace(property(vm, "home/auth.key"))
}

func TestGenerate(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	vm := l.qube("work", "Running")
	ctx := context.Background()
	c, err := l.Generate(ctx, vm, Terms{})
	l.must(err)
	s, err := keys.Open(l.Root.Keys())
	l.must(err)
	held, err := s.Get(vm)
	l.must(err)
	first := l.inQube(vm)
	if !c.Changed || c.Fingerprint != held.Current.Fingerprint() || string(held.Current.Reveal()) != first {
		t.Errorf("the qube and dom0 do not have the same key: %+v", c)
	}
	l.wantEvents(audit.Setting, audit.Authorized, audit.Setting, audit.Connected)

	var other *ReplaceError
	if _, err := l.Generate(ctx, vm, Terms{}); !errors.As(err, &other) || l.inQube(vm) != first {
		t.Errorf("a second key unasked: %v", err)
	}
	if _, err := l.Generate(ctx, vm, Terms{Replace: true}); err != nil || l.inQube(vm) == first {
		t.Errorf("it was not replaced: %v", err)
	}
}

// TestGenerateSparesAKeyItCannotSee: only a qube that is known to have no key
// gets one without replace.
func TestGenerateSparesAKeyItCannotSee(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	vm := l.qube("work", "Running")
	ctx := context.Background()
	own := string(queue.GenerateKey().Reveal())
	l.set(vm, "home/auth.key", own+"\nno key\n")
	if _, err := l.Generate(ctx, vm, Terms{}); err == nil || !strings.Contains(err.Error(), "cannot be told") {
		t.Errorf("a file that is no key: %v", err)
	}
	l.set(vm, "home/auth.key", own)
	l.set(vm, "fails", "")
	if _, err := l.Generate(ctx, vm, Terms{}); err == nil || !strings.Contains(err.Error(), "cannot be told") {
		t.Errorf("a qube that does not answer: %v", err)
	}
	l.must(os.Remove(filepath.Join(os.Getenv(qubesEnv), vm, "fails")))
	l.must(os.MkdirAll(filepath.Dir(l.Root.Config()), 0o755))
	l.must(os.WriteFile(l.Root.Config(), []byte("nonsense\n"), 0o600))
	for _, replace := range []bool{false, true} {
		if _, err := l.Generate(ctx, vm, Terms{Replace: replace}); err == nil || !strings.Contains(err.Error(), "settings must be mended") {
			t.Errorf("broken settings, replace %v: %v", replace, err)
		}
	}
	if l.inQube(vm) != own {
		t.Error("the qube's own key is gone")
	}
}

// TestGenerateTellsHalfOfIt: when dom0 could not store what the qube has by
// then, that is said.
func TestGenerateTellsHalfOfIt(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	vm := l.qube("work", "Running")
	l.must(os.MkdirAll(filepath.Dir(l.Root.State()), 0o755))
	l.must(os.WriteFile(l.Root.State(), nil, 0o600)) // no folder for the log
	_, err := l.Generate(context.Background(), vm, Terms{})
	if err == nil || l.inQube(vm) == "" || !strings.Contains(err.Error(), "has a new key now") {
		t.Errorf("error %v", err)
	}
}
