// Package admin changes and shows the state of dom0's side: keys, the list of
// qubes, queues in the qubes, the service. It prints nothing; whoever calls it
// (the command line, a D-Bus service) asks and shows.
//
// It guarantees:
//   - Every change of a key, a setting or the service is in the audit log, with
//     who did it and by which way. A key that is stored is recorded first, a key
//     that is taken away is gone first, whatever the log says.
//   - No name that is not a qube's reaches a path or a command line, and no key
//     that another qube has or had is stored.
//   - What an operation reports as done is on the disk. What it could do only in
//     part it says.
//   - It may be used while the executor runs, and by several processes at once.
package admin

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"qvmremote/daemon/audit"
	"qvmremote/daemon/boot"
	"qvmremote/daemon/claim"
	"qvmremote/daemon/disk"
	"qvmremote/daemon/keys"
	"qvmremote/daemon/mirror"
	"qvmremote/daemon/paths"
	"qvmremote/daemon/qubes"
	"qvmremote/daemon/settings"
	"qvmremote/daemon/systemd"
	"qvmremote/daemon/transport"
	"qvmremote/queue"
)

// Service is the systemd unit of the executor.
const Service = "qvm-remote-dom0.service"

// ManageService is the systemd unit that answers on the bus while the executor
// does not run.
const ManageService = "qvm-remote-manage.service"

// Admin administers the dom0 below one root. Make it with [New].
type Admin struct {
	Root    paths.Root
	Environ []string // where settings may come from, as os.Environ gives it
	Who     string   // on whose account, for the record
	Way     string   // "cli", "dbus", for the record
	Now     func() time.Time
	Boot    boot.Clock      // that grants are measured by; zero is the machine's
	Times   transport.Times // of conversations with qubes
	Tools   *qubes.Tools
	Units   systemd.Units // of the systemd that belongs to Root
}

// New returns an Admin with the usual clock, waits and tools, and the systemd
// of the bus that root and environ lead to.
func New(root paths.Root, environ []string, who, way string) *Admin {
	return &Admin{Root: root, Environ: environ, Who: who, Way: way, Now: time.Now,
		Times: transport.DefaultTimes(), Tools: &qubes.Tools{Root: root},
		Units: systemd.New(root.Bus(environ))}
}

// Change is what an operation did.
type Change struct {
	VM          string
	Fingerprint string   // of the key in question; "" where it could not be read
	Changed     bool     // false: all was so already
	KeyFile     string   // where the key is or was
	Config      string   // the settings' file
	VMs         []string // the file's list of qubes, after the change
	Cleaned     int      // files removed from the qube's queue
	Warnings    []string
}

// ErrRefused is wrapped by errors that say no to what was asked, as opposed to
// failing at it.
var ErrRefused = errors.New("refused")

// Kinds of refusals, for those who must tell them apart.
var (
	ErrNoQube     = errors.New("dom0 knows no qube of this name")
	ErrNotRunning = errors.New("the qube is not running")
)

// refusal is an ErrRefused of a kind, if kind is not nil.
type refusal struct {
	text string
	kind error
}

func (r *refusal) Error() string { return ErrRefused.Error() + ": " + r.text }

func (r *refusal) Is(target error) bool {
	return target == ErrRefused || r.kind != nil && target == r.kind
}

func refused(format string, args ...any) error {
	return refusedAs(nil, format, args...)
}

func refusedAs(kind error, format string, args ...any) error {
	return &refusal{text: fmt.Sprintf(format, args...), kind: kind}
}

func (a *Admin) source() settings.Source {
	return settings.Source{Path: a.Root.Config(), Environ: a.Environ}
}

// usable returns the settings, or the defaults where they are broken: what
// must work in any case, such as a revoke, does not depend on them.
func (a *Admin) usable() settings.Settings {
	set, _, err := a.source().Load()
	if err != nil {
		return settings.Default()
	}
	return set
}

func (a *Admin) keyFile(vm string) string { return filepath.Join(a.Root.Keys(), vm+".key") }

func (a *Admin) change(vm string) Change {
	return Change{VM: vm, KeyFile: a.keyFile(vm), Config: a.Root.Config()}
}

// checkName says why vm cannot be administered.
func checkName(vm string) error {
	if queue.ValidQube(vm) {
		return nil
	}
	switch vm {
	case "dom0", "none":
		return refusedAs(ErrNoQube, "%s is no qube that could ask dom0 for anything", vm)
	}
	return refusedAs(ErrNoQube, "%s: %v; dom0, none and names ending in -dm are not for qubes that ask", queue.Quote(vm, 40), keys.ErrName)
}

// keystore opens the keys and keeps other administration out until unlock.
func (a *Admin) keystore(ctx context.Context) (s *keys.Store, unlock func(), err error) {
	if err := makeFolder(filepath.Dir(a.Root.Keys()), 0o755); err != nil {
		return nil, nil, err
	}
	if s, err = keys.Open(a.Root.Keys()); err != nil {
		return nil, nil, err
	}
	unlock, err = s.Lock(ctx)
	return s, unlock, err
}

