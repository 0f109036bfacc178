package words

import (
	"fmt"
	"strings"
	"time"

	"qvmremote/dbus"
	"qvmremote/gui/say"
	"qvmremote/queue"
)

// RulesOffer is what a qube may do once it is authorised.
type RulesOffer struct {
	Label, Meaning string
	Policy         string // as the service has it, "" to leave what there is
	Replace        bool   // the rules that there are
}

// RulesOffers are those to choose from, for a qube that has rules or has none;
// the first is what is proposed.
func RulesOffers(has bool) []RulesOffer {
	offers := []RulesOffer{
		{"Ask me about each", "Nothing runs before you have seen and approved it.", "ask", has},
		{"Allow all, unasked", "Whatever it asks runs as root in dom0, and nobody is asked.", "allow", has},
		{"Deny all", "Nothing runs until it is given other rules.", "deny", has},
	}
	if has {
		keep := RulesOffer{"As its rules say", "The rules that it has stay as they are.", "", false}
		offers = append([]RulesOffer{keep}, offers...)
	}
	return offers
}

// LimitOffers are for how long a key may count; the first is what is proposed.
var LimitOffers = []struct {
	Label string
	dbus.Limit
}{
	{"Until it is revoked", dbus.Limit{}},
	{"For an hour", dbus.Limit{For: time.Hour}},
	{"For eight hours", dbus.Limit{For: 8 * time.Hour}},
	{"Until reboot", dbus.Limit{UntilReboot: true}},
}

// Rules says what there is of a qube's policy.
func Rules(q dbus.Qube) string {
	switch q.Rules {
	case "good":
		return "What it asks is held against them, the first that matches counts"
	case "none":
		return "There are none, so each request is denied"
	case "broken":
		return "There is an error in them, so each request is denied"
	}
	return queue.Escape(q.Rules, 40)
}

// Grant says for how long a qube's key counts.
func Grant(q dbus.Qube) string {
	if q.GrantEnded {
		return "No more: what it was authorised for is over, and each request is denied"
	}
	var parts []string
	switch {
	case !q.GrantUntil.IsZero():
		parts = append(parts, "until "+say.When(q.GrantUntil))
	case q.GrantUntilReboot:
		parts = append(parts, "until dom0 reboots")
	}
	if q.GrantCount > 0 {
		parts = append(parts, fmt.Sprintf("for %d more of %s", q.GrantLeft, say.Count(q.GrantCount, "command")))
	}
	if len(parts) == 0 {
		return "Until it is revoked"
	}
	text := strings.Join(parts, ", ")
	return strings.ToUpper(text[:1]) + text[1:]
}

// Suspended says why nothing of a qube is taken.
func Suspended(q dbus.Qube) string {
	return "Since " + say.When(q.SuspendedAt) + ": too many of its requests were not signed with its key. Nothing of it is taken until you resume it."
}
