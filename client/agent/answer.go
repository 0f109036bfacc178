package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"qvmremote/queue"
)

// answer does what one question asks. The error is [queue.ErrFrame] for a
// payload that breaks the rules; any other becomes an error frame.
func (a *agent) answer(ctx context.Context, f queue.Frame) (queue.Message, error) {
	m := question(f.Type)
	if err := queue.Unmarshal(f.Payload, m); err != nil {
		return nil, err
	}
	answer, err := a.do(m)
	if errors.Is(err, fs.ErrNotExist) && !readsOnly(f.Type) && ctx.Err() == nil {
		// The queue may have been removed under the agent.
		if merr := a.layout.Make(); merr == nil {
			answer, err = a.do(m)
		}
	}
	return answer, err
}

func question(t queue.FrameType) queue.Message {
	switch t {
	case queue.FrameHello:
		return &queue.Hello{}
	case queue.FrameFetch:
		return &queue.Fetch{}
	case queue.FrameState:
		return &queue.SetState{}
	case queue.FrameWrite:
		return &queue.Write{}
	case queue.FrameFinish:
		return &queue.Finish{}
	case queue.FrameDeny:
		return &queue.Deny{}
	case queue.FrameClean:
		return &queue.Clean{}
	default:
		return &queue.List{}
	}
}

func readsOnly(t queue.FrameType) bool {
	return t == queue.FrameFetch || t == queue.FrameList
}

func (a *agent) do(m queue.Message) (queue.Message, error) {
	var err error
	switch m := m.(type) {
	case *queue.Hello:
		return a.hello(m)
	case *queue.Fetch:
		return a.fetch(m)
	case *queue.SetState:
		err = a.setState(m)
	case *queue.Write:
		err = a.writeOutput(m)
	case *queue.Finish:
		err = a.finish(m)
	case *queue.Deny:
		err = a.deny(m)
	case *queue.Clean:
		err = a.clean(m)
	case *queue.List:
		return a.list()
	default:
		err = fmt.Errorf("no answer to %T", m)
	}
	return &queue.Done{}, err
}

// hello keeps the name by which dom0 knows this qube, for a client that cannot
// learn it otherwise.
func (a *agent) hello(m *queue.Hello) (queue.Message, error) {
	known := ""
	if b, err := queue.ReadSmall(a.layout.Name(), 64); err == nil {
		known = string(b)
	}
	if m.Qube != known && queue.ValidQube(m.Qube) {
		if err := queue.Publish(a.layout.Name(), []byte(m.Qube)); err != nil {
			return nil, err
		}
		known = m.Qube
	}
	if !queue.ValidQube(known) {
		known = ""
	}
	return &queue.Hello{Version: queue.Version, Qube: known, Time: time.Now().Unix()}, nil
}

func (a *agent) fetch(m *queue.Fetch) (queue.Message, error) {
	path := map[queue.Part]string{
		queue.PartHeader: a.layout.Header(m.ID),
		queue.PartBody:   a.layout.Body(m.ID),
		queue.PartStdin:  a.layout.Stdin(m.ID),
		queue.PartCancel: a.layout.Cancel(m.ID),
	}[m.Part]
	f, size, err := queue.OpenRegular(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b := make([]byte, min(max(size-m.Offset, 0), queue.Chunk))
	n, err := f.ReadAt(b, m.Offset)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return &queue.Data{Size: size, Bytes: b[:n]}, nil
}
