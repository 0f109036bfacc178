package life

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
)

// Rules gives a qube other rules, as an editor does. They count within a second.
func (h *House) Rules(qube, text string) error {
	path := filepath.Join(h.Root().Keys(), qube+".policy")
	fresh := filepath.Join(h.Root().Keys(), ".new-"+qube+"-policy")
	if err := os.WriteFile(fresh, []byte(text), 0o600); err != nil {
		return err
	}
	return os.Rename(fresh, path)
}

// Ask has a qube ask for a script, for whose end nobody waits.
func (h *House) Ask(ctx context.Context, qube, script string) error {
	a, err := h.Client(ctx, qube, "--detach", "--", script)
	if err == nil && a.Code != 0 {
		err = fmt.Errorf("ask in %s: exit code %d\n%s", qube, a.Code, a.Err)
	}
	return err
}
