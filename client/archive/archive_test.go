package archive_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"qvmremote/client"
	"qvmremote/client/archive"
	"qvmremote/client/dom0test"
	"qvmremote/queue"
)

var noon = time.Date(2026, 11, 20, 12, 0, 0, 0, time.Local)

func newQube(t testing.TB) *client.Client {
	t.Helper()
	c := client.New(filepath.Join(t.TempDir(), queue.FolderName))
	c.Database = func(context.Context, string) (string, error) { return "work", nil }
	if err := c.Prepare(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.GenerateKey(false); err != nil {
		t.Fatal(err)
	}
	return c
}

func file(t testing.TB, c *client.Client, p dom0test.Past) client.Entry {
	t.Helper()
	k, err := c.Key()
	if err != nil {
		t.Fatal(err)
	}
	day, id, err := p.File(c.Layout, k)
	if err != nil {
		t.Fatal(err)
	}
	return client.Entry{Day: day, ID: id}
}

// watched is a list that is followed.
type watched struct {
	t    *testing.T
	mu   sync.Mutex
	rows *archive.Rows
	last archive.Change
	news chan struct{}
	stop func()
}

func follow(t *testing.T, c *client.Client, f archive.Filter) *watched {
	t.Helper()
	w := &watched{t: t, rows: archive.NewRows(), news: make(chan struct{}, 1)}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- archive.Follow(ctx, c, f, nil, func(change archive.Change) {
			w.mu.Lock()
			w.rows.Apply(change)
			w.last = change
			w.mu.Unlock()
			select {
			case w.news <- struct{}{}:
			default:
			}
		})
	}()
	w.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("it ended by itself: %v", err)
		}
	})
	t.Cleanup(w.stop)
	return w
}

// until waits for a condition of the list.
func (w *watched) until(what string, is func(*archive.Rows, archive.Change) bool) {
	w.t.Helper()
	deadline := time.After(2 * time.Minute)
	for {
		w.mu.Lock()
		ok := is(w.rows, w.last)
		all := w.rows.All()
		w.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-w.news:
		case <-deadline:
			w.t.Fatalf("still waiting for: %s; there are %v", what, all[:min(len(all), 10)])
		}
	}
}

func (w *watched) shows(what string, want ...client.Entry) {
	w.t.Helper()
	slices.SortFunc(want, client.Entry.Compare)
	w.until(what, func(r *archive.Rows, c archive.Change) bool { return c.Done() && slices.Equal(r.All(), want) })
}

func TestTheListFollowsWhatHappens(t *testing.T) {
	t.Parallel()
	c := newQube(t)
	w := follow(t, c, archive.Filter{})
	w.shows("an empty history")
	one := file(t, c, dom0test.Past{At: noon, Number: 1, Script: "one"})
	two := file(t, c, dom0test.Past{At: noon.Add(time.Second), Number: 2, Script: "two"})
	w.shows("two that came", one, two)
	old := file(t, c, dom0test.Past{At: noon.AddDate(0, 0, -3), Number: 3, Script: "old"})
	w.shows("an older day", one, two, old)

	bin, err := c.OpenBin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := bin.Delete(t.Context(), []client.Entry{one}); err != nil {
		t.Fatal(err)
	}
	w.shows("one deleted", two, old)
	if _, err := bin.Restore(t.Context(), []client.Entry{one}); err != nil {
		t.Fatal(err)
	}
	w.shows("it is back", one, two, old)
	if _, err := bin.Delete(t.Context(), []client.Entry{old}); err != nil {
		t.Fatal(err)
	}
	if err := bin.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.shows("a day that went", one, two)
	if days, _ := c.Days(); len(days) != 1 {
		t.Errorf("the days are %v", days)
	}
	again := file(t, c, dom0test.Past{At: noon.AddDate(0, 0, -3), Number: 4, Script: "again"})
	w.shows("that day came back", one, two, again)

	// The whole folder goes and comes back, as when somebody restores a backup.
	away := c.Layout.Root + ".away"
	if err := os.Rename(c.Layout.Root, away); err != nil {
		t.Fatal(err)
	}
	w.shows("nothing without a folder")
	if err := os.Rename(away, c.Layout.Root); err != nil {
		t.Fatal(err)
	}
	w.shows("all of it again", one, two, again)
}

