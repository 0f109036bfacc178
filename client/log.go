package client

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"qvmremote/queue"
)

const logMax = 4 << 20 // bytes of audit.log before it becomes audit.log.1

// note adds one line to the audit log, as the first implementation spelled
// them. That the log cannot be written stops nothing: dom0 keeps the log that
// counts.
func (c *Client) note(line string) {
	path := c.Layout.AuditLog()
	if info, err := os.Lstat(path); err == nil && info.Mode().IsRegular() {
		if info.Mode().Perm() != 0o600 {
			_ = os.Chmod(path, 0o600)
		}
		if info.Size() > logMax {
			_ = os.Rename(path, path+".1")
		}
	}
	_ = queue.AppendLine(path, "["+c.Now().Format("2006-01-02T15:04:05-07:00")+"] "+line)
}

// Log returns the last n lines of the audit log, the oldest first. It reads no
// more than the last MiB.
func (c *Client) Log(n int) ([]string, error) {
	f, size, err := queue.OpenRegular(c.Layout.AuditLog())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read the log: %w", err)
	}
	defer f.Close()
	const most = 1 << 20
	from := max(size-most, 0)
	b, err := io.ReadAll(io.NewSectionReader(f, from, most))
	if err != nil {
		return nil, fmt.Errorf("cannot read the log: %w", err)
	}
	lines := strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")
	if from > 0 {
		lines = lines[1:] // its beginning is not there
	}
	lines = slices.DeleteFunc(lines, func(l string) bool { return l == "" })
	return lines[max(len(lines)-n, 0):], nil
}
