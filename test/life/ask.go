package life

import (
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