// TestAnswersAreSeen: a line that said "no answer" is read again once there is
// one.
func TestAnswersAreSeen(t *testing.T) {
	t.Parallel()
	c := newQube(t)
	ticket, err := c.Submit(t.Context(), client.Request{Script: []byte("true")})
	if err != nil {
		t.Fatal(err)
	}
	w := follow(t, c, archive.Filter{})
	w.until("it is there", func(r *archive.Rows, _ archive.Change) bool { return r.Len() == 1 })
	w.read(c)
	if p, ok := w.rows.Line(0); !ok || p.State != "" || p.Command != "true" || p.Over {
		t.Fatalf("a request under way is %+v", p)
	}
	failed := follow(t, c, archive.Filter{Outcome: archive.Unanswered})
	failed.until("it has no answer", func(r *archive.Rows, _ archive.Change) bool { return r.Len() == 1 })
	key, _ := c.Key()
	r := queue.Result{ID: ticket.ID, Qube: "work", Request: ticket.Digest, State: queue.StateExit, Exit: 3,
		Out: queue.SumOf(nil), Err: queue.SumOf(nil)}
	for _, f := range []struct {
		ending string
		data   []byte
	}{{queue.Auth, r.Sign(key.ResultKey())}, {queue.Exit, []byte("3")}} {
		if err := queue.Publish(c.Layout.Result(ticket.ID, f.ending), f.data); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.Wait(t.Context(), ticket, client.Events{}); err != nil {
		t.Fatal(err)
	}
	w.until("its line is to be read again", func(r *archive.Rows, _ archive.Change) bool { return len(r.Next(0, 0)) == 1 })
	w.read(c)
	if p, ok := w.rows.Line(0); !ok || p.Exit != 3 || !p.Signed {
		t.Fatalf("the answer is %+v", p)
	}
	failed.shows("it fits no more")
}

func (w *watched) read(c *client.Client) {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	want := w.rows.Next(0, 100)
	lines, err := c.Past(context.Background(), want)
	if err != nil {
		w.t.Fatal(err)
	}
	w.rows.Take(want, lines, 0, 100)
}

// TestALongHistoryBeginsWithOneScreen and the rest of it follows: widgets made
// for what nobody sees yet would keep the first rows waiting.
func TestALongHistoryBeginsWithOneScreen(t *testing.T) {
	t.Parallel()
	c := newQube(t)
	const perDay = 90
	var want []client.Entry
	for n := range 2 * perDay {
		want = append(want, file(t, c, dom0test.Past{At: noon.AddDate(0, 0, -n/perDay), Number: n, Script: "true"}))
	}
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	rows, first := archive.NewRows(), 0
	shown := make(chan struct{})
	err := archive.Follow(ctx, c, archive.Filter{}, shown, func(change archive.Change) {
		rows.Apply(change)
		if first == 0 {
			first = rows.Len()
			close(shown)
		}
		if change.Done() && rows.Len() >= len(want) {
			stop()
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	slices.SortFunc(want, client.Entry.Compare)
	if first == 0 || first >= perDay {
		t.Errorf("it began with %d rows of %d, want about a screen", first, len(want))
	}
	if got := rows.All(); !slices.Equal(got, want) {
		t.Errorf("it lists %v, want %v", got, want)
	}
}

// TestTheRestComesWhereNobodyLooks: a list whose first rows are never shown, as
// of a page that one left, is whole nevertheless.
func TestTheRestComesWhereNobodyLooks(t *testing.T) {
	t.Parallel()
	c := newQube(t)
	const all = 90
	for n := range all {
		file(t, c, dom0test.Past{At: noon, Number: n, Script: "true"})
	}
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	rows := archive.NewRows()
	err := archive.Follow(ctx, c, archive.Filter{}, make(chan struct{}), func(change archive.Change) {
		if rows.Apply(change); rows.Len() == all {
			stop()
		}
	})
	if !errors.Is(err, context.Canceled) || rows.Len() != all {
		t.Errorf("it lists %d of %d: %v", rows.Len(), all, err)
	}
}

func TestFilters(t *testing.T) {
	t.Parallel()
	c := newQube(t)
	put := func(n int, p dom0test.Past) client.Entry {
		p.At, p.Number = noon.Add(time.Duration(n)*time.Second), n
		return file(t, c, p)
	}
	good := put(1, dom0test.Past{Script: "Backup the Vault", State: queue.StateExit})
	bad := put(2, dom0test.Past{Script: "false\n# backup", State: queue.StateExit, Exit: 1})
	slow := put(3, dom0test.Past{Script: "sleep 900", State: queue.StateTimeout})
	no := put(4, dom0test.Past{Script: "rm -rf /", State: queue.StateDenied})
	back := put(5, dom0test.Past{Script: "sleep 901", State: queue.StateCancelled})
	none := put(6, dom0test.Past{Script: "echo lost"})
	forged := put(7, dom0test.Past{Script: "echo forged", State: queue.StateExit})
	if err := os.WriteFile(filepath.Join(c.Layout.History(), forged.Day, forged.ID, "result"), []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c2 := range map[string]struct {
		f    archive.Filter
		want []client.Entry
	}{
		"all":                {archive.Filter{}, []client.Entry{good, bad, slow, no, back, none, forged}},
		"text, any capitals": {archive.Filter{Text: "bACKup"}, []client.Entry{good, bad}},
		"an id":              {archive.Filter{Text: slow.ID}, []client.Entry{slow}},
		"nothing":            {archive.Filter{Text: "no such"}, nil},
		"succeeded":          {archive.Filter{Outcome: archive.Succeeded}, []client.Entry{good, forged}},
		"failed":             {archive.Filter{Outcome: archive.Failed}, []client.Entry{bad, slow}},
		"denied":             {archive.Filter{Outcome: archive.Denied}, []client.Entry{no}},
		"cancelled":          {archive.Filter{Outcome: archive.Cancelled}, []client.Entry{back}},
		"unanswered":         {archive.Filter{Outcome: archive.Unanswered}, []client.Entry{none}},
		"unverified":         {archive.Filter{Outcome: archive.Unverified}, []client.Entry{forged}},
		"both":               {archive.Filter{Text: "backup", Outcome: archive.Failed}, []client.Entry{bad}},
	} {
		t.Run(name, func(t *testing.T) { follow(t, c, c2.f).shows("what fits", c2.want...) })
	}
}

// TestWhatIsNoEntry: names that are none, links, FIFOs, files; and what is inside
// of an entry that is no file.
func TestWhatIsNoEntry(t *testing.T) {
	t.Parallel()
	c := newQube(t)
	good := file(t, c, dom0test.Past{At: noon, Number: 1, Script: "good"})
	day := filepath.Join(c.Layout.History(), good.Day)
	elsewhere := t.TempDir()
	bad := client.Entry{Day: good.Day, ID: "bad"}
	for _, err := range []error{
		os.Symlink(elsewhere, filepath.Join(day, "20261120-120000-1-link")),
		os.Symlink(elsewhere, filepath.Join(c.Layout.History(), "2026-11-21")),
		os.Mkdir(filepath.Join(day, ".hidden"), 0o700),
		os.Mkdir(filepath.Join(day, "a\nb\x1b[2J\xff"), 0o700),
		os.WriteFile(filepath.Join(day, "20261120-120000-1-file"), nil, 0o600),
		unix.Mkfifo(filepath.Join(day, "20261120-120000-1-fifo"), 0o600),
		os.Mkdir(filepath.Join(c.Layout.History(), "2026-13-40"), 0o700),
		os.Mkdir(filepath.Join(day, bad.ID), 0o700),
		unix.Mkfifo(filepath.Join(day, bad.ID, "command"), 0o600),
		unix.Mkfifo(filepath.Join(day, bad.ID, "request"), 0o600),
		os.Symlink("/dev/zero", filepath.Join(day, bad.ID, "result")),
		os.Symlink("/dev/zero", filepath.Join(day, bad.ID, "out")),
		os.Symlink("/dev/zero", filepath.Join(day, bad.ID, "exit")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	follow(t, c, archive.Filter{}).shows("entries alone", good, bad)
	follow(t, c, archive.Filter{Text: "good"}).shows("a search passes over what is no file", good)
	d, err := c.Detail(t.Context(), bad)
	if err != nil || !d.Damaged || d.Why == nil || d.Trust == client.Verified || len(d.Parts) != 0 {
		t.Errorf("an entry of FIFOs and links: %+v, %v", d, err)
	}
	if _, _, err := c.Part(t.Context(), bad, "out", 0, 10); !errors.Is(err, queue.ErrNotRegular) {
		t.Errorf("a link to a device is read: %v", err)
	}
}

func TestAFolderThatCannotBeReadIsSaid(t *testing.T) {
	t.Parallel()
	c := newQube(t)
	if err := os.Remove(c.Layout.History()); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(c.Layout.History(), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	err := archive.Follow(t.Context(), c, archive.Filter{}, nil, func(archive.Change) {})
	if err == nil || !strings.Contains(err.Error(), "history") {
		t.Errorf("a history that is a file: %v", err)
	}
}

func TestExport(t *testing.T) {
	t.Parallel()
	c := newQube(t)
	one := file(t, c, dom0test.Past{At: noon, Number: 1, Script: "=HYPERLINK(1)", State: queue.StateExit, Exit: 2, Out: "a\x1b[2J\nb\xff", Err: "<b>"})
	two := file(t, c, dom0test.Past{At: noon, Number: 2, Script: "echo \xff"})
	export := func(format string, entries ...client.Entry) string {
		t.Helper()
		var b bytes.Buffer
		if err := archive.Export(t.Context(), c, &b, format, entries, func(int) {}); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	var r struct {
		ID, Trust       string
		Exit            *int
		Command, Stdout struct{ Text, Base64 string }
	}
	if err := json.Unmarshal([]byte(export("jsonl", one)), &r); err != nil || r.ID != one.ID || *r.Exit != 2 ||
		r.Trust != "verified" || r.Command.Text != "=HYPERLINK(1)" || r.Stdout.Base64 == "" {
		t.Errorf("as an object: %+v, %v", r, err)
	}
	if lines := strings.Split(strings.TrimSpace(export("jsonl", one, two)), "\n"); len(lines) != 2 || strings.Contains(lines[0], "stdout") {
		t.Errorf("two entries are %q", lines)
	}
	rows, err := csv.NewReader(strings.NewReader(export("csv", two, one))).ReadAll()
	if err != nil || len(rows) != 3 || rows[2][7] != `"=HYPERLINK(1)"` || rows[1][7] != `"echo \xff"` {
		t.Errorf("as a table: %q, %v", rows, err)
	}
	text := export("text", one)
	for _, want := range []string{one.ID, "exit 2", "verified", `    a\x1b[2J`, `    b\xff`, "    <b>"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in %q", want, text)
		}
	}
}
