package life

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"qvmremote/daemon/audit"
	"qvmremote/queue"
)

// Answer is how qvm-remote ended in a qube.
type Answer struct {
	Code     int
	Out, Err string
}

// Client runs qvm-remote in a qube to its end. Any exit code is an answer.
func (h *House) Client(ctx context.Context, qube string, args ...string) (Answer, error) {
	cmd := h.Get(qube).Command(ctx, append([]string{"qvm-remote"}, args...)...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = &out, &errs, patience
	err := cmd.Run()
	a := Answer{Out: out.String(), Err: errs.String()}
	var exit *exec.ExitError
	if errors.As(err, &exit) && ctx.Err() == nil {
		a.Code, err = exit.ExitCode(), nil
	}
	if err != nil {
		return a, fmt.Errorf("qvm-remote in %s: %w\n%s", qube, err, a.Err)
	}
	return a, nil
}

// Run has a qube run a script in dom0 and waits for the answer.
func (h *House) Run(ctx context.Context, qube, script string) (Answer, error) {
	return h.Client(ctx, qube, "--", script)
}

// RunForever has a qube run a command that lasts for a day, and returns its id
// once it runs.
func (h *House) RunForever(ctx context.Context, qube string) (id string, err error) {
	a, err := h.Client(ctx, qube, "--detach", "-t", "86400", "--", "echo copying; sleep 86000")
	if err != nil {
		return "", err
	}
	id = strings.TrimSpace(a.Out)
	if a.Code != 0 || !queue.ValidID(id) {
		return "", fmt.Errorf("begin a long command in %s: exit code %d\n%s", qube, a.Code, a.Err)
	}
	return id, h.AwaitRecord(ctx, id, audit.Run)
}

// AwaitRecord waits until the audit log has such a record of a request.
func (h *House) AwaitRecord(ctx context.Context, id string, event audit.Event) error {
	next := int64(0)
	err := await(ctx, func() (found bool, err error) {
		err = audit.Read(ctx, h.Root().Audit(), next, func(r audit.Record, _ []byte) error {
			next = r.Seq + 1
			found = found || r.ID == id && r.Event == event
			return nil
		})
		return found, err
	})
	if err != nil {
		return fmt.Errorf("wait for the record %q of %s: %w", event, id, err)
	}
	return nil
}

// Submission is a request made byte by byte, as a hostile qube may.
type Submission struct {
	queue.Request
	Key    queue.Key
	Script string
}

// Craft makes a request as the client would.
func (h *House) Craft(qube, script string) (Submission, error) {
	key, err := h.Key(qube)
	now := time.Now()
	return Submission{Key: key, Script: script, Request: queue.Request{Kind: queue.KindScript, ID: queue.NewID(now, os.Getpid()),
		Qube: qube, Issued: now.Unix(), Expires: now.Unix() + 300, Timeout: 60, Body: queue.SumOf([]byte(script))}}, err
}

// Put lays a request into a qube's queue, signed.
func (h *House) Put(qube string, s Submission) error {
	l := h.Layout(qube)
	if err := queue.Publish(l.Body(s.ID), []byte(s.Script)); err != nil {
		return err
	}
	return queue.Publish(l.Header(s.ID), s.Sign(s.Key.RequestKey()))
}
