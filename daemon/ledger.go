package daemon

import (
	"context"
	"errors"
	"os"
	"os/user"
	"strconv"
	"syscall"
	"time"

	"qvmremote/daemon/audit"
)

// append writes records before ctx ends, and mirrors them.
func (x *Executor) append(ctx context.Context, records ...audit.Record) error {
	_, _, err := x.write(ctx, x.log.Update, func(*audit.Tx) ([]audit.Record, error) { return records, nil })
	return err
}

// appendFinal writes a final record, for which the log has a reserve, and
// returns a signed head that covers it.
func (x *Executor) appendFinal(ctx context.Context, r audit.Record) (head string, err error) {
	_, head, err = x.write(ctx, x.log.UpdateFinal, func(*audit.Tx) ([]audit.Record, error) { return []audit.Record{r}, nil })
	return head, err
}

// claimUnderLock writes a claim if allowed says so under the log's lock, and
// makes a key that was used for the first time the only one.
func (x *Executor) claimUnderLock(ctx context.Context, records []audit.Record, allowed func() (promote bool, err error)) ([]audit.Record, string, error) {
	claimed := records[0]
	return x.write(ctx, x.log.Update, func(tx *audit.Tx) ([]audit.Record, error) {
		if err := tx.RequireReserve(); err != nil {
			return nil, err
		}
		promote, err := allowed()
		if err != nil || !promote {
			return records, err
		}
		if err := x.keys.Promote(claimed.Qube); err != nil {
			return nil, err
		}
		return append(records[:len(records):len(records)], audit.Record{Event: audit.Rotated, Qube: claimed.Qube, Key: claimed.Key, Way: "daemon"}), nil
	})
}

type update func(context.Context, func(*audit.Tx) error) (audit.Commit, error)

// write is the one way to the log: it completes the records with what the log
// gave them and hands them to the mirror.
func (x *Executor) write(ctx context.Context, up update, build func(*audit.Tx) ([]audit.Record, error)) ([]audit.Record, string, error) {
	var written []audit.Record
	commit, err := up(ctx, func(tx *audit.Tx) error {
		records, err := build(tx)
		if err != nil {
			return err
		}
		written = written[:0]
		for _, r := range records {
			r.Seq = tx.Add(r)
			r.Time = x.now()
			written = append(written, r)
		}
		return nil
	})
	if errors.Is(err, audit.ErrUnsigned) {
		x.warn("the audit log's head could not be signed; it will be with the next record", "error", err)
		commit.Head, err = x.log.Head(), nil
	}
	if err != nil {
		x.status.touch()
		return nil, "", err
	}
	for _, r := range written {
		x.copies.add(r.WithoutExcerpt())
	}
	return written, commit.Head, nil
}

// tellWait is how long a record that nothing depends on may take.
const tellWait = 10 * time.Second

// tell records what happened; that it could not be recorded is told in the
// journal and in the log's findings.
func (x *Executor) tell(r audit.Record) {
	ctx, cancel := context.WithTimeout(context.Background(), tellWait)
	defer cancel()
	if err := x.append(ctx, r); err != nil {
		x.warn("cannot record", "event", string(r.Event), "qube", r.Qube, "id", r.ID, "error", err)
	}
}

// persist tries to do what must be done until it is, ctx ends, or the log is
// broken for good.
func (x *Executor) persist(ctx context.Context, what string, do func() error) error {
	return x.retry(ctx, do, func(err error, pause time.Duration) {
		x.warn("cannot "+what+"; trying again", "error", err, "pause", pause.String())
	})
}

// retry is persist for whoever tells in another way that it did not work.
func (x *Executor) retry(ctx context.Context, do func() error, tell func(error, time.Duration)) error {
	for pause := x.o.Times.Retry; ; pause = min(2*pause, x.o.Times.MaxRetry) {
		err := do()
		if err == nil || ctx.Err() != nil || errors.Is(err, audit.ErrBroken) || errors.Is(err, audit.ErrClosed) || errors.Is(err, errStopping) {
			return err
		}
		tell(err, pause)
		if !sleep(ctx, pause, nil) {
			return context.Cause(ctx)
		}
	}
}

func isDiskTrouble(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EROFS) ||
		errors.Is(err, os.ErrPermission) || errors.Is(err, audit.ErrBroken)
}

// account names who runs this process, for the record.
func account() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return strconv.Itoa(os.Getuid())
}
