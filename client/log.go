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
	_ = queue.AppendLine(path, "["+c.Now().Format(lineLayout)+"] "+line)
}

// Log returns the last n lines of the log, the oldest first. It reads no more
// than the last MiB of either part of it.
func (c *Client) Log(n int) ([]string, error) {
	lines, whole, err := lastLines(c.Layout.AuditLog())
	if err != nil {
		return nil, err
	}
	if whole && len(lines) < n {
		older, _, err := lastLines(c.Layout.AuditLog() + ".1")
		if err != nil {
			return nil, err
		}
		lines = append(older, lines...)
	}
	return lines[max(len(lines)-n, 0):], nil
}

// lastLines reads the end of a file, and reports whether that is all of it.
func lastLines(path string) (lines []string, whole bool, err error) {
	f, size, err := queue.OpenRegular(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, true, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("cannot read the log: %w", err)
	}
	defer f.Close()
	const most = 1 << 20
	from := max(size-most, 0)
	b, err := io.ReadAll(io.NewSectionReader(f, from, most))
	if err != nil {
		return nil, false, fmt.Errorf("cannot read the log: %w", err)
	}
	lines = strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")
	if from > 0 {
		lines = lines[1:] // its beginning is not there
	}
	return slices.DeleteFunc(lines, func(l string) bool { return l == "" }), from == 0, nil
}
