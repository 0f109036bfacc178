package dom0test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"

	"qvmremote/queue"
)

// Dom0 serves one qube. Set its fields before [Dom0.Serve].
type Dom0 struct {
	Qube string
	Key  queue.Key // none: every request is denied for it, without a signature

	Ignore  bool                // look, and take nothing
	Hang    bool                // take, and never answer
	Approve chan struct{}       // commands wait until it is closed; nil = no approval
	Sign    func(*queue.Result) // changes what is signed
	Deliver func(*queue.Finish) // changes what is delivered
	Output  func([]byte) []byte // changes output after it was summed
	Refuse  func(*queue.Request) *queue.Denial

	mu     sync.Mutex
	claims map[string]*claim
	runs   int
}

type claim struct {
	cancel  context.CancelCauseFunc
	reading bool // its parts are still in the queue, where a look may find it again
}

var (
	errCancelled = errors.New("cancelled")
	errTimeout   = errors.New("timeout")
)

// Runs is how many scripts were run.
func (d *Dom0) Runs() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.runs
}

// Serve looks after the qube behind c until ctx or the connection ends.
func (d *Dom0) Serve(ctx context.Context, c *Conn) error {
	d.mu.Lock()
	if d.claims == nil {
		d.claims = map[string]*claim{}
	}
	d.mu.Unlock()
	var h queue.Hello
	if err := c.Ask(ctx, queue.FrameHello, &queue.Hello{Version: queue.Version, Qube: d.Qube, Time: time.Now().Unix()}, &h); err != nil {
		return err
	}
	var work sync.WaitGroup
	defer work.Wait()
	var seen int64
	for {
		var n queue.Names
		if err := c.Ask(ctx, queue.FrameWait, &queue.Wait{Seen: seen, MaxMS: 30_000}, &n); err != nil {
			return err
		}
		seen = n.Number
		if d.Ignore {
			continue
		}
		for _, id := range n.Cancels {
			if err := d.takeBack(ctx, c, id); err != nil {
				return err
			}
		}
		for _, id := range n.IDs {
			if err := d.take(ctx, c, id, &work); err != nil {
				return err
			}
		}
	}
}

// gone passes over what left the queue meanwhile.
func gone(err error) error {
	if f := (*queue.Failure)(nil); errors.As(err, &f) {
		return nil
	}
	return err
}

func (d *Dom0) takeBack(ctx context.Context, c *Conn, id string) error {
	b, err := c.Fetch(ctx, id, queue.PartCancel)
	if err != nil {
		return gone(err)
	}
	x, _, denial := queue.Check{ID: id, Qube: d.Qube, Now: time.Now()}.Cancel(b, d.Key)
	if denial == nil {
		d.mu.Lock()
		known := d.claims[id]
		if known == nil {
			d.claims[id] = &claim{cancel: func(error) {}}
		}
		d.mu.Unlock()
		if known != nil {
			known.cancel(errCancelled)
		} else {
			r := d.result(id, x.Request, nil, nil)
			r.State, r.Exit = queue.StateCancelled, queue.ExitCancelled
			if err := d.finish(ctx, c, r, nil); err != nil {
				return gone(err)
			}
		}
	}
	return gone(c.Do(ctx, queue.FrameClean, &queue.Clean{Folder: queue.FolderCancel, Name: id}))
}

