package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"qvmremote/daemon/paths"
)

// TestOnlyRoot: in a real dom0 each operation asks for root and says how.
func TestOnlyRoot(t *testing.T) {
	t.Parallel()
	for _, args := range []string{"", "--once", "authorize work", "revoke work", "keys", "rotate work", "connect work", "disconnect work",
		"start", "stop", "restart", "pause", "resume", "stop-everything", "commands", "cancel 1",
		"--offline keys", "status", "queue status", "queue clean", "queue recover", "queue debug", "enable", "disable",
		"audit show", "audit follow", "audit verify", "audit export"} {
		var out, errs bytes.Buffer
		a := &app{in: os.Stdin, out: &out, err: &errs, euid: 1000, environ: []string{"QVM_REMOTE_BUS=unix:path=/nonexistent/bus"}}
		if code := a.execute(context.Background(), strings.Fields(args)); code != 1 {
			t.Errorf("%q: exit %d", args, code)
		}
		if s := errs.String(); !strings.HasPrefix(s, "qvm-remote-dom0: must run as root to ") || !strings.Contains(s, "\nhint: sudo qvm-remote-dom0") || out.Len() != 0 {
			t.Errorf("%q: %q", args, s)
		}
		if s := errs.String(); strings.HasPrefix(args, "--offline") && !strings.HasSuffix(s, "\nhint: sudo qvm-remote-dom0 "+args+"\n") {
			t.Errorf("%q: the hint leads elsewhere: %q", args, s)
		}
	}
}

func TestASCII(t *testing.T) {
	t.Parallel()
	const text = "é\u202e\u0085😀\x7f\x1b\n"
	b, err := json.Marshal(text)
	if err != nil {
		t.Fatal(err)
	}
	got := ascii(b)
	if i := bytes.IndexFunc(got, func(r rune) bool { return r < ' ' || r > '~' }); i >= 0 {
		t.Errorf("%q", got)
	}
	var back string
	if err := json.Unmarshal(got, &back); err != nil || back != text {
		t.Errorf("%q came back as %q, %v", text, back, err)
	}
}

// TestBrokenSettingsHaveACodeOfTheirOwn: the unit names it, so that systemd does
// not start the daemon by itself once they are mended.
func TestBrokenSettingsHaveACodeOfTheirOwn(t *testing.T) {
	t.Parallel()
	root := paths.Root(t.TempDir())
	if err := os.MkdirAll(filepath.Dir(root.Config()), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(root.Config(), []byte("nonsense\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	unit, err := os.ReadFile("../../packaging/systemd/qvm-remote-dom0.service")
	if err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	a := &app{in: os.Stdin, out: &out, err: &errs, euid: os.Geteuid()}
	code := a.execute(context.Background(), []string{"--root", string(root)})
	if want := fmt.Sprintf("\nRestartPreventExitStatus=%d\n", code); code < 2 || !strings.Contains(string(unit), want) {
		t.Errorf("exit %d, %q; the unit does not know that", code, errs.String())
	}
}
