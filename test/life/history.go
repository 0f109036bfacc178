package life

import (
	"context"
	"fmt"
	"strings"

	"qvmremote/daemon/audit"
	"qvmremote/queue"
)

// scripts are commands that a person would see in the history, and some that a
// hostile qube would like them to see otherwise than they are.
var scripts = []struct {
	script string
	exit   int
}{
	{"hostname", 0},
	{"qvm-ls", 0},
	{"echo to stdout; echo to stderr >&2; exit 3", 3},
	{"for vm in $(qvm-ls --raw-list); do\n  echo \"$vm\"\ndone", 0},
	{"# " + strings.Repeat("a very long command that goes on and on; ", 100) + "\ntrue", 0},
	{"echo '<b>bold</b> &amp; <a href=\"https://example.org\">press here</a>'", 0},
	{"printf '\\033[31mred\\033[0m \\033]0;title\\007 bell\\n'", 0},
	{"echo 'invoice\u202efdp.exe' 'zero\u200bwidth' 'isolate\u2066d\u2069'", 0},
	{"printf 'not UTF-8: \\377\\376\\200\\n'", 0},
	{"head -c 1000000 /dev/zero | tr '\\0' x; echo", 0},
}

// LiveThrough has the qubes run commands until the history has one of every
// outcome. The executor runs, and is killed and started once on the way.
func (h *House) LiveThrough(ctx context.Context) error {
	for i, s := range scripts {
		a, err := h.Run(ctx, h.Qubes[i%len(h.Qubes)], s.script)
		if err != nil {
			return err
		}
		if a.Code != s.exit {
			return fmt.Errorf("%s ended with %d, want %d\n%s", queue.Quote(s.script, 200), a.Code, s.exit, a.Err)
		}
	}
	for _, step := range []func(context.Context, string) error{
		h.timeOut, h.cancel, h.forge, h.replay, h.wrongQube, h.interrupt,
	} {
		if err := step(ctx, h.Qubes[0]); err != nil {
			return err
		}
	}
	return nil
}

func (h *House) timeOut(ctx context.Context, qube string) error {
	a, err := h.Client(ctx, qube, "-t", "1", "--", "echo begun; sleep 10")
	if err == nil && a.Code != queue.ExitTimeout {
		err = fmt.Errorf("a command past its time ended with %d\n%s", a.Code, a.Err)
	}
	return err
}

func (h *House) cancel(ctx context.Context, qube string) error {
	id, err := h.RunForever(ctx, qube)
	if err != nil {
		return err
	}
	if _, err := h.Client(ctx, qube, "cancel", id); err != nil {
		return err
	}
	return h.AwaitRecord(ctx, id, audit.Delivered)
}

// forge signs with a key that dom0 does not hold.
func (h *House) forge(ctx context.Context, qube string) error {
	s, err := h.Craft(qube, "touch forged")
	if err != nil {
		return err
	}
	s.Key = queue.GenerateKey()
	if err := h.Put(qube, s); err != nil {
		return err
	}
	return h.AwaitRecord(ctx, s.ID, audit.Refused)
}

func (h *House) replay(ctx context.Context, qube string) error {
	s, err := h.Craft(qube, "echo once >>ran")
	if err != nil {
		return err
	}
	for _, event := range []audit.Event{audit.Delivered, audit.Replayed} {
		if err := h.Put(qube, s); err != nil {
			return err
		}
		if err := h.AwaitRecord(ctx, s.ID, event); err != nil {
			return err
		}
	}
	return nil
}

// wrongQube is denied although it is signed well.
func (h *House) wrongQube(ctx context.Context, qube string) error {
	s, err := h.Craft(qube, "touch wrong")
	if err != nil {
		return err
	}
	s.Qube = Stranger
	if err := h.Put(qube, s); err != nil {
		return err
	}
	return h.AwaitRecord(ctx, s.ID, audit.Final)
}

// interrupt kills the executor while a command runs.
func (h *House) interrupt(ctx context.Context, qube string) error {
	id, err := h.RunForever(ctx, qube)
	if err != nil {
		return err
	}
	h.Kill()
	if err := h.Start(ctx); err != nil {
		return err
	}
	return h.AwaitRecord(ctx, id, audit.Delivered)
}
