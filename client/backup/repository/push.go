package repository

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"qvmremote/client/backup"
	"qvmremote/queue"
)

// ErrNotTold says that nobody was told yet what a push uploads.
var ErrNotTold = errors.New("nothing was pushed: this uploads the text of every command in the history, and the log")

// Risk is what somebody has to read before the first push to an address.
const Risk = "A push uploads the text of every command that ran, with any password, token or name in it, and this qube's log. " +
	"Whoever can read the repository can read all of it, also after it was deleted here. " +
	"Keys, standard input and outputs are not uploaded."

// Pushed is what a push did.
type Pushed struct {
	Address string
	Entries int // that the branch did not have
	Open    int // that wait: without an answer, or not expired yet
	LeftOut []backup.LeftOut
}

// Push adds the history to the branch. To an address that was not pushed to
// before it does so only when told says that somebody has read [Risk].
func (r *Repository) Push(ctx context.Context, to string, told bool) (Pushed, error) {
	a, err := r.resolve(to)
	if err != nil {
		return Pushed{}, err
	}
	if last, _ := r.Address(); last != a.text && !told {
		return Pushed{}, ErrNotTold
	}
	w, err := r.open(ctx)
	if err != nil {
		return Pushed{}, err
	}
	defer w.close()
	for tries := 5; ; tries-- {
		p, again, err := r.attempt(ctx, w, a)
		if err == nil {
			return p, r.keepAddress(a.text)
		}
		if !again || tries == 1 {
			return Pushed{}, fmt.Errorf("cannot push: %w", err)
		}
	}
}

// attempt pushes once; again says that somebody else pushed meanwhile.
func (r *Repository) attempt(ctx context.Context, w *work, a address) (p Pushed, again bool, err error) {
	p.Address = a.text
	parent, err := w.fetch(ctx, a)
	if err != nil {
		return p, false, err
	}
	have := map[string]bool{}
	if parent != "" {
		list, err := w.tree(ctx, parent)
		if err != nil {
			return p, false, err
		}
		for _, o := range list {
			if day, id, _, ok := o.Entry(); ok {
				have[day+"/"+id] = true
			}
		}
	}
	if err := r.commit(ctx, w, parent, have, &p); err != nil {
		return p, false, err
	}
	if parent != "" {
		was, err := w.resolveName(ctx, parent+"^{tree}")
		if err != nil {
			return p, false, err
		}
		if now, err := w.resolveName(ctx, ours+"^{tree}"); err != nil || now == was {
			return p, false, err
		}
	}
	again, err = w.send(ctx, a)
	return p, again, err
}

func (w *work) send(ctx context.Context, a address) (again bool, err error) {
	args := []string{"push", "--porcelain", "--no-verify", "--no-follow-tags", "--recurse-submodules=no"}
	if a.local {
		args = append(args, "--receive-pack="+otherEnd("receive-pack"))
	}
	args = append(args, "--", a.text, ours+":refs/heads/"+Branch)
	out, err := w.run(ctx, call{args: args, wait: w.waits.Send, max: 1 << 20})
	var f *failure
	if !errors.As(err, &f) {
		return false, err
	}
	for line := range strings.Lines(string(out)) {
		if strings.HasPrefix(line, "!\t") {
			f.words = queue.Escape(strings.TrimSpace(line[2:]), 300) + " / " + f.words
			again = strings.Contains(line, "[rejected]") || strings.Contains(line, "lock") || strings.Contains(line, "already exists")
		}
	}
	return again, err
}

