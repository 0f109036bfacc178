package gate

import (
	"context"
	"crypto/rand"
	"time"

	godbus "github.com/godbus/dbus/v5"
)

// polkit's authority, as its specification names it.
const (
	polkitName      = "org.freedesktop.PolicyKit1"
	polkitPath      = godbus.ObjectPath("/org/freedesktop/PolicyKit1/Authority")
	polkitInterface = "org.freedesktop.PolicyKit1.Authority"
)

// allowInteraction is CheckAuthorization's flag that lets polkit ask somebody
// for a password. Without it polkit answers by itself.
const allowInteraction uint32 = 1

// subject is CheckAuthorization's (sa{sv}).
type subject struct {
	Kind    string
	Details map[string]godbus.Variant
}

// ask puts one question to polkit. Only the bus can say who owns polkit's name,
// and it lets nobody else answer the question.
func (g *Gate) ask(parent context.Context, action string, c Caller) error {
	if err := parent.Err(); err != nil {
		return gone(action, err)
	}
	if !g.enter(c.Sender) {
		return busy(action)
	}
	defer g.leave(c.Sender)

	wait, flags := g.limits.quiet, uint32(0)
	if c.Interactive {
		wait, flags = g.limits.interactive, allowInteraction
	}
	ctx, end := context.WithTimeout(parent, wait)
	defer end()
	who := subject{"system-bus-name", map[string]godbus.Variant{"name": godbus.MakeVariant(c.Sender)}}
	question := rand.Text() // names it for cancelling
	call := g.authority().CallWithContext(ctx, polkitInterface+".CheckAuthorization", 0,
		who, action, map[string]string{}, flags, question)

	if ctx.Err() != nil {
		g.cancel(question)
		return g.unanswered(parent, action, c, wait)
	}
	if call.Err != nil {
		return noPolkit(action, call.Err)
	}
	return judge(action, c, call.Body)
}

func (g *Gate) authority() godbus.BusObject {
	return g.conn.Object(polkitName, polkitPath)
}

// cancel takes a question back, so that no password dialog stays open for a
// call that is over. It waits for no answer, but may start polkit: where polkit
// is just being started the question waits before it, and reaches it still.
func (g *Gate) cancel(question string) {
	g.authority().Call(polkitInterface+".CancelCheckAuthorization", godbus.FlagNoReplyExpected, question)
}

// unanswered says why a question ended without an answer.
func (g *Gate) unanswered(parent context.Context, action string, c Caller, wait time.Duration) error {
	if err := parent.Err(); err != nil {
		return gone(action, err)
	}
	if c.Interactive {
		return noPassword(action, wait)
	}
	return noPolkit(action, context.DeadlineExceeded)
}

// judge turns polkit's answer into a decision: nil for an answer of exactly
// the type (bba{ss}) that begins with true, and for nothing else.
func judge(action string, c Caller, body []any) error {
	authorized, challenge, details, ok := answer(body)
	switch {
	case !ok:
		return nonsense(action)
	case authorized:
		return nil
	case details["polkit.dismissed"] != "":
		return dismissed(action)
	case challenge:
		return passwordNeeded(action, c.Interactive)
	default:
		return refused(action)
	}
}

// answer takes a message's body apart. Assertions of exact types, because a
// decoder that converts might make a yes of something else.
func answer(body []any) (authorized, challenge bool, details map[string]string, ok bool) {
	if len(body) != 1 {
		return false, false, nil, false
	}
	fields, ok := body[0].([]any) // how godbus gives a struct
	if !ok || len(fields) != 3 {
		return false, false, nil, false
	}
	authorized, ok1 := fields[0].(bool)
	challenge, ok2 := fields[1].(bool)
	details, ok3 := fields[2].(map[string]string)
	if !ok1 || !ok2 || !ok3 {
		return false, false, nil, false
	}
	return authorized, challenge, details, true
}

// enter counts a question of sender, unless that would be one too many.
func (g *Gate) enter(sender string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.askingAll >= g.limits.inAll || g.asking[sender] >= g.limits.perSender {
		return false
	}
	g.askingAll++
	g.asking[sender]++
	return true
}

func (g *Gate) leave(sender string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.askingAll--
	if g.asking[sender]--; g.asking[sender] == 0 {
		delete(g.asking, sender)
	}
}
