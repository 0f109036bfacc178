package words

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"qvmremote/dbus"
	"qvmremote/gui/say"
	"qvmremote/queue"
	"qvmremote/ui/i18n"
)

// Left is how long something still lasts, to the second.
func Left(until, now time.Time) string {
	left := until.Sub(now).Round(time.Second)
	switch {
	case left <= 0:
		return i18n.T("time is over")
	case left < time.Minute:
		return i18n.T("%d s left", left/time.Second)
	case left < time.Hour:
		return i18n.T("%d:%02d min left", left/time.Minute, left%time.Minute/time.Second)
	}
	return i18n.T("%s left", say.Duration(left))
}

// RequestLine says of a request that waits what its row has room for; script is
// what is known of it, nil for nothing.
func RequestLine(r dbus.Request, script []byte) string {
	line := i18n.T("Open it to see what would run")
	if script != nil {
		line = FirstLine(string(script))
	}
	return line + Behind(r, " · ")
}

// Behind is how many more of the qube wait, after something that parts it from
// what stands before it; "" for none.
func Behind(r dbus.Request, before string) string {
	if r.Waiting == 0 {
		return ""
	}
	return before + i18n.T("%d more of this qube behind it", r.Waiting)
}

// Bytes says how much text there is, and what of it cannot be seen.
func Bytes(text []byte) string {
	lines := bytes.Count(text, []byte("\n"))
	open := len(text) > 0 && text[len(text)-1] != '\n'
	if open {
		lines++
	}
	said := i18n.N(len(text), "%d byte", "%d bytes", len(text)) + " · " + i18n.N(lines, "%d line", "%d lines", lines)
	if open {
		said += " · " + i18n.T("no newline at its end")
	}
	if bytes.ContainsFunc(text, func(r rune) bool { return r > 0x7e }) {
		said += " · " + i18n.T("letters beyond ASCII, which may only look like others")
	}
	return said
}

// ApproveCommand is how one sees and approves a request in a terminal.
func ApproveCommand(r dbus.Request) string {
	return fmt.Sprintf("qvm-remote-dom0 approve %d", r.Number)
}

// RequestFacts are what there is to know of a request beside its bytes; last says
// how it stands to the one that was approved last.
func RequestFacts(r dbus.Request, script, stdin []byte, hash, last string) []Fact {
	facts := []Fact{{i18n.T("SHA-256 of what is shown"), hash, true}, {i18n.T("Size"), Bytes(script), false}}
	if r.StdinSize >= 0 {
		facts[0].Label = i18n.T("SHA-256 of script and input together")
		facts = append(facts, Fact{i18n.T("SHA-256 of the script"), queue.HashOf(queue.SumOf(script), queue.Sum{}), true},
			Fact{i18n.T("SHA-256 of the input"), queue.HashOf(queue.SumOf(stdin), queue.Sum{}), true}, Fact{i18n.T("Size of the input"), Bytes(stdin), false})
	}
	facts = append(facts, Fact{i18n.T("Rule that asks"), queue.Plain(r.Rule, maxLine), false}, Fact{i18n.T("Asked"), say.When(r.Received), false})
	if last != "" {
		facts = append(facts, Fact{i18n.T("Last approved"), last, false})
	}
	if behind := Behind(r, ""); behind != "" {
		facts = append(facts, Fact{i18n.T("Waiting"), behind, false})
	}
	return append(facts, Fact{i18n.T("Number in dom0"), fmt.Sprint(r.Number), false})
}

// LastApproved says how a script stands to the one of its qube that was approved
// last, "" where the difference says it.
func LastApproved(known bool, difference string) string {
	switch {
	case !known:
		return i18n.T("Nothing of this qube since the service started")
	case difference == "":
		return i18n.T("The same script")
	}
	return ""
}

// Change is a difference without the lines that name what is compared.
func Change(difference string) string {
	if i := strings.Index(difference, "\n@@"); i >= 0 {
		return difference[i+1:]
	}
	return difference
}

// Asks names in a sentence who waits for somebody to decide.
func Asks(requests []dbus.Request) string {
	switch len(requests) {
	case 0:
		return ""
	case 1:
		return i18n.T("%s asks to run something in dom0, and waits for you.", queue.Escape(requests[0].Qube, 64))
	}
	return i18n.T("%d qubes ask to run something in dom0, and wait for you.", len(requests))
}
