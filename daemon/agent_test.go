package daemon

import (
	"bytes"

	"qvmremote/queue"
)

// do answers every question but wait.
func (q *testQube) do(f queue.Frame) queue.Message {
	m := map[queue.FrameType]queue.Message{
		queue.FrameHello: &queue.Hello{}, queue.FrameFetch: &queue.Fetch{}, queue.FrameState: &queue.SetState{}, queue.FrameWrite: &queue.Write{},
		queue.FrameFinish: &queue.Finish{}, queue.FrameDeny: &queue.Deny{}, queue.FrameClean: &queue.Clean{}, queue.FrameList: &queue.List{},
	}[f.Type]
	if err := queue.Unmarshal(f.Payload, m); err != nil {
		return &queue.Failure{Code: queue.CodeFailed, Text: err.Error()}
	}
	q.mu.Lock()
	refuse := q.refuse
	q.mu.Unlock()
	if refuse != nil {
		if failure := refuse(m); failure != nil {
			return failure
		}
	}
	var answer queue.Message = &queue.Done{}
	q.change(func() {
		switch m := m.(type) {
		case *queue.Hello:
			answer = &queue.Hello{Version: "2", Qube: q.name}
		case *queue.Fetch:
			answer = q.fetch(m)
		case *queue.SetState:
			if _, there := q.running[m.ID]; !there {
				q.remove(m.ID)
			}
			q.running[m.ID] = m.Word
		case *queue.Write:
			key := m.ID + map[queue.Stream]string{queue.Stdout: ".out", queue.Stderr: ".err"}[m.Stream]
			q.out[key] = append(q.out[key][:m.Offset:m.Offset], m.Bytes...)
		case *queue.Finish:
			q.finishes[m.ID] = append(q.finishes[m.ID], copied(*m))
			q.remove(m.ID)
			delete(q.running, m.ID)
		case *queue.Deny:
			m.Auth, m.Denied = bytes.Clone(m.Auth), bytes.Clone(m.Denied)
			q.denies[m.ID] = append(q.denies[m.ID], *m)
			q.remove(m.ID)
		case *queue.List:
			e := &queue.Entries{}
			for id := range q.headers {
				e.List = append(e.List, queue.Entry{Folder: queue.FolderPending, Name: id + queue.Auth})
			}
			for id := range q.bodies {
				e.List = append(e.List, queue.Entry{Folder: queue.FolderPending, Name: id})
			}
			answer = e
		case *queue.Clean:
			if !q.stubborn {
				delete(q.cancels, m.Name)
			}
		}
	})
	return answer
}

func copied(f queue.Finish) queue.Finish {
	f.Auth, f.Denied, f.Meta = bytes.Clone(f.Auth), bytes.Clone(f.Denied), bytes.Clone(f.Meta)
	return f
}

func (q *testQube) remove(id string) {
	if !q.stubborn {
		delete(q.headers, id)
		delete(q.bodies, id)
		delete(q.stdins, id)
	}
}

func (q *testQube) fetch(m *queue.Fetch) queue.Message {
	q.parts = append(q.parts, *m)
	b, ok := map[queue.Part]map[string][]byte{queue.PartHeader: q.headers, queue.PartBody: q.bodies, queue.PartStdin: q.stdins, queue.PartCancel: q.cancels}[m.Part][m.ID]
	if !ok && q.fresh != nil {
		b, ok = []byte("no header\n"), true
	}
	if !ok {
		return &queue.Failure{Code: queue.CodeGone, Text: "no such file"}
	}
	rest := b[min(m.Offset, int64(len(b))):]
	chunk := queue.Chunk
	if q.trickle && m.Part == queue.PartBody {
		chunk = 1
	}
	return &queue.Data{Size: int64(len(b)), Bytes: bytes.Clone(rest[:min(len(rest), chunk)])}
}
