package client_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"qvmremote/client"
	"qvmremote/client/dom0test"
	"qvmremote/queue"
)

// past files a request of an hour ago.
func past(t *testing.T, c *client.Client, p dom0test.Past) client.Entry {
	t.Helper()
	if p.At.IsZero() {
		p.At = time.Now().Add(-time.Hour)
	}
	day, id, err := p.File(c.Layout, key(t, c))
	if err != nil {
		t.Fatal(err)
	}
	return client.Entry{Day: day, ID: id}
}

func openBin(t *testing.T, c *client.Client) *client.Bin {
	t.Helper()
	b, err := c.OpenBin(limited(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close(limited(t)) })
	return b
}

// left is what is in the history, by its names.
func left(t *testing.T, c *client.Client) (names []string) {
	t.Helper()
	err := filepath.WalkDir(c.Layout.History(), func(path string, e fs.DirEntry, err error) error {
		if err == nil && filepath.Dir(filepath.Dir(path)) == c.Layout.History() {
			names = append(names, e.Name())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestDeletedIsPutBackWhole(t *testing.T) {
	t.Parallel()
	c := newQube(t)
	e := past(t, c, dom0test.Past{Number: 1, Script: "one", State: queue.StateExit, Out: "out"})
	b := openBin(t, c)
	if done, err := b.Delete(limited(t), []client.Entry{e}); err != nil || !slices.Equal(done, []client.Entry{e}) {
		t.Fatal(done, err)
	}
	if _, err := c.Ticket(e.ID); !errors.Is(err, client.ErrUnknownID) || len(c.History(10)) != 0 {
		t.Errorf("what was deleted is found: %v", err)
	}
	if done, err := b.Restore(limited(t), []client.Entry{e}); err != nil || len(done) != 1 {
		t.Fatal(done, err)
	}
	if d, err := c.Detail(limited(t), e); err != nil || d.Trust != client.Verified || string(d.Script) != "one" {
		t.Errorf("put back it is %+v, %v", d, err)
	}
	if _, err := b.Delete(limited(t), []client.Entry{e}); err != nil {
		t.Fatal(err)
	}
	if err := b.Empty(limited(t), nil); err != nil || len(left(t, c)) != 0 {
		t.Errorf("emptied: %v, left %v", err, left(t, c))
	}
	if done, err := b.Restore(limited(t), []client.Entry{e}); err != nil || len(done) != 0 {
		t.Errorf("restored what is gone: %v, %v", done, err)
	}
	if done, err := b.Delete(limited(t), []client.Entry{e}); err != nil || len(done) != 0 {
		t.Errorf("deleted what is gone: %v, %v", done, err)
	}
}

// TestWhatMayBeAnsweredIsNotDeleted: until its time is over, or it was answered,
// also where nobody came for the answer.
func TestWhatMayBeAnsweredIsNotDeleted(t *testing.T) {
	t.Parallel()
	c := newQube(t)
	ticket := submit(t, c, client.Request{Script: []byte("true")})
	days, _ := c.Days()
	e := client.Entry{Day: days[0], ID: ticket.ID}
	b := openBin(t, c)
	done, err := b.Delete(limited(t), []client.Entry{e})
	wantError(t, err, client.ErrOpenRequest)
	if len(done) != 0 || !c.There(e) {
		t.Error("it was deleted")
	}
	answer(t, c, ticket).put(t)
	if _, err := b.Delete(limited(t), []client.Entry{e}); err != nil {
		t.Fatal(err)
	}
	if there(c.Layout.Result(e.ID, queue.Exit)) {
		t.Error("its answer lies in the queue for ever")
	}
	if _, err := b.Restore(limited(t), []client.Entry{e}); err != nil {
		t.Fatal(err)
	}
	if d, err := c.Detail(limited(t), e); err != nil || d.Trust != client.Verified || d.Exit != 7 {
		t.Errorf("put back it is %+v, %v", d, err)
	}
}

// TestACrashLeavesItWhole: what a program that was killed set aside comes back
// with the next one, or when the history is tidied; what it was about to remove
// goes.
func TestACrashLeavesItWhole(t *testing.T) {
	t.Parallel()
	for name, next := range map[string]func(*testing.T, *client.Client){
		"another window": func(t *testing.T, c *client.Client) { openBin(t, c) },
		"the sweep":      func(t *testing.T, c *client.Client) { c.Tidy(limited(t)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newQube(t)
			aside := past(t, c, dom0test.Past{Number: 1, Script: "one", State: queue.StateExit})
			going := past(t, c, dom0test.Past{Number: 2, Script: "two", State: queue.StateExit})
			day := filepath.Join(c.Layout.History(), aside.Day)
			for _, err := range []error{ // what a kill between two steps leaves
				os.Rename(filepath.Join(day, aside.ID), filepath.Join(day, ".deleted-"+aside.ID)),
				os.Rename(filepath.Join(day, going.ID), filepath.Join(day, ".going-"+going.ID)),
				os.Remove(filepath.Join(day, ".going-"+going.ID, "request")),
				os.WriteFile(filepath.Join(c.Layout.History(), ".deleting"), nil, 0o600),
			} {
				if err != nil {
					t.Fatal(err)
				}
			}
			next(t, c)
			if got := left(t, c); !slices.Equal(got, []string{aside.ID}) {
				t.Errorf("there is %v", got)
			}
			if d, err := c.Detail(limited(t), aside); err != nil || d.Trust != client.Verified {
				t.Errorf("%+v, %v", d, err)
			}
		})
	}
}

// TestTwoWindowsDelete: one takes nothing of what the other can still put back,
// nor does the sweep.
func TestTwoWindowsDelete(t *testing.T) {
	t.Parallel()
	c := newQube(t)
	e := past(t, c, dom0test.Past{Number: 1, Script: "one", State: queue.StateExit})
	first := openBin(t, c)
	if _, err := first.Delete(limited(t), []client.Entry{e}); err != nil {
		t.Fatal(err)
	}
	second := openBin(t, c)
	c.Tidy(limited(t))
	if done, err := second.Restore(limited(t), []client.Entry{e}); err != nil || len(done) != 0 || c.There(e) {
		t.Errorf("another window put it back: %v, %v", done, err)
	}
	if err := second.Close(limited(t)); err != nil {
		t.Fatal(err)
	}
	if done, err := first.Restore(limited(t), []client.Entry{e}); err != nil || len(done) != 1 {
		t.Errorf("the first cannot put it back: %v, %v", done, err)
	}
}

func TestWhatCannotBeDeletedIsSaid(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root may write everywhere")
	}
	t.Parallel()
	c := newQube(t)
	e := past(t, c, dom0test.Past{Number: 1, Script: "one", State: queue.StateExit})
	day := filepath.Join(c.Layout.History(), e.Day)
	b := openBin(t, c)
	if err := os.Chmod(day, 0o500); err != nil {
		t.Fatal(err)
	}
	done, err := b.Delete(limited(t), []client.Entry{e})
	_ = os.Chmod(day, 0o700)
	if err == nil || !strings.Contains(err.Error(), e.ID) || len(done) != 0 || !c.There(e) {
		t.Errorf("in a closed folder: %v, %v", done, err)
	}
}

// TestTrust: an answer in the history is believed as far as dom0 signed it.
func TestTrust(t *testing.T) {
	t.Parallel()
	c := newQube(t)
	n := 0
	put := func(p dom0test.Past, damage map[string]string) client.Entry {
		n++
		p.Number, p.Script = n, "echo"
		e := past(t, c, p)
		for name, text := range damage {
			if err := os.WriteFile(filepath.Join(c.Layout.History(), e.Day, e.ID, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		return e
	}
	good := put(dom0test.Past{State: queue.StateExit, Out: "out", Err: "err"}, nil)
	other := put(dom0test.Past{State: queue.StateExit, Exit: 9}, nil)
	foreign, err := os.ReadFile(filepath.Join(c.Layout.History(), other.Day, other.ID, "result"))
	if err != nil {
		t.Fatal(err)
	}
	for name, x := range map[string]struct {
		e    client.Entry
		want client.Trust
	}{
		"signed":                {good, client.Verified},
		"denied":                {put(dom0test.Past{State: queue.StateDenied}, nil), client.Verified},
		"no answer":             {put(dom0test.Past{}, nil), client.Unanswered},
		"denied, not signed":    {put(dom0test.Past{}, map[string]string{"denied": "no-key\nno key\n"}), client.Unsigned},
		"version 1":             {put(dom0test.Past{}, map[string]string{"exit": "0", "legacy": ""}), client.Unsigned},
		"output was changed":    {put(dom0test.Past{State: queue.StateExit, Out: "out", Forge: true}, nil), client.Unverified},
		"signature was changed": {put(dom0test.Past{State: queue.StateExit}, map[string]string{"result": "nonsense"}), client.Unverified},
		"another's answer":      {put(dom0test.Past{State: queue.StateExit}, map[string]string{"result": string(foreign)}), client.Unverified},
		"no signature":          {put(dom0test.Past{}, map[string]string{"exit": "0"}), client.Unverified},
		"command was changed":   {put(dom0test.Past{State: queue.StateExit}, map[string]string{"command": "evil"}), client.Unverified},
		"another input":         {put(dom0test.Past{State: queue.StateExit}, map[string]string{"stdin": "evil"}), client.Unverified},
		"request was changed":   {put(dom0test.Past{State: queue.StateExit}, map[string]string{"request": "nonsense"}), client.Unverified},
	} {
		d, err := c.Detail(limited(t), x.e)
		if err != nil || d.Trust != x.want || (d.Why != nil) != (x.want == client.Unverified) {
			t.Errorf("%s: %s (%v), want %s; %v", name, d.Trust, d.Why, x.want, err)
		}
	}
	changed := put(dom0test.Past{State: queue.StateExit}, map[string]string{"command": "another"})
	lines, err := c.Past(limited(t), []client.Entry{good, other, changed})
	if err != nil || !lines[0].Signed || lines[1].Exit != 9 || lines[2].Signed {
		t.Errorf("lines: %+v, %v", lines, err)
	}
	files, _, _ := c.Files(t.Context(), 10)
	if len(files) != 0 {
		t.Errorf("looking has left %v in the queue", files)
	}
	if _, err := c.Detail(limited(t), client.Entry{Day: good.Day, ID: "gone"}); !errors.Is(err, client.ErrGone) {
		t.Errorf("of one that is gone: %v", err)
	}
}

// TestAnswersAreCollected: an answer that nobody waited for, such as of a window
// that was closed, is in the history after that, and no longer in the queue. One
// that cannot be believed stays.
func TestAnswersAreCollected(t *testing.T) {
	t.Parallel()
	c := newQube(t)
	lost := func(n int, forge bool) client.Entry {
		e := past(t, c, dom0test.Past{Number: n, Script: "echo", State: queue.StateExit, Exit: 3, Out: "out", Forge: forge})
		for name, ending := range map[string]string{"out": queue.Out, "err": queue.Err, "meta": queue.Meta, "result": queue.Auth, "exit": queue.Exit} {
			if err := os.Rename(filepath.Join(c.Layout.History(), e.Day, e.ID, name), c.Layout.Result(e.ID, ending)); err != nil {
				t.Fatal(err)
			}
		}
		return e
	}
	good, forged := lost(1, false), lost(2, true)
	if err := c.Collect(limited(t), 100); err != nil {
		t.Fatal(err)
	}
	lines, err := c.Past(limited(t), []client.Entry{good, forged})
	if err != nil || !lines[0].Signed || lines[0].Exit != 3 || lines[1].State != "" {
		t.Errorf("lines: %+v, %v", lines, err)
	}
	d, err := c.Detail(limited(t), forged)
	if err != nil || d.Trust != client.Unverified {
		t.Errorf("the forged one: %s, %v", d.Trust, err)
	}
	if files, _, _ := c.Files(t.Context(), 100); len(files) != 5 {
		t.Errorf("in the queue: %v", files)
	}
}

// TestTheInputIsPartOfTheRequest: another one beside a good answer is none that
// dom0 signed for.
func TestTheInputIsPartOfTheRequest(t *testing.T) {
	t.Parallel()
	c := newQube(t)
	serve(t, c, &dom0test.Dom0{})
	ticket := submit(t, c, client.Request{Script: []byte("cat"), Stdin: strings.NewReader("input")})
	if _, err := c.Wait(limited(t), ticket, client.Events{}); err != nil {
		t.Fatal(err)
	}
	e, err := c.Find(ticket.ID)
	if err != nil {
		t.Fatal(err)
	}
	if d, err := c.Detail(limited(t), e); err != nil || d.Trust != client.Verified || !d.Signed {
		t.Fatalf("as it was sent: %+v, %v", d, err)
	}
	if err := os.WriteFile(filepath.Join(c.Layout.History(), e.Day, e.ID, "stdin"), []byte("INPUT"), 0o600); err != nil {
		t.Fatal(err)
	}
	if d, err := c.Detail(limited(t), e); err != nil || d.Trust != client.Unverified || d.Why == nil {
		t.Errorf("another input: %+v, %v", d, err)
	}
}
