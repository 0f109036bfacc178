// Package daemon is dom0's side at work: it looks at the configured qubes,
// takes their requests through claim, policy, run and delivery, and keeps
// those promises of docs/protocol.md that no smaller package can keep alone:
//
//   - No request runs without a key for its qube, twice, or without a record:
//     the claim is in the log before a byte of the script is read, the command
//     text before the shell starts, the final state before the qube learns it.
//   - Every claimed request comes to exactly one final state, over any crash:
//     what the log says is open is taken up at the next start.
//   - No qube can hold up another: each has a goroutine, a connection, a share
//     of the spool and of the slots of its own.
//
// There is no state but files; the audit log is the database.
package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"qvmremote/daemon/approval"
	"qvmremote/daemon/audit"
	"qvmremote/daemon/boot"
	"qvmremote/daemon/claim"
	"qvmremote/daemon/keys"
	"qvmremote/daemon/mirror"
	"qvmremote/daemon/qubes"
	"qvmremote/daemon/run"
	"qvmremote/daemon/settings"
	"qvmremote/daemon/slots"
	"qvmremote/daemon/spool"
	"qvmremote/daemon/transport"
	"qvmremote/daemon/transport/poll"
	"qvmremote/queue"
)

// Executor is a running daemon. One process holds the executor's lock.
type Executor struct {
	o         Options
	lock      io.Closer // the executor's, held until the process ends
	log       *audit.Log
	book      *claim.Book // the log folded; it follows the log by itself
	spool     *spool.Spool
	slots     *slots.Slots
	keys      *keys.Store
	tools     *qubes.Tools
	mirror    *mirror.Mirror
	runner    *run.Runner
	copies    *copies // of the log, for people
	calls     callers
	status    *status
	number    atomic.Int64           // highest number given to a request
	loudest   atomic.Pointer[string] // the qube that is denied because it filled the audit log, "" for none
	brake     brake
	boot      boot.Clock
	approvals *approval.Book
	reading   chan struct{}   // has room for as many scripts as may be in memory at once
	manager   notifier        // of services, which started this process
	locked    bool            // Front.Locked was called, and all was well
	shown     atomic.Bool     // Front wants to hear of changes
	reloads   chan chan error // asks follow to read the settings now

	// knew are the fingerprints that the log knew when it was opened, by qube.
	knew map[string][]string

	accepting context.Context // ends when the daemon begins to stop
	hard      context.Context // ends when running commands must
	lasting   context.Context // ends last, when nothing is recorded or delivered any more
	working   tally           // requests without a final record
	loops     sync.WaitGroup  // everything else that must end before the log closes

	mu        sync.Mutex
	set       settings.Settings
	started   settings.Settings // set as it was at the start; not changed after that
	qubes     map[string]*qube
	leave     map[string]context.CancelFunc // of the loops that run
	unsettled map[string]bool               // qubes whose floors must be raised before their key counts
	approved  map[string]Approved           // what was approved last, by qube
}

// Run executes until ctx ends, then stops in order: no new requests, a while
// for the running ones, then their end. With Options.Once it returns when
// everything that one look at each qube brought is done.
func Run(ctx context.Context, o Options) error {
	x, err := open(ctx, o)
	if err == nil {
		err = errors.Join(x.serve(ctx), x.close())
	}
	x.goodbye(ctx)
	return err
}

// open takes the lock, reads the log and settles what an earlier run left.
func open(ctx context.Context, o Options) (x *Executor, err error) {
	o.Front = orNobody(o.Front)
	x = &Executor{o: o, book: claim.NewBook(), reading: make(chan struct{}, 4), reloads: make(chan chan error), manager: newNotifier(o.Environ),
		qubes: map[string]*qube{}, leave: map[string]context.CancelFunc{}, unsettled: map[string]bool{}, approved: map[string]Approved{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, x.close())
		}
	}()
	if err := x.makeFolders(); err != nil {
		return x, err
	}
	if x.lock, err = lockExecutor(ctx, o.Root.ExecutorLock()); err != nil {
		return x, err
	}
	if err := o.Front.Locked(ctx); err != nil {
		return x, err
	}
	x.locked = true
	if x.set, err = x.loadSettings(); err != nil {
		return x, err
	}
	x.started = x.set
	if x.log, err = audit.Open(ctx, o.Root.Audit(), x.auditOptions(), x.book); err != nil {
		return x, err
	}
	x.knew = x.book.Keys()
	if x.keys, err = keys.Open(o.Root.Keys()); err != nil {
		return x, err
	}
	if x.spool, err = spool.Open(o.Root.Spool(), x.quota()); err != nil {
		return x, err
	}
	if err := x.openTools(); err != nil {
		return x, err
	}
	x.slots = slots.New(x.slotLimits())
	x.mirror = mirror.New(o.Root.Log(), o.Root.Real())
	x.status = newStatus(x)
	x.copies = newCopies(x.mirror.Write, x.mirrorFailed)
	if err := x.openApprovals(); err != nil {
		return x, err
	}
	return x, x.openRunner(ctx)
}

