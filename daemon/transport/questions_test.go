package transport

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"qvmremote/queue"
)

// serveFile answers each fetch with the piece that size and content give.
func (a *fakeAgent) serveFile(answer func(offset int64) queue.Data) {
	for {
		f, err := queue.ReadFrame(a.in)
		if err != nil {
			return
		}
		var m queue.Fetch
		_ = queue.Unmarshal(f.Payload, &m)
		d := answer(m.Offset)
		a.answer(f, &d)
	}
}

func TestCopyTakesExactlyWhatTheHeaderSays(t *testing.T) {
	t.Parallel()
	file := bytes.Repeat([]byte("0123456789"), 50_000)
	size := int64(len(file))
	whole := func(offset int64) queue.Data {
		rest := file[min(offset, size):]
		return queue.Data{Size: size, Bytes: rest[:min(len(rest), queue.Chunk)]}
	}
	for name, c := range map[string]struct {
		answer func(int64) queue.Data
		err    error
	}{
		"as it says":   {whole, nil},
		"small pieces": {func(o int64) queue.Data { d := whole(o); d.Bytes = d.Bytes[:min(len(d.Bytes), 70_001)]; return d }, nil},
		"grows": {func(o int64) queue.Data {
			d := whole(o)
			if o > 0 {
				d.Size++
			}
			return d
		}, ErrChanged},
		"shrinks": {func(o int64) queue.Data { d := whole(o); d.Size -= o; return d }, ErrChanged},
		"ends early": {func(o int64) queue.Data {
			d := whole(o)
			d.Bytes = d.Bytes[:min(int64(len(d.Bytes)), 300_000-o)]
			return d
		}, ErrChanged},
		"too many":      {func(int64) queue.Data { return queue.Data{Size: size, Bytes: file[:queue.Chunk]} }, ErrChanged},
		"other size":    {func(o int64) queue.Data { d := whole(o); d.Size = 5; return d }, ErrChanged},
		"nothing of it": {func(int64) queue.Data { return queue.Data{Size: size} }, ErrChanged},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, conn := connect(t, patient)
			go a.serveFile(c.answer)
			var got bytes.Buffer
			err := conn.Copy(t.Context(), &got, "a", queue.PartStdin, size)
			if !errors.Is(err, c.err) || err == nil && !bytes.Equal(got.Bytes(), file) || int64(got.Len()) > size {
				t.Errorf("%v, %d bytes", err, got.Len())
			}
			if conn.Err() != nil {
				t.Errorf("the conversation ended: %v", conn.Err())
			}
		})
	}
}

type fullDisk struct{}

var errFull = errors.New("disk full")

func (fullDisk) Write([]byte) (int, error) { return 0, errFull }

func TestCopyEndsWhereItsWriterDoes(t *testing.T) {
	t.Parallel()
	a, c := connect(t, patient)
	go a.serveFile(func(int64) queue.Data { return queue.Data{Size: 3, Bytes: []byte("abc")} })
	if err := c.Copy(t.Context(), fullDisk{}, "a", queue.PartBody, 3); !errors.Is(err, errFull) {
		t.Errorf("%v", err)
	}
}

func TestHeadersAreSmall(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		data queue.Data
		err  error
	}{
		"small":         {queue.Data{Size: 5, Bytes: []byte("hello")}, nil},
		"too long":      {queue.Data{Size: queue.MaxHeader + 1, Bytes: make([]byte, queue.MaxHeader+1)}, queue.ErrTooLarge},
		"says it is":    {queue.Data{Size: 1 << 40, Bytes: []byte("hello")}, queue.ErrTooLarge},
		"says it isn't": {queue.Data{Size: 5, Bytes: make([]byte, 10_000)}, queue.ErrTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, conn := connect(t, patient)
			go a.serveFile(func(int64) queue.Data { return c.data })
			b, err := conn.ReadHeader(t.Context(), "a", queue.PartHeader)
			if !errors.Is(err, c.err) || err == nil && string(b) != "hello" {
				t.Errorf("%q, %v", b, err)
			}
		})
	}
}

// TestLargeAnswersShareABudget: one that waits for its share ends with its
// context, and goes on once the other is done.
func TestLargeAnswersShareABudget(t *testing.T) {
	t.Parallel()
	budget := NewBudget(queue.MaxPayload, queue.MaxPayload)
	if err := budget.take(t.Context()); err != nil {
		t.Fatal(err)
	}
	a, result := dialWith(t, t.Context(), patient, budget)
	a.say(queue.Magic)
	a.answer(a.read(), &queue.Hello{})
	c := (<-result).conn
	defer c.Close()
	go a.serveFile(func(int64) queue.Data { return queue.Data{Size: 1, Bytes: []byte("x")} })
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := c.ReadHeader(ctx, "a", queue.PartHeader); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("%v", err)
	}
	got := make(chan error, 1)
	go func() { _, err := c.ReadHeader(context.Background(), "a", queue.PartHeader); got <- err }()
	budget.give()
	if err := <-got; err != nil {
		t.Error(err)
	}
}

// TestAFetchBehindAnotherEndsWithItsContext: one large answer at a time.
func TestAFetchBehindAnotherEndsWithItsContext(t *testing.T) {
	t.Parallel()
	a, c := connect(t, patient)
	first := make(chan error, 1)
	go func() { _, err := c.ReadHeader(context.Background(), "a", queue.PartHeader); first <- err }()
	f := a.read()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := c.ReadHeader(ctx, "b", queue.PartHeader); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
	a.answer(f, &queue.Data{Size: 1, Bytes: []byte("x")})
	if err := <-first; err != nil {
		t.Error(err)
	}
}

func TestEachQuestionSaysWhatItMeans(t *testing.T) {
	t.Parallel()
	a, c := connect(t, patient)
	asked := make(chan queue.Frame, 8)
	go func() {
		for {
			f, err := queue.ReadFrame(a.in)
			if err != nil {
				return
			}
			asked <- f
			if f.Type == queue.FrameList {
				a.answer(f, &queue.Entries{List: []queue.Entry{{Folder: queue.FolderPending, Name: "a"}}, More: 2})
			} else {
				a.answer(f, &queue.Done{})
			}
		}
	}()
	ctx := t.Context()
	list, err := c.List(ctx)
	if err != nil || len(list.List) != 1 || list.More != 2 {
		t.Errorf("%+v, %v", list, err)
	}
	<-asked
	for _, q := range []struct {
		do   func() error
		want queue.FrameType
	}{
		{func() error { return c.Clean(ctx, queue.FolderCancel, "a") }, queue.FrameClean},
		{func() error { return c.Deny(ctx, &queue.Deny{ID: "a", Denied: []byte("x")}) }, queue.FrameDeny},
		{func() error { return c.Finish(ctx, &queue.Finish{ID: "a", Exit: "0"}, nil, nil) }, queue.FrameFinish},
		{func() error { return c.Write(ctx, "a", queue.Stderr, 4, []byte("x")) }, queue.FrameWrite},
		{func() error { return c.State(ctx, "a", queue.WordRunning) }, queue.FrameState},
	} {
		if err := q.do(); err != nil {
			t.Fatal(err)
		}
		if f := <-asked; f.Type != q.want || !strings.Contains(string(f.Payload), "a") {
			t.Errorf("asked %v %q, want %v", f.Type, f.Payload, q.want)
		}
	}
}
