// Package transfer moves files of any size between this qube and dom0, in
// pieces that are requests like any other: dom0's policy decides on each by its
// words, which name the file. It guarantees:
//   - A file is in its place whole, with the SHA-256 of its source, or not at
//     all. Nothing is replaced unless that was asked for.
//   - A source that changes meanwhile is found out.
//   - What was interrupted is gone on with when the same file is sent or fetched
//     again within a week; until then a part lies beside the target, under a
//     name of its own.
//   - No more than one piece is held in memory or in the queue.
//
// What dom0 says in an error is text from outside; see [queue.Escape].
package transfer

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"qvmremote/client"
	"qvmremote/queue"
)

// Phase is what a transfer does at the moment.
type Phase string

// The phases.
const (
	Summing  Phase = "summing"  // the SHA-256 of the source is computed, here or in dom0
	Moving   Phase = "moving"   // pieces go over
	Approval Phase = "approval" // somebody in dom0 has to approve the next piece
	Waiting  Phase = "waiting"  // dom0 takes no more requests in this minute
)

// Progress says how far a transfer is.
type Progress struct {
	Phase      Phase
	Done, Size int64 // bytes; Size is 0 while it is not known
}

// Transfer moves files by one client's queue. Set the fields before the first
// call; calls may run at once.
type Transfer struct {
	Client    *client.Client
	Overwrite bool
	Timeout   time.Duration // of each request; 0 = the default
	Within    time.Duration // the same
	// Progress is called from one goroutine at a time; nil for nobody.
	Progress func(Progress)
	// Pause is the first wait after dom0 took no more requests in a minute; it
	// doubles up to a minute. 0 = one second.
	Pause time.Duration
}

// Result is a file that arrived.
type Result struct {
	Path   string // where it is
	Size   int64
	SHA256 string // in hex
}

var (
	// ErrChanged says that the source is not what it was when the transfer began.
	ErrChanged = errors.New("the file changed while it was read; try again when nobody writes to it")
	// ErrCorrupt says that what arrived is not what was sent, though every piece
	// was signed: the source changed in a way that nothing shows.
	ErrCorrupt = errors.New("what arrived has another SHA-256 than the source; nothing was put in place, try again")
	// ErrUnderWay says that a transfer was given up and its last piece could not
	// be taken back: the file may still come to be in its place in dom0.
	ErrUnderWay = errors.New("the last piece may still be under way")
	// ErrOld says that there is no dom0 behind the queue that moves files.
	ErrOld = errors.New("this dom0 cannot move files: its qvm-remote-dom0 is older, or not in the PATH of commands")
)

// Error is what dom0 says is in the way of a file. errors.Is finds by it
// [fs.ErrExist], [fs.ErrNotExist], [fs.ErrPermission] and the errors of
// [syscall].
type Error struct {
	Errno    syscall.Errno
	Sentence string
}

func (e *Error) Error() string { return "dom0: " + e.Sentence }

// Unwrap is the number of what is in the way.
func (e *Error) Unwrap() error { return e.Errno }

// EndError is a request of a transfer that dom0 did not see through: denied,
// timed out, interrupted or cancelled.
type EndError struct {
	Outcome client.Outcome
	Timeout int64 // seconds, that the request had
}

// Error says how it ended, and what to do.
func (e *EndError) Error() string {
	o := e.Outcome
	switch o.State {
	case queue.StateDenied:
		text := fmt.Sprintf("denied(%s): %s", o.Reason, o.Sentence)
		if !o.Signed {
			text += "; not confirmed by dom0: the answer has no signature"
		}
		return text
	case queue.StateTimeout:
		return fmt.Sprintf("a piece took more than %d s; try again, with -t for longer", e.Timeout)
	case queue.StateInterrupted:
		return "dom0 stopped in the middle; try again to go on from there"
	}
	return string(o.State) + " in dom0; try again to go on from there"
}

func (t *Transfer) tell(p Phase, done, size int64) {
	if t.Progress != nil {
		t.Progress(Progress{p, done, size})
	}
}

// Dom0Path is where a file goes that was to be sent to path: a path that ends
// with / is a folder and gets the file's own name.
func Dom0Path(path, local string) string {
	if strings.HasSuffix(path, "/") {
		return path + filepath.Base(local)
	}
	return path
}

// LocalPath is where a file comes that was to be fetched to path: a folder that
// is there gets the file's own name.
func LocalPath(path, remote string) string {
	if info, err := os.Stat(path); strings.HasSuffix(path, "/") || err == nil && info.IsDir() {
		return filepath.Join(path, filepath.Base(remote))
	}
	return path
}

func (t *Transfer) ready() error {
	if t.Client.Legacy {
		return fmt.Errorf("%w: moving files needs version 2", client.ErrLegacyCannot)
	}
	return t.Client.Prepare()
}

// sleep waits, but no longer than ctx.
func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
