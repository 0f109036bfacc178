package audit

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"qvmremote/daemon/disk"
)

// Prune removes whole segments that are older than MaxAge, and the oldest ones
// while the log is above MaxBytes, but by size none younger than MinAge: then
// it leaves them and [Log.Findings] says Young. The segment in use stays.
// Before anything is removed the records that Fold.Prune asks for and a Pruned
// record are on the disk. The tree and the head stay, so that what is left can
// still be verified.
func (l *Log) Prune(ctx context.Context) error {
	var gone []segment
	c := &call{final: true}
	c.fn = func(tx *Tx) error {
		var err error
		var upto int64
		if gone, upto, err = l.prunable(); err != nil || len(gone) == 0 {
			return err
		}
		for _, r := range l.fold.Prune(upto) {
			tx.Add(r)
		}
		tx.Add(Record{
			Event: Pruned, Way: "daemon", Oldest: upto, Count: upto - gone[0].first,
			Detail: "removed " + namesOf(gone),
		})
		return nil
	}
	c.after = func() error {
		if len(gone) == 0 {
			return nil
		}
		// The hashes of what goes cannot be made again.
		if err := l.o.hooks.sync("audit.prune-tree", l.tree); err != nil {
			return l.breakDown(fmt.Errorf("cannot fsync the audit tree: %w", err))
		}
		for _, s := range gone {
			if err := disk.Remove("audit.prune", s.path); err != nil {
				return fmt.Errorf("cannot remove old audit records: %w", err)
			}
		}
		return nil
	}
	_, err := l.do(ctx, c)
	return err
}

func namesOf(segs []segment) string {
	var names []string
	for _, s := range segs {
		names = append(names, filepath.Base(s.path))
	}
	return strings.Join(names, " ")
}

// prunable gives the oldest segments that may go and the first seq that stays.
func (l *Log) prunable() (gone []segment, upto int64, err error) {
	segs, err := listSegments(l.dir)
	if err != nil {
		return nil, 0, fmt.Errorf("cannot list the audit log: %w", err)
	}
	sizes := make([]int64, len(segs))
	var total int64
	for i, s := range segs {
		st, err := os.Lstat(s.path)
		if err != nil {
			return nil, 0, fmt.Errorf("cannot look at the audit log: %w", err)
		}
		sizes[i] = st.Size()
		total += st.Size()
	}
	young := error(nil)
	for i := 0; i+1 < len(segs) && segs[i] != l.cur; i++ {
		age := l.age(segs[i], segs[i+1])
		if age <= l.o.MaxAge && total <= l.o.MaxBytes {
			break
		}
		if age <= l.o.MinAge {
			young = fmt.Errorf("the audit log has %d bytes, more than its %d, and all of it is younger than %d days",
				total, l.o.MaxBytes, l.o.MinAge/(24*time.Hour))
			break
		}
		gone, upto = append(gone, segs[i]), segs[i+1].first
		total -= sizes[i]
	}
	l.stand(Young, young)
	return gone, upto, nil
}

// age is how old the youngest record of s is. Where its last line cannot be
// read, it is taken to be of the day on which the next segment was begun.
func (l *Log) age(s, next segment) time.Duration {
	if last, err := lastRecord(s); err == nil {
		return l.now().Sub(last.Time)
	}
	day, err := time.Parse(time.DateOnly, next.date)
	if err != nil {
		return 0
	}
	return l.now().Sub(day.AddDate(0, 0, 1))
}

// lastRecord reads the last line of a segment that has more than a carry.
func lastRecord(s segment) (Record, error) {
	f, err := openRegular(s.path, os.O_RDONLY, 0)
	if err != nil {
		return Record{}, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return Record{}, err
	}
	buf := make([]byte, min(st.Size(), maxLine+2))
	if _, err := f.ReadAt(buf, st.Size()-int64(len(buf))); err != nil {
		return Record{}, err
	}
	line, ok := bytes.CutSuffix(buf, []byte("\n"))
	if !ok {
		return Record{}, io.ErrUnexpectedEOF
	}
	return parseLine(line[bytes.LastIndexByte(line, '\n')+1:])
}
