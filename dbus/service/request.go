package service

import (
	"bytes"
	"context"
	"strings"

	godbus "github.com/godbus/dbus/v5"
	"github.com/rogpeppe/go-internal/diff"

	"qvmremote/daemon"
	"qvmremote/daemon/approval"
	"qvmremote/dbus"
	"qvmremote/queue"
)

// request has one Go method for each of org.qvmremote1.Request, and no other.
// The request is the one whose object was called.
type request struct{ s *Service }

// at is the executor, and the number of the request whose object was called.
func (r request) at(c caller) (*daemon.Executor, int64, error) {
	number, ok := dbus.RequestNumber(c.path)
	x := r.s.executor.Load()
	if !ok || x == nil || number > 1<<62 {
		return nil, 0, fail(dbus.NoSuchRequest, "no request waits for approval at %s", clip(string(c.path)))
	}
	return x, int64(number), nil
}

// GetScript is the whole script.
func (r request) GetScript(_ context.Context, c caller) ([]byte, error) {
	x, number, err := r.at(c)
	if err != nil {
		return nil, err
	}
	return x.RequestScript(number)
}

// GetStdin is a piece of the input.
func (r request) GetStdin(_ context.Context, c caller, offset uint64) ([]byte, error) {
	x, number, err := r.at(c)
	if err != nil {
		return nil, err
	}
	piece, err := x.RequestStdin(number, int64(min(offset, 1<<62)))
	if piece == nil {
		piece = []byte{}
	}
	return piece, err
}

// GetDifference compares the request with the one that was last approved.
func (r request) GetDifference(_ context.Context, c caller) (bool, string, error) {
	x, number, err := r.at(c)
	if err != nil {
		return false, "", err
	}
	script, err := x.RequestScript(number)
	if err != nil {
		return false, "", err
	}
	stdin, err := x.RequestStdinSum(number)
	if err != nil {
		return false, "", err
	}
	qube := r.s.objects.now.Load().requests[uint64(number)]["Qube"]
	name, _ := qube.(string)
	last, known := x.LastApproved(name)
	if !known {
		return false, "", nil
	}
	return true, difference(last, script, stdin), nil
}

// difference is "" for the very same bytes only. What a diff does not show comes
// last, where none of its lines looks like it.
func difference(last daemon.Approved, script []byte, stdin queue.Sum) string {
	d := string(diff.Diff("approved", escapeLines(last.Script), "asked", escapeLines(script)))
	if was, is := ended(last.Script), ended(script); was != is {
		d += "its last line was " + was + " and is " + is + "\n"
	}
	if last.Stdin != stdin {
		d += "its input was " + last.Stdin.String() + " and is " + stdin.String() + "\n"
	}
	return d
}

func ended(script []byte) string {
	if bytes.HasSuffix(script, []byte("\n")) {
		return "ended"
	}
	return "not ended by a newline"
}

// escapeLines makes each line of a qube's text fit to be shown.
func escapeLines(text []byte) []byte {
	var b strings.Builder
	for line := range strings.Lines(string(text)) {
		b.WriteString(queue.EscapeASCII(strings.TrimSuffix(line, "\n"), len(line)*10+1) + "\n")
	}
	return []byte(b.String())
}

// Approve lets the request run.
func (r request) Approve(ctx context.Context, c caller, hash string, given map[string]godbus.Variant) error {
	var scope approval.Scope
	var seconds, count uint64
	if err := options(given, map[string]any{"qube": &scope.Qube, "for": &seconds, "count": &count, "until-reboot": &scope.UntilReboot}); err != nil {
		return err
	}
	scope.For, scope.Count = secondsOf(seconds), int64(min(count, 1<<62))
	x, number, err := r.at(c)
	if err != nil {
		return err
	}
	err = x.Approve(ctx, number, hash, scope, c.who, "dbus")
	r.s.objects.refresh(r.s.life)
	return err
}

// Deny denies the request.
func (r request) Deny(_ context.Context, c caller, given map[string]godbus.Variant) error {
	var untilReboot bool
	if err := options(given, map[string]any{"until-reboot": &untilReboot}); err != nil {
		return err
	}
	x, number, err := r.at(c)
	if err != nil {
		return err
	}
	err = x.DenyRequest(number, untilReboot, c.who, "dbus")
	r.s.objects.refresh(r.s.life)
	return err
}

// asking are the properties of what waits for approval, by number.
func asking(questions []approval.Question) map[uint64]properties {
	all := map[uint64]properties{}
	for _, q := range questions {
		all[uint64(q.Number)] = properties{
			"Number": uint64(q.Number), "Qube": q.Qube, "Received": seconds(q.Received), "Expires": seconds(q.Expires), "Sha256": q.Hash,
			"ScriptSize": uint64(q.Script), "StdinSize": q.Stdin, "Rule": place(q.Rule), "Waiting": uint32(q.Waiting),
		}
	}
	return all
}

// place is file and line of a rule: its text stays out of signals.
func place(rule string) string {
	at, _, _ := strings.Cut(rule, ": ")
	return clip(at)
}