// commit makes [ours] of what the branch has and what is new here.
func (r *Repository) commit(ctx context.Context, w *work, parent string, have map[string]bool, p *Pushed) error {
	var keys [][]byte
	for _, path := range []string{r.Keeper.Client.Layout.Key(), r.Keeper.Client.OldKey()} {
		if b, err := queue.ReadSmall(path, 256); err == nil {
			keys = append(keys, bytes.ToLower(bytes.TrimSpace(b)))
		}
	}
	qube := r.qube(ctx)
	feed := func(to io.Writer) error {
		f := &importer{w: bufio.NewWriterSize(to, 1<<18)}
		f.begin(parent, r.Keeper.Client.Now().Unix(), qube)
		log, left, err := r.Keeper.Look(ctx, pushed, func(s backup.Saved) error {
			switch {
			case have[s.Day+"/"+s.ID]:
			case !s.Over:
				p.Open++
			default:
				return f.entry(s, keys, p)
			}
			return nil
		})
		if err != nil {
			return err
		}
		p.LeftOut = append(p.LeftOut, left...)
		f.file(qubesDir+"/"+qube+"/"+logFile, withoutKeys(log, keys))
		f.file(qubesDir+"/"+qube+"/"+about, r.about(qube))
		f.printf("done\n")
		return f.end()
	}
	_, err := w.run(ctx, call{args: []string{"fast-import", "--quiet", "--done", "--force"}, wait: w.waits.Local, max: 1 << 20, in: feed})
	return err
}

// qube is the name under which this qube's log lies.
func (r *Repository) qube(ctx context.Context) string {
	if name := r.Keeper.Client.QubeName(ctx); name != queue.AnyQube {
		return name
	}
	return "unknown"
}

func (r *Repository) about(qube string) []byte {
	print := "none"
	if k, err := r.Keeper.Client.Key(); err == nil {
		print = k.Fingerprint()
	}
	return fmt.Appendf(nil, "qube %s\nkey %s\n", qube, print)
}

// importer spells a commit for git fast-import. Its first error sticks.
type importer struct {
	w   *bufio.Writer
	err error
}

func (f *importer) printf(format string, args ...any) {
	if f.err == nil {
		_, f.err = fmt.Fprintf(f.w, format, args...)
	}
}

func (f *importer) begin(parent string, now int64, qube string) {
	message := "qvm-remote: the history of " + qube + "\n"
	f.printf("commit %s\ncommitter qvm-remote <qvm-remote@localhost> %d +0000\ndata %d\n%s\n", ours, now, len(message), message)
	if parent != "" {
		f.printf("from %s\n", parent)
	}
}

func (f *importer) file(name string, text []byte) {
	f.printf("M 100644 inline %s\ndata %d\n%s\n", name, len(text), text)
}

func (f *importer) end() error {
	if f.err != nil {
		return f.err
	}
	return f.w.Flush()
}

// entry adds a request, but one whose text has a key in it.
func (f *importer) entry(s backup.Saved, keys [][]byte, p *Pushed) error {
	texts := make([][]byte, len(s.Files))
	for i, m := range s.Files {
		var err error
		if texts[i], err = s.Read(m); err != nil {
			return err
		}
		if hasKey(texts[i], keys) {
			p.LeftOut = append(p.LeftOut, backup.LeftOut{Name: m.Name, Why: "a part of this qube's key is in it"})
			return nil
		}
	}
	for i, m := range s.Files {
		f.file(m.Name, texts[i])
	}
	p.Entries++
	return f.err
}

// keyPart is how many of a key's digits in a row count as a part of it.
const keyPart = 12

func hasKey(text []byte, keys [][]byte) bool {
	text = bytes.ToLower(text)
	for _, k := range keys {
		for i := 0; i+keyPart <= len(k); i++ {
			if bytes.Contains(text, k[i:i+keyPart]) {
				return true
			}
		}
	}
	return false
}

// withoutKeys drops the lines of a log that have a part of a key in them, and
// its beginning where it is too long.
func withoutKeys(log []byte, keys [][]byte) []byte {
	var b bytes.Buffer
	for line := range bytes.Lines(log) {
		if !hasKey(line, keys) {
			b.Write(line)
		}
	}
	log = b.Bytes()
	if over := len(log) - maxLog; over > 0 {
		log = log[over:]
		log = log[bytes.IndexByte(log, '\n')+1:]
	}
	return log
}