func (d *Dom0) take(ctx context.Context, c *Conn, id string, work *sync.WaitGroup) error {
	header, err := c.Fetch(ctx, id, queue.PartHeader)
	if err != nil {
		return gone(err)
	}
	d.mu.Lock()
	known := d.claims[id]
	reading := known != nil && known.reading
	d.mu.Unlock()
	if reading {
		return nil
	}
	if known != nil {
		return gone(d.deny(ctx, c, id, header, &queue.Denial{Reason: queue.Replayed}))
	}
	if d.Key.IsZero() {
		return gone(d.deny(ctx, c, id, header, &queue.Denial{Reason: queue.NoKey}))
	}
	r, _, denial := queue.Check{ID: id, Qube: d.Qube, Now: time.Now()}.Request(header, d.Key)
	if denial == nil && d.Refuse != nil {
		denial = d.Refuse(&r)
	}
	if denial != nil {
		return gone(d.deny(ctx, c, id, header, denial))
	}
	run, cancel := context.WithCancelCause(ctx)
	d.mu.Lock()
	d.claims[id] = &claim{cancel: cancel, reading: true}
	d.mu.Unlock()
	work.Add(1)
	go func() {
		defer work.Done()
		defer cancel(nil)
		defer d.hasRead(id)
		_ = d.serve(ctx, run, c, r, queue.DigestOf(header)) // the test sees that nothing came
	}()
	return nil
}

func (d *Dom0) hasRead(id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.claims[id].reading = false
}

func (d *Dom0) deny(ctx context.Context, c *Conn, id string, header []byte, why *queue.Denial) error {
	m := &queue.Deny{ID: id, Denied: why.File(), Log: "id=" + id + " denied=" + string(why.Reason)}
	if !d.Key.IsZero() {
		r := d.result(id, queue.DigestOf(header), nil, nil)
		r.State, r.Reason, r.Exit, r.Out, r.Err = queue.StateDenied, why.Reason, queue.NoExit, queue.Sum{}, queue.SumOf(m.Denied)
		if d.Sign != nil {
			d.Sign(&r)
		}
		m.Auth = r.Sign(d.Key.ResultKey())
	}
	return c.Do(ctx, queue.FrameDeny, m)
}

func (d *Dom0) result(id string, digest queue.Digest, out, err []byte) queue.Result {
	return queue.Result{ID: id, Qube: d.Qube, Request: digest, Out: queue.SumOf(out), Err: queue.SumOf(err),
		Checkpoint: fmt.Sprintf("sha256:%x", sha256.Sum256(nil))}
}

func (d *Dom0) serve(ctx, run context.Context, c *Conn, r queue.Request, digest queue.Digest) error {
	body, err := c.Fetch(ctx, r.ID, queue.PartBody)
	if err != nil {
		return err
	}
	var input []byte
	if r.Stdin.Present {
		if input, err = c.Fetch(ctx, r.ID, queue.PartStdin); err != nil {
			return err
		}
	}
	words := []queue.Word{queue.WordQueued, queue.WordApproval, queue.WordRunning}
	for _, w := range words {
		if w == queue.WordApproval && d.Approve == nil {
			continue
		}
		if err := c.Do(ctx, queue.FrameState, &queue.SetState{ID: r.ID, Word: w}); err != nil {
			return err
		}
		d.hasRead(r.ID)
		if w == queue.WordApproval {
			select {
			case <-d.Approve:
			case <-run.Done():
			}
		}
	}
	if queue.SumOf(body) != r.Body || r.Stdin.Present && queue.SumOf(input) != r.Stdin {
		why := &queue.Denial{Reason: queue.Mismatch}
		f := d.result(r.ID, digest, nil, nil)
		f.State, f.Reason, f.Exit, f.Out, f.Err = queue.StateDenied, queue.Mismatch, queue.NoExit, queue.Sum{}, queue.SumOf(why.File())
		return d.finish(ctx, c, f, why.File())
	}
	if d.Hang {
		<-run.Done()
		return nil
	}
	f := d.result(r.ID, digest, nil, nil)
	f.State = queue.StateExit
	if r.Kind == queue.KindPing {
		return d.finish(ctx, c, f, nil)
	}
	f, outputs, err := d.run(ctx, run, c, r, f, body, input)
	if err != nil {
		return err
	}
	err = d.finish(ctx, c, f, nil)
	if failed := (*queue.Failure)(nil); errors.As(err, &failed) {
		for _, o := range outputs { // the qube lost what it had: deliver all once more
			o.write.Offset = 0
			if err := o.send(o.all.Bytes()); err != nil {
				return err
			}
		}
		err = d.finish(ctx, c, f, nil)
	}
	return err
}

