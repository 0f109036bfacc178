// Package client is the qube's side of qvm-remote as a library: it submits
// requests, waits for their answers, takes them back, and keeps keys and
// history. It prints nothing. It guarantees:
//   - A request becomes visible to dom0 whole or not at all, and a Submit that
//     failed leaves nothing behind.
//   - Of an answer only what dom0 signed for exactly this request is believed:
//     the state, the exit code, and the hashes of the outputs. All else is an
//     error that says so. Version 1 (see [Client.Legacy]) has no signatures: its
//     answers are believed as they are, and marked.
//   - Every wait ends: with the answer, with its deadline, or with its context.
//   - Nothing that belongs to a request that may still be answered is removed,
//     unless the caller asks for everything to go.
//
// Strings in its results that came from files (words, denials, log lines,
// names) may hold anything; pass them through [queue.Escape] before a terminal
// sees them.
package client

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"qvmremote/queue"
)

// Waits are the client's deadlines. Tests shorten them.
type Waits struct {
	Take   time.Duration // after a request expired, for dom0 to have taken it
	Answer time.Duration // after expiry and timeout, for the answer to a request that was taken
	Cancel time.Duration // for the final state after a cancel
	Ping   time.Duration // for the answer to a ping
	Tick   time.Duration // between two calls of Events.Tick
	Early  time.Duration // until the first one where dom0 does not look into the queue
	Name   time.Duration // for qubesdb-read
	Brief  time.Duration // from the beginning of a wait, before it sets up a watch
	Settle time.Duration // after the queue vanished, before it is made again
	Meta   time.Duration // version 1: after .exit, for .meta to come too; before a request that vanished counts as refused
	Status time.Duration // version 1: for the sign of life that a status needs
	Pace   time.Duration // between looks where the system has no inotify left
}

// DefaultWaits are the protocol's.
func DefaultWaits() Waits {
	return Waits{Take: time.Minute, Answer: time.Minute, Cancel: 2 * time.Second, Ping: 10 * time.Second,
		Tick: 30 * time.Second, Early: 3 * time.Second, Name: 2 * time.Second, Brief: 100 * time.Millisecond,
		Settle: 250 * time.Millisecond, Meta: 2 * time.Second, Status: 5 * time.Second, Pace: 50 * time.Millisecond}
}

// Keeping says how long the history is kept. Whatever is over one of the
// limits goes, the oldest first.
type Keeping struct {
	Age     time.Duration
	Entries int
	Bytes   int64
}

// DefaultKeeping is 90 days, 10,000 entries and 1 GiB.
func DefaultKeeping() Keeping {
	return Keeping{Age: 90 * 24 * time.Hour, Entries: 10_000, Bytes: 1 << 30}
}

// Client works on one queue. It holds no state of its own but settings, so
// that many may work on the same queue at once.
type Client struct {
	Layout  queue.Layout
	Waits   Waits
	Keeping Keeping
	// Legacy makes the client speak version 1 to dom0: see [LegacyRisk].
	Legacy bool

	// Now is the qube's clock.
	Now func() time.Time
	// Database reads a key of the qube's database, such as "/name".
	Database func(ctx context.Context, key string) (string, error)
}

// New returns a client of the queue in root. It touches no file.
func New(root string) *Client {
	return &Client{Layout: queue.Layout{Root: root}, Waits: DefaultWaits(), Keeping: DefaultKeeping(),
		Now: time.Now, Database: readQubesDB}
}

// DefaultRoot is ~/.qvm-remote.
func DefaultRoot() (string, error) {
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("cannot find the home folder: %w; set HOME", err)
	}
	return filepath.Join(home, queue.FolderName), nil
}

// Migrate takes over an older release's folder, if there is one.
func (c *Client) Migrate() error { return queue.Migrate(filepath.Dir(c.Layout.Root)) }

// Prepare takes over an older release's folder, makes what is missing of the
// queue and closes it to other accounts.
func (c *Client) Prepare() error {
	if owner, own := c.owner(); !own {
		return fmt.Errorf("%w: it belongs to %s", ErrOtherAccount, owner)
	}
	if err := c.Migrate(); err != nil {
		return err
	}
	return Explain(c.Layout.Make())
}

// ErrOtherAccount says that the queue is another account's, as under sudo with
// a kept HOME. Files of this account there would lock its owner out.
var ErrOtherAccount = errors.New("this queue is another account's; run qvm-remote as its owner, without sudo")

// owner tells whose the queue is, or the home where there is none yet.
func (c *Client) owner() (name string, own bool) {
	info, err := os.Lstat(c.Layout.Root)
	if err != nil {
		info, err = os.Stat(filepath.Dir(c.Layout.Root))
	}
	if err != nil {
		return "", true // what comes next says it better
	}
	s, ok := info.Sys().(*syscall.Stat_t)
	if !ok || int(s.Uid) == os.Geteuid() {
		return "", true
	}
	name = strconv.Itoa(int(s.Uid))
	if u, err := user.LookupId(name); err == nil {
		name = u.Username
	}
	return name, false
}

// ErrDiskFull says that the qube's disk has no room.
var ErrDiskFull = errors.New("the qube's disk is full or read-only; make room, then try again")

// Explain joins what people can act on to an error of the file system.
func Explain(err error) error {
	for _, full := range []error{syscall.ENOSPC, syscall.EDQUOT, syscall.EROFS, syscall.EFBIG} {
		if errors.Is(err, full) {
			return fmt.Errorf("%w (%w)", ErrDiskFull, err)
		}
	}
	return err
}
