package client

import (
	"bytes"
	"context"
	"os/exec"
	"strings"
	"time"

	"qvmremote/queue"
)

// readQubesDB asks the qube's database, which dom0 fills.
func readQubesDB(ctx context.Context, key string) (string, error) {
	path, err := exec.LookPath("qubesdb-read")
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, path, key)
	cmd.WaitDelay = 100 * time.Millisecond
	var out bounded
	cmd.Stdout = &out
	if err := cmd.Run(); err != nil {
		return "", err
	}
	return strings.TrimSpace(out.String()), nil
}

// bounded keeps the first 256 bytes written to it and drops the rest. Its
// buffer is no embedded field: with a ReadFrom it would not be bounded.
type bounded struct{ b bytes.Buffer }

func (b *bounded) String() string { return b.b.String() }

func (b *bounded) Write(p []byte) (int, error) {
	if room := 256 - b.b.Len(); room > 0 {
		b.b.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}

// QubeName returns the qube's name as its database says, else as dom0 told
// the agent, else [queue.AnyQube]. While an agent serves the queue its word is
// as good, since dom0 told it on that very connection, and needs no process. A
// mere look of a poll tells no name, so there the file may be an old one.
func (c *Client) QubeName(ctx context.Context) string {
	if c.served() {
		if name := c.toldName(); name != "" {
			return name
		}
	}
	ctx, stop := context.WithTimeout(ctx, c.Waits.Name)
	defer stop()
	if name, err := c.Database(ctx, "/name"); err == nil && queue.ValidQube(name) {
		return name
	}
	if name := c.toldName(); name != "" {
		return name
	}
	return queue.AnyQube
}

// toldName is the name that dom0 told the agent, or "".
func (c *Client) toldName() string {
	b, err := queue.ReadSmall(c.Layout.Name(), 64)
	if name := strings.TrimSpace(string(b)); err == nil && queue.ValidQube(name) {
		return name
	}
	return ""
}