// stream sends output as it comes.
type stream struct {
	ctx   context.Context
	d     *Dom0
	c     *Conn
	write queue.Write
	all   bytes.Buffer

	broken bool // the qube does not take live output
}

func (s *stream) Write(p []byte) (int, error) {
	s.all.Write(p)
	if s.broken {
		return len(p), nil
	}
	err := s.send(bytes.Clone(p))
	if f := (*queue.Failure)(nil); errors.As(err, &f) {
		s.broken, err = true, nil // the delivery brings it
	}
	return len(p), err
}

func (s *stream) send(sent []byte) error {
	if s.d.Output != nil && len(sent) > 0 {
		sent = s.d.Output(sent)
	}
	for len(sent) > 0 {
		n := min(len(sent), queue.Chunk)
		s.write.Bytes = sent[:n]
		if err := s.c.Do(s.ctx, queue.FrameWrite, &s.write); err != nil {
			return err
		}
		s.write.Offset += int64(n)
		sent = sent[n:]
	}
	return nil
}

func (d *Dom0) run(ctx, run context.Context, c *Conn, r queue.Request, f queue.Result, body, input []byte) (queue.Result, []*stream, error) {
	d.mu.Lock()
	d.runs++
	d.mu.Unlock()
	run, stop := context.WithTimeoutCause(run, time.Duration(r.Timeout)*time.Second, errTimeout)
	defer stop()
	cmd := exec.CommandContext(run, "bash", "-c", string(body), "qvm-remote")
	cmd.WaitDelay = 30 * time.Second // output may take its time to a busy qube
	cmd.Stdin = bytes.NewReader(input)
	out := &stream{ctx: ctx, d: d, c: c, write: queue.Write{ID: r.ID, Stream: queue.Stdout}}
	err := &stream{ctx: ctx, d: d, c: c, write: queue.Write{ID: r.ID, Stream: queue.Stderr}}
	cmd.Stdout, cmd.Stderr = out, err
	start := time.Now()
	_ = cmd.Run()
	f.Started, f.DurationMS = start.Unix(), time.Since(start).Milliseconds()
	f.Out, f.Err = queue.SumOf(out.all.Bytes()), queue.SumOf(err.all.Bytes())
	switch cause := context.Cause(run); {
	case ctx.Err() != nil:
		return f, nil, ctx.Err()
	case errors.Is(cause, errCancelled):
		f.State, f.Exit = queue.StateCancelled, queue.ExitCancelled
	case errors.Is(cause, errTimeout):
		f.State, f.Exit = queue.StateTimeout, queue.ExitTimeout
	default:
		f.Exit = max(cmd.ProcessState.ExitCode(), 0)
	}
	return f, []*stream{out, err}, nil
}

func (d *Dom0) finish(ctx context.Context, c *Conn, r queue.Result, denied []byte) error {
	m := &queue.Finish{ID: r.ID, OutSize: r.Out.Size, ErrSize: r.Err.Size, Denied: denied}
	if denied == nil {
		m.Exit = strconv.Itoa(r.Exit)
	} else {
		m.ErrSize = 0
	}
	m.Meta = fmt.Appendf(nil, "id=%s\nstarted=%s\nduration_ms=%d\nexit_code=%d\n", r.ID, time.Unix(r.Started, 0).Format(time.RFC3339), r.DurationMS, r.Exit)
	m.Log = strings.Join([]string{"[" + time.Now().Format(time.RFC3339) + "]", "id=" + r.ID, "exit=" + strconv.Itoa(r.Exit)}, " ")
	if d.Sign != nil {
		d.Sign(&r)
	}
	m.Auth = r.Sign(d.Key.ResultKey())
	if d.Deliver != nil {
		d.Deliver(m)
	}
	return c.Do(ctx, queue.FrameFinish, m)
}
