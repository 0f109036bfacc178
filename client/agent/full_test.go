package agent_test

import (
	"bytes"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"qvmremote/queue"
)

// TestAFullDiskIsSaidAndADenialStillMakesRoom uses a file system of its own.
func TestAFullDiskIsSaidAndADenialStillMakesRoom(t *testing.T) {
	t.Parallel()
	p := start(t, waits())
	p.wait(0, 0)
	if err := unix.Mount("tmpfs", p.ResultsDir(), "tmpfs", 0, "size=64k,mode=700"); err != nil {
		t.Skipf("cannot mount a small file system: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(p.ResultsDir(), unix.MNT_DETACH) })
	p.refused(queue.FrameWrite, &queue.Write{ID: "a", Stream: queue.Stdout, Bytes: bytes.Repeat([]byte("x"), 128<<10)}, queue.CodeFull)
	put(t, p.Header("b"), "x")
	p.refused(queue.FrameDeny, &queue.Deny{ID: "b", Denied: []byte("limit\nNo.\n")}, queue.CodeFull)
	absent(t, p.Header("b"))
	if err := os.Remove(p.Result("a", queue.Out)); err != nil {
		t.Fatal(err)
	}
	p.do(queue.FrameDeny, &queue.Deny{ID: "b", Denied: []byte("limit\nNo.\n")})
	want(t, p.Result("b", queue.Denied), "limit\nNo.\n")
}
