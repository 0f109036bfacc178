package dbus

import (
	"context"
	"fmt"
	"os"
	"time"

	godbus "github.com/godbus/dbus/v5"

	"qvmremote/queue"
)

// Options are what AuthorizeQube, GenerateKey and ConnectQube may be told.
type Options struct {
	Replace bool // another key of the qube is dead at once
	Connect bool // AuthorizeQube alone: the qube must run, and a connection is recorded
	Legacy  bool // AuthorizeQube alone: version 1, which is insecure, is allowed for the qube

	Policy       string // the rules of a qube that has none: "allow", "ask", "deny"; "" is ask
	Rules        string // their text instead
	ReplaceRules bool   // also for a qube that has rules
	Limit        Limit
}

// Limit is for how long, and for how many commands, a key counts; the zero Limit
// is without an end.
type Limit struct {
	For         time.Duration // until dom0 reboots at most
	Count       uint64        // commands
	UntilReboot bool
}

func (l Limit) into(values map[string]godbus.Variant) {
	amount(values, "for", wholeSeconds(l.For))
	amount(values, "count", l.Count)
	flag(values, "until-reboot", l.UntilReboot)
}

func (o Options) values() map[string]godbus.Variant {
	values := map[string]godbus.Variant{}
	flag(values, "replace", o.Replace)
	flag(values, "connect", o.Connect)
	flag(values, "legacy", o.Legacy)
	flag(values, "replace-rules", o.ReplaceRules)
	text(values, "policy", o.Policy)
	text(values, "rules", o.Rules)
	o.Limit.into(values)
	return values
}

// AuthorizeQube lets a qube run commands in dom0. The key goes through a pipe:
// no monitor of the bus sees it.
func (c *Client) AuthorizeQube(ctx context.Context, qube string, key queue.Key, o Options) (fingerprint string, warnings []string, err error) {
	pipe, err := keyPipe(key)
	if err != nil {
		return "", nil, err
	}
	r := manager("AuthorizeQube", qube, godbus.UnixFD(pipe.Fd()), o.values()).slowly()
	r.files = []*os.File{pipe}
	err = c.call(ctx, r, &fingerprint, &warnings)
	return fingerprint, warnings, err
}

// AuthorizeQubeWithString is AuthorizeQube with the key where a monitor of the
// bus sees it.
func (c *Client) AuthorizeQubeWithString(ctx context.Context, qube, key string, o Options) (fingerprint string, warnings []string, err error) {
	err = c.call(ctx, manager("AuthorizeQubeWithString", qube, key, o.values()).slowly(), &fingerprint, &warnings)
	return fingerprint, warnings, err
}

// GenerateKey makes a key in dom0, places it in the running qube and
// authorises the qube with it.
func (c *Client) GenerateKey(ctx context.Context, qube string, o Options) (fingerprint string, warnings []string, err error) {
	err = c.call(ctx, manager("GenerateKey", qube, o.values()).slowly(), &fingerprint, &warnings)
	return fingerprint, warnings, err
}

// LimitQube changes for how long, and for how many commands, a qube's key counts.
func (c *Client) LimitQube(ctx context.Context, qube string, l Limit) (warnings []string, err error) {
	values := map[string]godbus.Variant{}
	l.into(values)
	err = c.call(ctx, manager("LimitQube", qube, values).slowly(), &warnings)
	return warnings, err
}

// ResumeQube has a suspended qube's requests taken again.
func (c *Client) ResumeQube(ctx context.Context, qube string) (warnings []string, err error) {
	r, err := qubeCall(qube, "Resume")
	if err != nil {
		return nil, err
	}
	err = c.call(ctx, r.slowly(), &warnings)
	return warnings, err
}

// FetchKey tells the fingerprint of the key that a running qube has, for a
// person to compare before ConnectQube.
func (c *Client) FetchKey(ctx context.Context, qube string) (fingerprint string, err error) {
	err = c.call(ctx, manager("FetchKey", qube).slowly(), &fingerprint)
	return fingerprint, err
}

// ConnectQube authorises a running qube with the key it has, if that has this
// fingerprint.
func (c *Client) ConnectQube(ctx context.Context, qube, fingerprint string, o Options) (warnings []string, err error) {
	err = c.call(ctx, manager("ConnectQube", qube, fingerprint, o.values()).slowly(), &warnings)
	return warnings, err
}

// RotateKey stores a second key, through a pipe as in AuthorizeQube. Both
// count until the new one is first used.
func (c *Client) RotateKey(ctx context.Context, qube string, key queue.Key) (fingerprint string, warnings []string, err error) {
	pipe, err := keyPipe(key)
	if err != nil {
		return "", nil, err
	}
	r := manager("RotateKey", qube, godbus.UnixFD(pipe.Fd())).slowly()
	r.files = []*os.File{pipe}
	err = c.call(ctx, r, &fingerprint, &warnings)
	return fingerprint, warnings, err
}

// RotateKeyWithString is RotateKey with the key where a monitor of the bus
// sees it.
func (c *Client) RotateKeyWithString(ctx context.Context, qube, key string) (fingerprint string, warnings []string, err error) {
	err = c.call(ctx, manager("RotateKeyWithString", qube, key).slowly(), &fingerprint, &warnings)
	return fingerprint, warnings, err
}

// CancelRotation drops the second key.
func (c *Client) CancelRotation(ctx context.Context, qube string) (warnings []string, err error) {
	err = c.call(ctx, manager("CancelRotation", qube).slowly(), &warnings)
	return warnings, err
}

// RevokeQube takes a qube's keys away.
func (c *Client) RevokeQube(ctx context.Context, qube string) (warnings []string, err error) {
	err = c.call(ctx, manager("RevokeQube", qube, Options{}.values()).slowly(), &warnings)
	return warnings, err
}

// DisconnectQube takes a qube's keys away, ends looking at it, and cleans its
// queue if it runs: cleaned is how many files went.
func (c *Client) DisconnectQube(ctx context.Context, qube string) (cleaned uint32, warnings []string, err error) {
	err = c.call(ctx, manager("DisconnectQube", qube).slowly(), &cleaned, &warnings)
	return cleaned, warnings, err
}

// keyPipe is a pipe that holds the key's text and then ends.
func keyPipe(key queue.Key) (*os.File, error) {
	if key.IsZero() {
		return nil, &Error{Code: InvalidKey, Text: queue.ErrKey.Error()}
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("cannot make a pipe for the key: %w", err)
	}
	text := append(key.Reveal(), '\n')
	_, err = w.Write(text) // far less than a pipe holds: it never waits
	clear(text)
	if err := firstError(err, w.Close()); err != nil {
		_ = r.Close()
		return nil, fmt.Errorf("cannot write the key to a pipe: %w", err)
	}
	return r, nil
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
