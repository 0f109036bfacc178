package agent_test

import (
	"bytes"
	"fmt"
	"os"
	"testing"

	"pgregory.net/rapid"

	"qvmremote/queue"
)

// TestRepeatedDeliveryGivesTheSameBytes delivers as a dom0 does that lost its
// connection anywhere: it begins again from the start, any number of times.
func TestRepeatedDeliveryGivesTheSameBytes(t *testing.T) {
	t.Parallel()
	p := start(t, waits())
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		n++
		id := fmt.Sprintf("r%d", n)
		out := rapid.SliceOfN(rapid.Byte(), 0, 200).Draw(rt, "output")
		for range rapid.IntRange(1, 3).Draw(rt, "attempts") {
			for sent := 0; sent < len(out); {
				size := rapid.IntRange(1, len(out)-sent).Draw(rt, "piece")
				p.do(queue.FrameWrite, &queue.Write{ID: id, Stream: queue.Stdout, Offset: int64(sent), Bytes: out[sent : sent+size]})
				sent += size
				if rapid.Bool().Draw(rt, "cut off") {
					break
				}
			}
		}
		p.do(queue.FrameWrite, &queue.Write{ID: id, Stream: queue.Stdout, Bytes: append(bytes.Clone(out), "left from before"...)})
		f := finish(id)
		f.OutSize = int64(len(out))
		for range rapid.IntRange(1, 3).Draw(rt, "deliveries") {
			p.do(queue.FrameFinish, f)
		}
		got, err := os.ReadFile(p.Result(id, queue.Out))
		if err != nil || !bytes.Equal(got, out) {
			rt.Fatalf("%q, %v, want %q", got, err, out)
		}
	})
	log, err := os.ReadFile(p.AuditLog())
	if err != nil || bytes.Count(log, []byte("\n")) != n {
		t.Fatalf("%d lines for %d results, %v", bytes.Count(log, []byte("\n")), n, err)
	}
}