func (x *Executor) makeFolders() error {
	for _, dir := range []string{x.o.Root.State(), x.o.Root.Run(), x.o.Root.Home()} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("cannot make dom0's folders: %w", err)
		}
	}
	return nil
}

func (x *Executor) openTools() error {
	x.tools = &qubes.Tools{Root: x.o.Root}
	qvmRun, err := qubes.Tool(x.o.Root, "qvm-run")
	if err != nil {
		return fmt.Errorf("cannot call qubes: %w", err)
	}
	x.calls = callers{
		qvmRun: transport.Caller{Path: qvmRun},
		budget: transport.NewBudget(16<<20, queue.MaxPayload),
		share:  poll.NewShare(maxLooks, x.o.Times.Poll.Apart),
	}
	return nil
}

func (x *Executor) openRunner(ctx context.Context) error {
	x.runner = &run.Runner{Dir: x.o.Root.Run(), Home: x.o.Root.Home(), Path: x.o.Path, Self: x.o.Self,
		Limits: run.Limits{Pids: x.set.PidsMax, Memory: x.set.MemoryMax}}
	if x.o.Root.Real() {
		if dir, err := run.DelegatedCgroup(); err == nil {
			x.runner.Cgroup = dir
		}
	}
	if err := x.runner.Sweep(ctx); err != nil {
		return fmt.Errorf("cannot clear what an earlier run left: %w", err)
	}
	unenforced, err := x.runner.Setup(ctx)
	if err != nil {
		return fmt.Errorf("cannot set up the command runner: %w", err)
	}
	for _, limit := range unenforced {
		x.warn("a limit is set but not in force", "limit", limit)
	}
	return nil
}

// serve looks at qubes until ctx ends, then stops in order.
func (x *Executor) serve(ctx context.Context) error {
	accepting, stopAccepting := context.WithCancel(ctx)
	hard, stopHard := context.WithCancelCause(context.Background())
	lasting, stopLasting := context.WithCancel(context.Background())
	defer stopAccepting()
	defer stopHard(nil)
	defer stopLasting()
	x.accepting, x.hard, x.lasting = accepting, hard, lasting
	err := x.obeyBrake(lasting)
	if err == nil {
		err = x.prepare(ctx)
	}
	if err != nil {
		stopLasting()
		x.loops.Wait()
		return err
	}
	x.tell(audit.Record{Event: audit.Started, Detail: x.describe(), Who: account(), Way: x.way()})
	x.loops.Add(1)
	go x.status.loop(lasting, &x.loops)
	if x.o.Once {
		x.ready()
		err = x.once(ctx)
	} else {
		err = x.follow(ctx)
	}
	stopAccepting()
	x.notify("STOPPING=1")
	if x.shown.Load() {
		x.o.Front.Stopping()
		x.status.touch()
	}
	x.working.wait(time.Duration(x.settings().StopWait) * time.Second)
	stopHard(errStopping)
	x.working.wait(x.o.Times.Farewell + run.DefaultGrace)
	x.farewell()
	stopLasting()
	x.loops.Wait()
	for _, q := range x.all() {
		q.refused.flush(q) // only now nobody refuses any more
	}
	x.tell(audit.Record{Event: audit.Stopped, Who: account(), Way: x.way()})
	return err
}

func (x *Executor) way() string {
	if x.o.Once {
		return "once"
	}
	return "daemon"
}

func (x *Executor) describe() string {
	d := "version " + queue.Version
	if x.o.DryRun {
		d += ", dry run: requests are used up, nothing is started"
	}
	return d
}

func (x *Executor) all() []*qube {
	x.mu.Lock()
	defer x.mu.Unlock()
	all := make([]*qube, 0, len(x.qubes))
	for _, q := range x.qubes {
		all = append(all, q)
	}
	return all
}

// close gives everything back; it is called once, after serve.
func (x *Executor) close() error {
	var errs []error
	if x.log != nil {
		errs = append(errs, x.log.Close())
	}
	if x.copies != nil {
		x.copies.close()
	}
	if x.lock != nil {
		errs = append(errs, x.lock.Close())
	}
	return errors.Join(errs...)
}

func (x *Executor) now() time.Time { return x.o.Now() }

func (x *Executor) settings() settings.Settings {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.set
}

func (x *Executor) warn(msg string, args ...any) {
	x.o.Log.Warn(msg, args...)
}

func (x *Executor) info(msg string, args ...any) {
	x.o.Log.Info(msg, args...)
}
