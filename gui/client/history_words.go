//go:build gtk

package client

import (
	"time"

	"qvmremote/client"
	"qvmremote/gui/say"
	"qvmremote/queue"
	"qvmremote/ui"
	"qvmremote/ui/i18n"
)

// pastMoment is the row of a past command.
func pastMoment(p client.Past) ui.Moment {
	l := pastLook(p)
	m := ui.Moment{Icon: l.Icon, Word: l.Word, Tone: string(l.Tone), Text: p.Command, Command: true}
	if !p.Issued.IsZero() {
		m.Time = p.Issued.Local().Format("15:04:05")
	}
	if m.Text == "" {
		m.Text, m.Command = p.ID, false
	}
	return m
}

// dayOf is the heading of an entry's day.
func dayOf(e client.Entry) string {
	day, err := time.ParseInLocation(time.DateOnly, e.Day, time.Local)
	if err != nil {
		return e.Day
	}
	return say.Day(day.Add(12 * time.Hour))
}

// pastLook is how it ended, as far as dom0 signed that.
func pastLook(p client.Past) say.Look {
	l := endLook(p)
	switch {
	case p.State == "" || p.Signed:
	case p.Legacy:
		l.Word = i18n.T("%s, unsigned", l.Word)
	default:
		l = say.As("qr-info-symbolic", i18n.T("%s, unverified", l.Word), say.Warn)
	}
	return l
}

func endLook(p client.Past) say.Look {
	switch {
	case p.State == queue.StateExit && p.Exit == 0:
		return say.As("qr-done-symbolic", i18n.T("done"), say.Good)
	case p.State == queue.StateExit:
		return say.As("qr-failed-symbolic", i18n.T("exit %d", p.Exit), say.Bad)
	case p.State == queue.StateTimeout:
		return say.As("qr-timeout-symbolic", i18n.T("timed out"), say.Warn)
	case p.State == queue.StateDenied:
		return say.As("qr-denied-symbolic", i18n.T("denied"), say.Bad)
	case p.State == queue.StateCancelled:
		return say.As("qr-cancelled-symbolic", i18n.T("cancelled"), say.Quiet)
	case p.State == queue.StateInterrupted:
		return say.As("qr-interrupted-symbolic", i18n.T("interrupted"), say.Warn)
	case p.Damaged:
		return say.As("qr-failed-symbolic", i18n.T("damaged"), say.Warn)
	case p.Over:
		return say.As("qr-stopped-symbolic", i18n.T("no answer"), say.Quiet)
	}
	return say.As("qr-waiting-symbolic", i18n.T("no answer yet"), say.Accent)
}

// trustWords say how far a result can be believed.
func trustWords(d *client.Detail) string {
	switch {
	case d.Trust == client.Verified:
		return i18n.T("Verified: dom0 signed it for exactly this command.")
	case d.Trust == client.Unsigned && d.Legacy:
		return i18n.T("Unsigned: it was answered by version 1, which signs nothing.")
	case d.Trust == client.Unsigned:
		return i18n.T("Unsigned: dom0 has no key for this qube, or somebody else wrote this denial.")
	case d.Trust == client.Unverified:
		return i18n.T("Unverified: it is not what dom0 signed with a key that is still here.")
	}
	return i18n.T("There is no answer.")
}
