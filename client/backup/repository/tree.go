package repository

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"qvmremote/client/backup"
	"qvmremote/queue"
)

// Of each request these files leave the qube. Outputs and standard input do not.
var pushed = []string{"command", "denied", "exit", "legacy", "meta", "request", "result"}

// What is kept of each qube besides: its log, and what is said about it.
const (
	qubesDir = "qubes"
	logFile  = "audit.log"
	about    = "about"
	maxLog   = 16 << 20
	maxTree  = 64 << 20 // bytes of a listing
)

// object is one file of the branch.
type object struct {
	backup.Member
	name string // of the object
}

// tree lists a commit's files, and refuses whatever this package would not have
// put there.
func (w *work) tree(ctx context.Context, commit string) ([]object, error) {
	var list []object
	read := func(r io.Reader) error {
		b := bufio.NewReader(r)
		for {
			line, err := b.ReadString(0)
			if errors.Is(err, io.EOF) && line == "" {
				return nil
			}
			if err != nil {
				return errTooMuch
			}
			o, err := parseObject(strings.TrimSuffix(line, "\x00"))
			if err != nil {
				return err
			}
			if n := len(list); n > 0 && list[n-1].Name >= o.Name {
				return fmt.Errorf("%w: the branch has %s twice, or out of order", backup.ErrNotSafe, queue.Quote(o.Name, 120))
			}
			list = append(list, o)
		}
	}
	_, err := w.run(ctx, call{args: []string{"ls-tree", "-r", "-z", "-l", "--full-tree", commit}, wait: w.waits.Local, max: maxTree, out: read})
	return list, err
}

// parseObject reads a line of git ls-tree -l: mode, type, object, size, name.
func parseObject(line string) (object, error) {
	what, name, _ := strings.Cut(line, "\t")
	f := strings.Fields(what)
	shown := queue.Quote(name, 120)
	switch {
	case len(f) != 4 || !objectName.MatchString(f[2]):
		return object{}, fmt.Errorf("%w: git lists what is no file: %s", backup.ErrNotSafe, queue.Quote(line, 120))
	case f[0] == "120000":
		return object{}, fmt.Errorf("%w: %s is a symlink", backup.ErrNotSafe, shown)
	case f[0] == "160000":
		return object{}, fmt.Errorf("%w: %s is a submodule", backup.ErrNotSafe, shown)
	case f[0] != "100644" || f[1] != "blob":
		return object{}, fmt.Errorf("%w: %s is no plain file", backup.ErrNotSafe, shown)
	}
	size, err := strconv.ParseInt(f[3], 10, 64)
	if err != nil {
		return object{}, fmt.Errorf("%w: %s has no size", backup.ErrNotSafe, shown)
	}
	o := object{backup.Member{Name: name, Size: size}, f[2]}
	if qube, file, ok := ofQube(name); ok {
		if !queue.ValidQube(qube) || size > maxLog || file == about && size > 4<<10 {
			return object{}, fmt.Errorf("%w: %s is no file of a qube", backup.ErrNotSafe, shown)
		}
		return o, nil
	}
	if err := o.Member.Check(); err != nil {
		return object{}, err
	}
	if _, _, _, ok := o.Entry(); !ok {
		return object{}, fmt.Errorf("%w: %s is no name that belongs into this branch", backup.ErrNotSafe, shown)
	}
	return o, nil
}

// ofQube splits qubes/NAME/FILE.
func ofQube(name string) (qube, file string, ok bool) {
	p := strings.Split(name, "/")
	if len(p) != 3 || p[0] != qubesDir || p[2] != logFile && p[2] != about {
		return "", "", false
	}
	return p[1], p[2], true
}

// source hands over what a pull takes: the history, and the log of one qube.
func (w *work) source(ctx context.Context, list []object, qube string) backup.Source {
	var wanted []object
	var log *object
	for _, o := range list {
		if _, _, _, ok := o.Entry(); ok {
			wanted = append(wanted, o)
		} else if name, file, _ := ofQube(o.Name); name == qube && file == logFile {
			log = &o
		}
	}
	if log != nil {
		wanted = append(wanted, object{backup.Member{Name: backup.LogName, Size: log.Size}, log.name})
	}
	return func(use func(backup.Member, io.Reader) error) error {
		if len(wanted) == 0 {
			return nil
		}
		_, err := w.run(ctx, call{args: []string{"cat-file", "--batch"}, wait: w.waits.Receive, max: 8 << 30,
			in: func(to io.Writer) error {
				b := bufio.NewWriter(to)
				for _, o := range wanted {
					_, _ = b.WriteString(o.name + "\n")
				}
				return b.Flush()
			},
			out: func(r io.Reader) error { return readObjects(bufio.NewReader(r), wanted, use) }})
		return err
	}
}

func readObjects(b *bufio.Reader, wanted []object, use func(backup.Member, io.Reader) error) error {
	for _, o := range wanted {
		head, err := b.ReadSlice('\n')
		if err != nil || string(head) != fmt.Sprintf("%s blob %d\n", o.name, o.Size) {
			return fmt.Errorf("%w: git does not give %s", backup.ErrDamaged, queue.Quote(o.Name, 120))
		}
		text := io.LimitReader(b, o.Size)
		if err := use(o.Member, text); err != nil {
			return err
		}
		if _, err := io.Copy(io.Discard, text); err != nil { // of what was not wanted
			return err
		}
		if c, err := b.ReadByte(); err != nil || c != '\n' {
			return fmt.Errorf("%w: git gives more of %s than it said", backup.ErrDamaged, queue.Quote(o.Name, 120))
		}
	}
	return nil
}
