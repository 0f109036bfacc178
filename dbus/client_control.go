package dbus

import (
	"context"
	"time"
)

// Subscribe keeps the service alive until this client is closed or calls
// Unsubscribe. A [Mirror] does it by itself.
func (c *Client) Subscribe(ctx context.Context) error { return c.call(ctx, manager("Subscribe")) }

// Unsubscribe ends what Subscribe began.
func (c *Client) Unsubscribe(ctx context.Context) error { return c.call(ctx, manager("Unsubscribe")) }

// Start starts the executor and answers when it works.
func (c *Client) Start(ctx context.Context) error { return c.call(ctx, manager("Start").slowly()) }

// Stop stops the executor and answers once systemd took the order: the
// Manager's State tells the rest.
func (c *Client) Stop(ctx context.Context) error { return c.call(ctx, manager("Stop").slowly()) }

// Restart stops and starts the executor.
func (c *Client) Restart(ctx context.Context) error { return c.call(ctx, manager("Restart").slowly()) }

// Pause lets the executor take no new request until Resume.
func (c *Client) Pause(ctx context.Context) error { return c.call(ctx, manager("Pause")) }

// Resume ends what Pause or StopEverything began.
func (c *Client) Resume(ctx context.Context) error { return c.call(ctx, manager("Resume")) }

// StopEverything ends every command, and what waits, and lets nothing new be
// taken until Resume.
func (c *Client) StopEverything(ctx context.Context) error {
	return c.call(ctx, manager("StopEverything").slowly())
}

// EnableAtBoot lets the executor start at each boot. acceptRisk says that a
// person was told what this means and agreed.
func (c *Client) EnableAtBoot(ctx context.Context, acceptRisk bool) error {
	return c.call(ctx, manager("EnableAtBoot", acceptRisk).slowly())
}

// DisableAtBoot ends what EnableAtBoot began; the executor is not stopped now.
func (c *Client) DisableAtBoot(ctx context.Context) error {
	return c.call(ctx, manager("DisableAtBoot").slowly())
}

// Reload reads settings and keys now.
func (c *Client) Reload(ctx context.Context) error { return c.call(ctx, manager("Reload")) }

// Setting is one of dom0's settings.
type Setting struct {
	Name    string
	Value   string // in force
	Default string
	About   string // a sentence; in brackets what it takes, and when a change counts
}

// ListSettings tells the settings that the executor goes by, or would be
// started with, and the file that they are changed in.
func (c *Client) ListSettings(ctx context.Context) (settings []Setting, file string, err error) {
	err = c.call(ctx, manager("ListSettings"), &settings, &file)
	return settings, file, err
}

// Command is what the executor works on.
type Command struct {
	Number  uint64 // dom0's own
	Qube    string
	ID      string
	State   string // "waiting", "running" or "delivering"
	Taken   time.Time
	Started time.Time // zero when it is not
}

// ListCommands tells what the executor works on now, the oldest first.
func (c *Client) ListCommands(ctx context.Context) ([]Command, error) {
	var rows []struct {
		Number          uint64
		Qube, ID, State string
		Taken, Started  uint64
	}
	if err := c.call(ctx, manager("ListCommands"), &rows); err != nil {
		return nil, err
	}
	commands := make([]Command, 0, len(rows))
	for _, r := range rows {
		commands = append(commands, Command{r.Number, r.Qube, r.ID, r.State, unixTime(r.Taken), unixTime(r.Started)})
	}
	return commands, nil
}

// CancelCommand ends one command with all its processes.
func (c *Client) CancelCommand(ctx context.Context, number uint64) error {
	return c.call(ctx, manager("CancelCommand", number))
}

// Finding is one thing that Doctor looked at.
type Finding struct {
	Severity string // "good", "info", "warning" or "error"
	Text     string // what is, and why it matters
	Remedy   string // what to do
}

// Doctor looks for what keeps requests from being answered.
func (c *Client) Doctor(ctx context.Context) (findings []Finding, err error) {
	err = c.call(ctx, manager("Doctor").slowly(), &findings)
	return findings, err
}