// makeFolder makes dir with that mode, and what is missing above it with 0755.
func makeFolder(dir string, mode fs.FileMode) error {
	if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := makeFolder(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	if err := disk.Mkdir("admin.folder", dir, mode); err != nil {
		return fmt.Errorf("cannot make %s: %w", dir, err)
	}
	return nil
}

// ledger is the open audit log and what it says.
type ledger struct {
	a      *Admin
	log    *audit.Log
	book   *claim.Book
	mirror *mirror.Mirror
	last   int64    // number of the latest record that it wrote
	lost   bool     // claims may be missing from it
	odd    []string // warnings from writing it
}

// ledger opens the audit log. A log that may have lost claims raises the
// floors of all keys at once: the finding is made once, and the next who opens
// the log sees nothing wrong any more.
func (a *Admin) ledger(ctx context.Context, s *keys.Store) (*ledger, error) {
	if err := makeFolder(a.Root.State(), 0o700); err != nil {
		return nil, err
	}
	set := a.usable()
	l := &ledger{a: a, book: claim.NewBook(), mirror: mirror.New(a.Root.Log(), a.Root.Real())}
	o := audit.Options{Now: a.Now, MaxAge: time.Duration(set.AuditDays) * 24 * time.Hour, MaxBytes: set.AuditBytes, Reserve: set.AuditReserve}
	var err error
	if l.log, err = audit.Open(ctx, a.Root.Audit(), o, l.book); err != nil {
		return nil, err
	}
	for _, f := range l.log.Findings() {
		if f.Kind.LosesClaims() {
			err = errors.Join(err, l.raiseFloors(ctx, s, f))
		}
	}
	if err != nil {
		return nil, errors.Join(err, l.close())
	}
	return l, nil
}

// raiseFloors puts the floor of each key that was in use above all that the
// lost records could have admitted. A key that has no meta file and is not in
// the book was never used.
func (l *ledger) raiseFloors(ctx context.Context, s *keys.Store, f audit.Finding) error {
	names, err := s.List()
	if err != nil {
		return err
	}
	floor := l.book.FloorAfterLoss(l.a.Now())
	var records []audit.Record
	for _, name := range names {
		held, err := s.Get(name)
		if err != nil {
			continue // a key that cannot be read authenticates nothing
		}
		l.lost = l.lost || held.HasMeta
		for _, k := range []queue.Key{held.Current, held.Next} {
			_, known := l.book.Floor(name, k.Fingerprint())
			if !k.IsZero() && (known || held.HasMeta) {
				records = append(records, audit.Record{Event: audit.Floor, Qube: name, Key: k.Fingerprint(), Floor: floor,
					Detail: "the audit log may have lost claims: " + f.Detail})
			}
		}
	}
	if len(records) == 0 {
		return nil
	}
	return l.add(ctx, records...)
}

// write appends what build returns; build runs with the log's lock held, on a
// book that knows what other processes wrote.
func (l *ledger) write(ctx context.Context, build func() ([]audit.Record, error)) error {
	var written []audit.Record
	_, err := l.log.Update(ctx, func(tx *audit.Tx) error {
		records, err := build()
		if err != nil {
			return err
		}
		for _, r := range records {
			r.Who, r.Way = l.a.Who, l.a.Way
			r.Seq, r.Time = tx.Add(r), l.a.Now()
			l.last = r.Seq
			written = append(written, r)
		}
		return nil
	})
	if errors.Is(err, audit.ErrUnsigned) { // it is recorded; whoever writes next signs it
		l.odd = append(l.odd, err.Error())
		err = nil
	}
	if err != nil {
		return err
	}
	for _, r := range written {
		if err := l.mirror.Write(r); err != nil {
			l.odd = append(l.odd, "cannot copy the record to the log for people: "+err.Error())
		}
	}
	return nil
}

func (l *ledger) add(ctx context.Context, records ...audit.Record) error {
	return l.write(ctx, func() ([]audit.Record, error) { return records, nil })
}

// floor is from when on a key that is stored now may be used: a minute ago, and
// never below what the log says of it. A key that comes back begins now: what
// was refused while it was away must not run after all.
func (l *ledger) floor(vm string, k queue.Key, usedBefore bool) int64 {
	floor := l.a.Now().Add(-queue.ClockSlack).Unix()
	known, ok := l.book.Floor(vm, k.Fingerprint())
	if ok && !usedBefore {
		floor = l.a.Now().Unix()
	}
	if l.lost || usedBefore && !ok {
		floor = l.a.Now().Add(queue.ClockSlack).Unix()
	}
	return max(floor, known)
}

func (l *ledger) close() error {
	if err := l.log.Close(); err != nil {
		return fmt.Errorf("cannot close the audit log: %w", err)
	}
	return nil
}

// unlocked opens the audit log for what changes no key, without their lock.
func (a *Admin) unlocked(ctx context.Context) (*ledger, error) {
	s, err := keys.Open(a.Root.Keys())
	if err != nil {
		return nil, err
	}
	return a.ledger(ctx, s)
}

// record writes records about something that was done already.
func (a *Admin) record(ctx context.Context, records ...audit.Record) (warnings []string, err error) {
	l, err := a.unlocked(ctx)
	if err != nil {
		return nil, err
	}
	err = l.add(ctx, records...)
	return l.odd, errors.Join(err, l.close())
}
