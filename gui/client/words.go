//go:build gtk

package client

import (
	"strings"

	"qvmremote/client"
	"qvmremote/client/standing"
	"qvmremote/gui/say"
	"qvmremote/queue"
	"qvmremote/ui/i18n"
)

// linkLook is how it is shown whether dom0 looks into the queue.
func linkLook(s standing.Standing) say.Look {
	switch {
	case s.Trouble != nil:
		return say.As("qr-failed-symbolic", i18n.T("Queue cannot be used"), say.Bad)
	case !s.HasKey():
		return say.As("qr-key-symbolic", i18n.T("No key"), say.Warn)
	case s.Connected:
		return say.As("qr-done-symbolic", i18n.T("Connected to dom0"), say.Good)
	case s.Legacy:
		return say.As("qr-info-symbolic", i18n.T("Version 1: it cannot be seen"), say.Quiet)
	}
	return say.As("qr-offline-symbolic", i18n.T("Not connected"), say.Quiet)
}

// commands is a number of them.
func commands(n int) string { return i18n.N(n, "%d command", "%d commands", n) }

// reasonOf is why dom0 denied a command: its sentence, in the person's language
// where it is the contract's, with whatever dom0 says beyond that.
func reasonOf(o client.Outcome) string {
	why := o.Sentence
	if known := o.Reason.Sentence(); strings.HasPrefix(why, known) {
		why = i18n.Known(known) + why[len(known):]
	}
	return say.Sentence(queue.Plain(why, 500))
}
