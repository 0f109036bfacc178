package dbus

import (
	"context"
	"errors"
	"io"
	"os"
	"reflect"
	"slices"
	"testing"
	"time"

	godbus "github.com/godbus/dbus/v5"
	"github.com/google/go-cmp/cmp"

	"qvmremote/queue"
)

type variants = map[string]godbus.Variant

// calls are all methods of the interface, those of a qube's with "Qube." before
// the name: what a caller gives, what goes over the bus, what is answered and
// what the caller gets.
var calls = map[string]struct {
	do    func(context.Context, *Client) []any
	args  []any // nil: those are looked at elsewhere
	reply []any
	want  []any
}{
	"Subscribe":   {do: none((*Client).Subscribe)},
	"Unsubscribe": {do: none((*Client).Unsubscribe)},
	"AuthorizeQube": {do: func(ctx context.Context, c *Client) []any {
		return list(c.AuthorizeQube(ctx, "work", testKey, Options{Replace: true, Connect: true}))
	}, reply: []any{"aa bb", []string{"w"}}, want: []any{"aa bb", []string{"w"}, nil}},
	"AuthorizeQubeWithString": {do: func(ctx context.Context, c *Client) []any {
		return list(c.AuthorizeQubeWithString(ctx, "work", "k", Options{Connect: true}))
	}, args: []any{"work", "k", variants{"connect": godbus.MakeVariant(true)}},
		reply: []any{"aa", []string{}}, want: []any{"aa", []string{}, nil}},
	"GenerateKey": {do: func(ctx context.Context, c *Client) []any {
		return list(c.GenerateKey(ctx, "work", Options{Replace: true}))
	}, args: []any{"work", variants{"replace": godbus.MakeVariant(true)}},
		reply: []any{"aa", []string{"w"}}, want: []any{"aa", []string{"w"}, nil}},
	"FetchKey": {do: func(ctx context.Context, c *Client) []any { return list(c.FetchKey(ctx, "work")) },
		args: []any{"work"}, reply: []any{"aa"}, want: []any{"aa", nil}},
	"ConnectQube": {do: func(ctx context.Context, c *Client) []any { return list(c.ConnectQube(ctx, "work", "aa", Options{})) },
		args: []any{"work", "aa", variants{}}, reply: []any{[]string{"w"}}, want: []any{[]string{"w"}, nil}},
	"RotateKey": {do: func(ctx context.Context, c *Client) []any { return list(c.RotateKey(ctx, "work", testKey)) },
		reply: []any{"aa", []string{}}, want: []any{"aa", []string{}, nil}},
	"RotateKeyWithString": {do: func(ctx context.Context, c *Client) []any { return list(c.RotateKeyWithString(ctx, "work", "k")) },
		args: []any{"work", "k"}, reply: []any{"aa", []string{}}, want: []any{"aa", []string{}, nil}},
	"CancelRotation": {do: func(ctx context.Context, c *Client) []any { return list(c.CancelRotation(ctx, "work")) },
		args: []any{"work"}, reply: []any{[]string{"w"}}, want: []any{[]string{"w"}, nil}},
	"LimitQube": {do: func(ctx context.Context, c *Client) []any {
		return list(c.LimitQube(ctx, "work", Limit{For: time.Hour, Count: 3}))
	}, args: []any{"work", variants{"for": godbus.MakeVariant(uint64(3600)), "count": godbus.MakeVariant(uint64(3))}}, reply: []any{[]string{"w"}}, want: []any{[]string{"w"}, nil}},
	"GetPolicy": {do: func(ctx context.Context, c *Client) []any { return list(c.Policy(ctx, "work")) }, args: []any{"work"},
		reply: []any{"ask **\n", "aa", "", []string{"limit pending 3"}, []string{"work.policy:1: ask **"}, []string{"w"}},
		want:  []any{Policy{"ask **\n", "aa", "", []string{"limit pending 3"}, []string{"work.policy:1: ask **"}, []string{"w"}}, nil}},
	"SetPolicy": {do: func(ctx context.Context, c *Client) []any { return list(c.SetPolicy(ctx, "work", "deny **\n", "aa")) },
		args: []any{"work", "deny **\n", "aa"}, reply: []any{[]string{"w"}}, want: []any{[]string{"w"}, nil}},
	"ExplainRequest": {do: func(ctx context.Context, c *Client) []any { return list(c.Explain(ctx, "work", "ask **\n", "id")) },
		args:  []any{"work", "ask **\n", "id"},
		reply: []any{"ask", "", "rule", "", []ExplainedPart{{[]string{"id"}, "ask", "", "rule", []ExplainedStep{{true, "rule", "why"}}}}, uint64(2)},
		want:  []any{Explanation{"ask", "", "rule", "", []ExplainedPart{{[]string{"id"}, "ask", "", "rule", []ExplainedStep{{true, "rule", "why"}}}}, 2}, nil}},
	"RevokeQube": {do: func(ctx context.Context, c *Client) []any { return list(c.RevokeQube(ctx, "work")) },
		args: []any{"work", variants{}}, reply: []any{[]string{"w"}}, want: []any{[]string{"w"}, nil}},
	"DisconnectQube": {do: func(ctx context.Context, c *Client) []any { return list(c.DisconnectQube(ctx, "work")) },
		args: []any{"work"}, reply: []any{uint32(3), []string{"w"}}, want: []any{uint32(3), []string{"w"}, nil}},

	"ListQubes": {do: func(ctx context.Context, c *Client) []any { return list(c.ListQubes(ctx)) },
		reply: []any{[]godbus.ObjectPath{QubePath("a-b"), QubePath("work")}}, want: []any{[]string{"a-b", "work"}, nil}},
	"AvailableQubes": {do: func(ctx context.Context, c *Client) []any { return list(c.AvailableQubes(ctx)) },
		reply: []any{[]AvailableQube{{"work", "AppVM", "red", "Running", "u", true}}},
		want:  []any{[]AvailableQube{{"work", "AppVM", "red", "Running", "u", true}}, nil}},

	"Start":          {do: none((*Client).Start)},
	"Stop":           {do: none((*Client).Stop)},
	"Restart":        {do: none((*Client).Restart)},
	"Pause":          {do: none((*Client).Pause)},
	"Resume":         {do: none((*Client).Resume)},
	"StopEverything": {do: none((*Client).StopEverything)},
	"EnableAtBoot": {do: func(ctx context.Context, c *Client) []any { return []any{c.EnableAtBoot(ctx, true)} },
		args: []any{true}, want: []any{nil}},
	"DisableAtBoot": {do: none((*Client).DisableAtBoot)},
	"Reload":        {do: none((*Client).Reload)},
	"ListSettings": {do: func(ctx context.Context, c *Client) []any { return list(c.ListSettings(ctx)) },
		reply: []any{[]Setting{{"X", "1", "2", "a"}}, "/f"}, want: []any{[]Setting{{"X", "1", "2", "a"}}, "/f", nil}},
	"ListCommands": {do: func(ctx context.Context, c *Client) []any { return list(c.ListCommands(ctx)) },
		reply: []any{[]commandRow{{7, "work", "id", "waiting", 5, 0}}},
		want:  []any{[]Command{{7, "work", "id", "waiting", time.Unix(5, 0), time.Time{}}}, nil}},
	"CancelCommand": {do: func(ctx context.Context, c *Client) []any { return []any{c.CancelCommand(ctx, 7)} },
		args: []any{uint64(7)}, want: []any{nil}},
	"ListApprovals": {do: func(ctx context.Context, c *Client) []any { return list(c.ListApprovals(ctx)) },
		reply: []any{[]approvalRow{{7, "work", "aa", 60, 2, "ann", "dbus"}}},
		want:  []any{[]Approval{{7, "work", "aa", time.Minute, 2, "ann", "dbus"}}, nil}},
	"RevokeApprovals": {do: func(ctx context.Context, c *Client) []any { return list(c.RevokeApprovals(ctx, "work", 7)) },
		args: []any{"work", uint64(7)}, reply: []any{uint32(1)}, want: []any{uint32(1), nil}},

	"QueryAudit": {do: func(ctx context.Context, c *Client) []any {
		return list(c.QueryAudit(ctx, Filter{"work", []string{"final"}, []string{"exit"}, "expired", "i", 4, time.Unix(5, 0), time.Unix(6, 0), "x"}, 9, 2))
	}, args: []any{variants{"qube": godbus.MakeVariant("work"), "events": godbus.MakeVariant([]string{"final"}),
		"states": godbus.MakeVariant([]string{"exit"}), "reason": godbus.MakeVariant("expired"), "id": godbus.MakeVariant("i"),
		"number": godbus.MakeVariant(uint64(4)), "since": godbus.MakeVariant(uint64(5)), "until": godbus.MakeVariant(uint64(6)),
		"text": godbus.MakeVariant("x")}, uint64(9), uint32(2)},
		reply: []any{[]string{line(8), "half a li"}, uint64(7)},
		want:  []any{[]Record{recordOf(line(8)), {Event: UnreadableEvent, Line: "half a li"}}, uint64(7), nil}},
	"GetRecord": {do: func(ctx context.Context, c *Client) []any { return list(c.GetRecord(ctx, 8)) },
		args: []any{uint64(8)}, reply: []any{line(8)}, want: []any{recordOf(line(8)), nil}},
	"CountCommands": {do: func(ctx context.Context, c *Client) []any {
		return list(c.CountCommands(ctx, time.Unix(10, 0), time.Unix(20, 0), 5*time.Second, "work"))
	}, args: []any{uint64(10), uint64(20), uint32(5), "work"}, reply: []any{[]spanRow{{10, map[string]uint32{"done": 2}}}},
		want: []any{[]Span{{time.Unix(10, 0), map[string]uint32{"done": 2}}}, nil}},
	"VerifyAudit": {do: func(ctx context.Context, c *Client) []any { return list(c.VerifyAudit(ctx, nil)) },
		args: []any{[]string{}}, reply: []any{true, uint64(4), uint64(3), []string{"s"}}, want: []any{Verification{true, 4, 3, []string{"s"}}, nil}},
	"ExportAudit": {do: func(ctx context.Context, c *Client) []any { return list(c.ExportAudit(ctx, io.Discard, "csv")) },
		reply: []any{uint64(0)}, want: []any{int64(0), nil}},
	"ExportAuditText": {do: func(ctx context.Context, c *Client) []any { return list(c.ExportAuditText(ctx, 3, 4)) },
		args: []any{uint64(3), uint32(4)}, reply: []any{"x\n", uint64(4)}, want: []any{"x\n", uint64(4), nil}},
	"Doctor": {do: func(ctx context.Context, c *Client) []any { return list(c.Doctor(ctx)) },
		reply: []any{[]Finding{{"good", "a", "b"}}}, want: []any{[]Finding{{"good", "a", "b"}}, nil}},

	"Qube.Start":    {do: func(ctx context.Context, c *Client) []any { return []any{c.StartQube(ctx, "work")} }},
	"Qube.ShutDown": {do: func(ctx context.Context, c *Client) []any { return []any{c.ShutDownQube(ctx, "work")} }},
	"Qube.Resume": {do: func(ctx context.Context, c *Client) []any { return list(c.ResumeQube(ctx, "work")) },
		reply: []any{[]string{"w"}}, want: []any{[]string{"w"}, nil}},
	"Request.GetDifference": {do: func(ctx context.Context, c *Client) []any { return list(c.Difference(ctx, 7)) },
		reply: []any{true, "-a\n"}, want: []any{"-a\n", true, nil}},
	"Request.GetScript": {do: func(ctx context.Context, c *Client) []any {
		return list(c.RequestBytes(ctx, Request{Number: 7, StdinSize: -1}))
	}, reply: []any{[]byte("abc")}, want: []any{[]byte("abc"), []byte(nil), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", nil}},
	"Request.GetStdin": {do: func(ctx context.Context, c *Client) []any {
		script, stdin, hash, err := c.RequestBytes(ctx, Request{Number: 7, StdinSize: 2})
		return []any{script, stdin, hash == queue.HashOf(queue.SumOf([]byte("abc")), queue.SumOf([]byte("in"))), err}
	}, args: []any{uint64(0)}, reply: []any{[]byte("in")}, want: []any{[]byte("abc"), []byte("in"), true, nil}},
	"Request.Approve": {do: func(ctx context.Context, c *Client) []any {
		return []any{c.Approve(ctx, 7, "aa", Scope{Qube: true, For: time.Minute})}
	}, args: []any{"aa", variants{"qube": godbus.MakeVariant(true), "for": godbus.MakeVariant(uint64(60))}}},
	"Request.Deny": {do: func(ctx context.Context, c *Client) []any { return []any{c.Deny(ctx, 7, true)} },
		args: []any{variants{"until-reboot": godbus.MakeVariant(true)}}},
	"Qube.QueueStatus": {do: func(ctx context.Context, c *Client) []any { return list(c.QueueStatus(ctx, "work")) },
		reply: []any{uint32(1), uint32(2), uint32(3), "n"}, want: []any{QueueStatus{1, 2, 3, "n"}, nil}},
	"Qube.QueueEntries": {do: func(ctx context.Context, c *Client) []any { return list(c.QueueEntries(ctx, "work")) },
		reply: []any{[]entryRow{{"results", "f", 9, 60, "exit"}}, uint64(1), "n"},
		want:  []any{[]QueueEntry{{"results", "f", 9, time.Minute, "exit"}}, uint64(1), "n", nil}},
	"Qube.CleanQueue": {do: func(ctx context.Context, c *Client) []any { return list(c.CleanQueue(ctx, "work", true)) },
		args: []any{true}, reply: []any{[]string{"f"}, uint32(2), "n"}, want: []any{[]string{"f"}, uint32(2), "n", nil}},
	"Qube.RecoverQueue": {do: func(ctx context.Context, c *Client) []any { return list(c.RecoverQueue(ctx, "work")) },
		reply: []any{[]string{"f"}, uint32(2), "n"}, want: []any{[]string{"f"}, uint32(2), "n", nil}},
}

type commandRow struct {
	Number          uint64
	Qube, ID, State string
	Taken, Started  uint64
}

type approvalRow struct {
	Number      uint64
	Qube, Hash  string
	Left, Count uint64
	Who, Way    string
}

type spanRow struct {
	Begin  uint64
	Counts map[string]uint32
}

type entryRow struct {
	Folder, Name string
	Size, Age    uint64
	Word         string
}

var testKey = func() queue.Key {
	k, err := queue.ParseKey([]byte("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"))
	if err != nil {
		panic(err)
	}
	return k
}()

func list(values ...any) []any { return values }

func none(method func(*Client, context.Context) error) func(context.Context, *Client) []any {
	return func(ctx context.Context, c *Client) []any { return []any{method(c, ctx)} }
}

// TestEveryMethodHasItsCall: what the XML describes can be called, with its
// types, on its object, and its answer arrives whole.
func TestEveryMethodHasItsCall(t *testing.T) {
	t.Parallel()
	c, f := serve(t)
	for iface, of := range map[string]struct {
		path   godbus.ObjectPath
		prefix string
	}{ManagerInterface: {path: ManagerPath}, QubeInterface: {QubePath("work"), "Qube."}, RequestInterface: {RequestPath(7), "Request."}} {
		for _, m := range methodsOf(iface) {
			want, ok := calls[of.prefix+m.Name]
			if !ok {
				t.Errorf("%s.%s has no call in this table", iface, m.Name)
				continue
			}
			f.reply(m.Name, want.reply...) // also nothing, after another interface's method of that name
			if want.want == nil {
				want.want = []any{nil}
			}
			if got := want.do(context.Background(), c); !cmp.Equal(got, want.want) {
				t.Errorf("%s:\n%s", m.Name, cmp.Diff(want.want, got))
			}
			got := slices.DeleteFunc(f.got(m.Name), func(a asked) bool { return a.Path != of.path })
			if len(got) != 1 {
				t.Errorf("%s.%s was called %d times on its object: %v", iface, m.Name, len(got), f.got(m.Name))
				continue
			}
			if want.args != nil && !reflect.DeepEqual(got[0].Args, want.args) {
				t.Errorf("%s was called with %v, not %v", m.Name, got[0].Args, want.args)
			}
		}
	}
}

func TestStateIsRead(t *testing.T) {
	t.Parallel()
	c, f := serve(t)
	f.has(running, work, personal)
	f.on("GetAll", func(a asked) ([]any, error) {
		if a.Path == ManagerPath {
			return []any{properties(t, ManagerInterface, &running)}, nil
		}
		return []any{properties(t, QubeInterface, &work)}, nil
	})
	m, qubes, err := c.Status(context.Background())
	if err != nil || !cmp.Equal(m, running) || !cmp.Equal(qubes, []Qube{personal, work}) {
		t.Errorf("all: %+v, %+v, %v", m, qubes, err)
	}
	if m, err := c.ReadManager(context.Background()); err != nil || !cmp.Equal(m, running) {
		t.Errorf("the service: %+v, %v", m, err)
	}
	if q, err := c.ReadQube(context.Background(), "work"); err != nil || q != work {
		t.Errorf("a qube: %+v, %v", q, err)
	}
	if _, err := c.ReadQube(context.Background(), "not/a qube"); !errors.Is(err, Err(InvalidArgument)) {
		t.Errorf("what is no qube: %v", err)
	}
}

func TestKeysGoThroughPipes(t *testing.T) {
	t.Parallel()
	c, f := serve(t)
	texts := make(chan string, 1)
	read := func(a asked) ([]any, error) {
		pipe := os.NewFile(uintptr(a.Args[1].(godbus.UnixFD)), "key")
		defer pipe.Close()
		text, err := io.ReadAll(pipe) // ends: nobody else holds the other end
		texts <- string(text)
		return []any{"aa", []string{}}, err
	}
	f.on("AuthorizeQube", read)
	f.on("RotateKey", read)
	for name, call := range map[string]func() error{
		"AuthorizeQube": func() error {
			_, _, err := c.AuthorizeQube(context.Background(), "work", testKey, Options{})
			return err
		},
		"RotateKey": func() error {
			_, _, err := c.RotateKey(context.Background(), "work", testKey)
			return err
		},
	} {
		if err := call(); err != nil {
			t.Errorf("%s: %v", name, err)
		} else if text := <-texts; text != string(testKey.Reveal())+"\n" {
			t.Errorf("%s: the service read %q", name, text)
		}
	}
	if _, _, err := c.RotateKey(context.Background(), "work", queue.Key{}); err == nil {
		t.Error("no key at all was sent")
	}
}
