package transfer

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"syscall"

	"qvmremote/queue"
	"qvmremote/queue/piece"
)

// sizes are those of pieces, from the first on: a dom0 that takes no input so
// large is sent smaller ones.
var sizes = []int64{piece.Max, 1 << 20, 64 << 10}

// push is a file on its way to dom0.
type push struct {
	*Transfer
	f      *os.File
	info   fs.FileInfo // when it began
	remote string
	sum    string
	have   int64 // that dom0 has
	size   int   // index into sizes
}

// Push sends the file local to dom0, as the file remote there.
func (t *Transfer) Push(ctx context.Context, local, remote string) (Result, error) {
	p := push{Transfer: t, remote: Dom0Path(remote, local)}
	if err := t.ready(); err != nil {
		return Result{}, err
	}
	var err error
	if p.f, p.info, err = openSource(local); err != nil {
		return Result{}, err
	}
	defer p.f.Close()
	if p.sum, err = t.sum(ctx, p.f, p.info.Size()); err != nil {
		return Result{}, fmt.Errorf("%s: %w", local, err)
	}
	if err := p.run(ctx); err != nil {
		if errors.Is(err, ErrChanged) { // it can never become whole
			_, err = p.put(ctx, "drop", 0)
			err = errors.Join(fmt.Errorf("%s: %w", local, ErrChanged), err)
		}
		return Result{}, err
	}
	return Result{p.remote, p.info.Size(), p.sum}, nil
}

// openSource opens a regular file of this qube's.
func openSource(local string) (*os.File, fs.FileInfo, error) {
	f, err := os.OpenFile(local, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a FIFO must not hold us
	if err != nil {
		return nil, nil, err
	}
	info, err := f.Stat()
	switch {
	case err != nil:
	case info.IsDir():
		err = fmt.Errorf("%s: %w", local, syscall.EISDIR)
	case !info.Mode().IsRegular():
		err = fmt.Errorf("%s: %w", local, queue.ErrNotRegular)
	}
	if err != nil {
		_ = f.Close()
		return nil, nil, err
	}
	return f, info, nil
}

// sum reads the whole source once.
func (t *Transfer) sum(ctx context.Context, f *os.File, size int64) (string, error) {
	h := sha256.New()
	for off := int64(0); off < size; off += piece.Max {
		t.tell(Summing, off, size)
		if err := ctx.Err(); err != nil {
			return "", err
		}
		n, err := io.Copy(h, io.NewSectionReader(f, off, min(piece.Max, size-off)))
		if err != nil {
			return "", err
		}
		if n != min(piece.Max, size-off) {
			return "", ErrChanged
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

func (p *push) run(ctx context.Context) error {
	total := p.info.Size()
	if total > piece.Max { // a small file needs no look before
		if err := p.begin(ctx); err != nil {
			return err
		}
	}
	for resumed := 0; ; {
		p.tell(Moving, p.have, total)
		n := min(sizes[p.size], total-p.have)
		state, err := p.put(ctx, strconv.FormatInt(p.have, 10), n)
		switch {
		case errors.Is(err, syscall.ESPIPE) && resumed < 3: // dom0 has another part of it
			resumed++
			err = p.begin(ctx)
		case p.shrink(err, n):
			continue
		case err == nil && state.Word == piece.Done:
			p.tell(Moving, total, total)
			return nil // it is the file whose hash was computed, whatever the source is now
		case err == nil && state.Word == piece.Part && state.Size != p.have+n:
			err = ErrChanged
		case err == nil:
			p.have = state.Size
			err = p.unchanged()
		}
		if err != nil {
			return err
		}
	}
}

func (p *push) begin(ctx context.Context) error {
	state, err := p.put(ctx, "begin", 0)
	if err == nil && (state.Word != piece.Part || state.Size > p.info.Size()) {
		err = piece.ErrNoState
	}
	p.have = state.Size
	return err
}

// put is one step; n bytes from where dom0's part ends go with it.
func (p *push) put(ctx context.Context, step string, n int64) (piece.State, error) {
	a := asked{words: []string{"file-put", p.remote, strconv.FormatInt(p.info.Size(), 10), p.sum, step},
		done: Progress{Done: p.have, Size: p.info.Size()}, keep: n == 0 || n == p.info.Size()}
	if p.Overwrite {
		a.words = append(a.words, "overwrite")
	}
	if n > 0 {
		a.input = func() io.Reader { return io.NewSectionReader(p.f, p.have, n) }
	}
	answer, err := p.ask(ctx, a)
	return answer.state, err
}

// shrink reports whether dom0 refused a piece of n bytes for its size and may
// take a smaller one, and chooses that.
func (p *push) shrink(err error, n int64) bool {
	var end *EndError
	if !errors.As(err, &end) || end.Outcome.Reason != queue.Limit {
		return false
	}
	for p.size+1 < len(sizes) {
		if p.size++; sizes[p.size] < n {
			return true
		}
	}
	return false
}

// unchanged holds the source against what it was when its hash was computed.
func (p *push) unchanged() error {
	now, err := p.f.Stat()
	if err != nil {
		return err
	}
	if now.Size() != p.info.Size() || !now.ModTime().Equal(p.info.ModTime()) {
		return ErrChanged
	}
	return nil
}
