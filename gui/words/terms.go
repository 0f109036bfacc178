package words

import (
	"strings"
	"time"

	"qvmremote/dbus"
	"qvmremote/gui/say"
	"qvmremote/queue"
	"qvmremote/ui/i18n"
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
		{i18n.T("Ask me about each"), i18n.T("Nothing runs before you have seen and approved it."), "ask", has},
		{i18n.T("Allow all, unasked"), i18n.T("Whatever it asks runs as root in dom0, and nobody is asked."), "allow", has},
		{i18n.T("Deny all"), i18n.T("Nothing runs until it is given other rules."), "deny", has},
	}
	if has {
		keep := RulesOffer{i18n.T("As its rules say"), i18n.T("The rules that it has stay as they are."), "", false}
		offers = append([]RulesOffer{keep}, offers...)
	}
	return offers
}

// LimitOffers are for how long a key may count; the first is what is proposed.
var LimitOffers = []struct {
	Label string
	dbus.Limit
}{
	{i18n.T("Until it is revoked"), dbus.Limit{}},
	{i18n.T("For an hour"), dbus.Limit{For: time.Hour}},
	{i18n.T("For eight hours"), dbus.Limit{For: 8 * time.Hour}},
	{i18n.T("Until reboot"), dbus.Limit{UntilReboot: true}},
}

// Rules says what there is of a qube's policy.
func Rules(q dbus.Qube) string {
	switch q.Rules {
	case "good":
		return i18n.T("What it asks is held against them, the first that matches counts")
	case "none":
		return i18n.T("There are none, so each request is denied")
	case "broken":
		return i18n.T("There is an error in them, so each request is denied")
	}
	return queue.Escape(q.Rules, 40)
}

// Grant says for how long a qube's key counts.
func Grant(q dbus.Qube) string {
	if q.GrantEnded {
		return i18n.T("No more: what it was authorised for is over, and each request is denied")
	}
	var parts []string
	switch {
	case !q.GrantUntil.IsZero():
		parts = append(parts, i18n.T("until %s", say.When(q.GrantUntil)))
	case q.GrantUntilReboot:
		parts = append(parts, i18n.T("until dom0 reboots"))
	}
	if q.GrantCount > 0 {
		parts = append(parts, i18n.N(int(q.GrantCount), "for %d more of %d command", "for %d more of %d commands", q.GrantLeft, q.GrantCount))
	}
	if len(parts) == 0 {
		return i18n.T("Until it is revoked")
	}
	text := strings.Join(parts, ", ")
	return say.Capital(text)
}

// Suspended says why nothing of a qube is taken.
func Suspended(q dbus.Qube) string {
	return i18n.T("Since %s: too many of its requests were not signed with its key. Nothing of it is taken until you resume it.", say.When(q.SuspendedAt))
}
