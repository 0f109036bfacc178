//go:build gtk

package client

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"qvmremote/client"
	"qvmremote/gui/say"
	"qvmremote/queue"
	"qvmremote/ui"
	"qvmremote/ui/i18n"
)

// show shows how far the command is, and what can be done.
func (t *task) show() {
	busy := t.busy()
	t.Run.SetSensitive(!busy && t.rearm == nil && t.usable() && strings.TrimSpace(t.script()) != "")
	t.Cancel.SetSensitive(busy && !t.asked)
	t.Editor.SetEditable(!busy)
	t.Timeout.SetSensitive(!busy)
	t.Input.SetSensitive(!busy)
	t.NoInput.SetSensitive(!busy)
	t.Copy.SetSensitive(strings.TrimSpace(t.script()) != "")
	if t.tab != nil {
		t.tab.SetLoading(busy)
	}
	if !t.begun() {
		t.Result.SetVisibleChildName("none")
		return
	}
	t.Result.SetVisibleChildName("one")
	l, detail := t.progress.words(t.asked, t.now.Connected, time.Now())
	t.Icon.SetFromIconName(l.Icon)
	ui.SetTone(t.Icon, string(l.Tone))
	t.State.SetText(l.Word)
	ui.SetText(t.Detail, detail, 600)
	t.Detail.SetVisible(detail != "")
	word, tone := t.progress.trust(t.stream.Len() > 0)
	t.trust.Set(word, tone)
	t.Tools.SetVisible(t.ticket != nil)
}

// words are the state, and what there is to say of it.
func (p progress) words(asked, connected bool, now time.Time) (say.Look, string) {
	look, detail := p.state(connected, now)
	switch {
	case p.phase >= ended:
	case asked:
		look = say.As("qr-waiting-symbolic", i18n.T("Cancelling"), say.Warn)
	case p.unsure:
		look = say.As("qr-waiting-symbolic", i18n.T("Cancelling, not confirmed"), say.Warn)
	}
	if p.note != "" && p.phase < ended {
		detail = strings.TrimSpace(p.note + " " + detail)
	}
	return look, detail
}

func (p progress) state(connected bool, now time.Time) (say.Look, string) {
	if was := p.phase.inDom0(); was != "" && !connected {
		return say.As("qr-offline-symbolic", was, say.Warn), i18n.T("What became of it is known once dom0 looks into this queue again.")
	}
	lasts := i18n.T("For %s so far.", say.Duration(now.Sub(p.since).Truncate(time.Second)))
	switch p.phase {
	case sending:
		return say.As("qr-waiting-symbolic", i18n.T("Sending"), say.Quiet), ""
	case queued:
		if !connected {
			return say.As("qr-waiting-symbolic", i18n.T("Queued"), say.Warn),
				i18n.T("dom0 does not look into this queue now. The request waits for five minutes and is withdrawn then.")
		}
		return say.As("qr-waiting-symbolic", i18n.T("Queued"), say.Quiet), i18n.T("dom0 has not taken it yet.")
	case taken:
		return say.As("qr-waiting-symbolic", i18n.T("Queued in dom0"), say.Quiet), i18n.T("It waits for its turn.")
	case approval:
		return say.As("qr-requests-symbolic", i18n.T("Waiting for approval"), say.Warn), i18n.T("Somebody in dom0 is asked.") + " " + lasts
	case running:
		return say.As("qr-running-symbolic", i18n.T("Running"), say.Accent), lasts
	case broken:
		return brokenWords(p.err, p.sent)
	}
	return outcomeWords(p.outcome)
}

// inDom0 is what a command did in dom0 when that was last seen, "" where it was
// not there.
func (p phase) inDom0() string {
	switch p {
	case taken:
		return i18n.T("Was queued in dom0 when dom0 was last connected")
	case approval:
		return i18n.T("Was waiting for approval when dom0 was last connected")
	case running:
		return i18n.T("Was running when dom0 was last connected")
	}
	return ""
}

// brokenWords are for a command without an outcome that can be believed. sent is
// its id, where it was sent.
func brokenWords(err error, sent string) (say.Look, string) {
	word := i18n.T("Not sent")
	switch {
	case errors.Is(err, client.ErrBadResult):
		word = i18n.T("Unverified: the result cannot be believed")
	case errors.Is(err, client.ErrNotTaken):
		word = i18n.T("Withdrawn")
	case errors.Is(err, client.ErrNoAnswer), errors.Is(err, client.ErrLegacyTimeout):
		word = i18n.T("No answer")
	case errors.Is(err, client.ErrLegacyGone):
		word = i18n.T("Refused")
	case errors.Is(err, client.ErrNotConfirmed):
		return say.As("qr-cancelled-symbolic", i18n.T("Withdrawn, not confirmed"), say.Warn),
			i18n.T("It was taken out of the queue. Should dom0 have taken it just before, it may still run.")
	case sent != "":
		return say.As("qr-failed-symbolic", i18n.T("Lost sight of it: it may still run"), say.Bad), i18n.T("Its id is %s.", sent) + " " + sentence(err)
	case errors.Is(err, context.Canceled):
		return say.As("qr-cancelled-symbolic", i18n.T("Cancelled"), say.Quiet), i18n.T("It was not sent.")
	}
	return say.As("qr-failed-symbolic", word, say.Bad), sentence(err)
}

// outcomeWords are for a command that ended.
func outcomeWords(o client.Outcome) (say.Look, string) {
	var parts []string
	if !o.Started.IsZero() {
		parts = append(parts, i18n.T("It ran for %s, since %s", say.Duration(o.Duration), say.When(o.Started)))
	}
	if o.CutOut > 0 {
		parts = append(parts, i18n.T("dom0 cut standard output after %s", say.Size(uint64(o.CutOut))))
	}
	if o.CutErr > 0 {
		parts = append(parts, i18n.T("dom0 cut standard error after %s", say.Size(uint64(o.CutErr))))
	}
	detail := strings.Join(parts, " · ")
	switch o.State {
	case queue.StateExit:
		if o.Exit == 0 {
			return say.As("qr-done-symbolic", i18n.T("Done: exit 0"), say.Good), detail
		}
		return say.As("qr-failed-symbolic", i18n.T("Failed: exit %d", o.Exit), say.Warn), detail
	case queue.StateTimeout:
		return say.As("qr-timeout-symbolic", i18n.T("Timed out"), say.Warn), detail
	case queue.StateCancelled:
		return say.As("qr-cancelled-symbolic", i18n.T("Cancelled"), say.Quiet), detail
	case queue.StateInterrupted:
		return say.As("qr-interrupted-symbolic", i18n.T("Interrupted"), say.Warn), strings.TrimSpace(i18n.T("dom0 stopped meanwhile.") + " " + detail)
	case queue.StateDenied:
		return say.As("qr-denied-symbolic", i18n.T("Denied: %s", queue.Escape(string(o.Reason), 40)), say.Bad), reasonOf(o)
	}
	return say.As("qr-info-symbolic", queue.Escape(string(o.State), 40), say.Quiet), detail
}

// trust says how far what is shown can be believed; "" where there is nothing.
func (p progress) trust(output bool) (word, tone string) {
	switch {
	case p.phase == broken && errors.Is(p.err, client.ErrBadResult):
		return i18n.T("unverified"), string(say.Bad)
	case p.phase == broken && output:
		return i18n.T("unverified"), string(say.Warn)
	case p.phase == ended && p.outcome.Signed:
		return i18n.T("verified"), string(say.Good)
	case p.phase == ended:
		return i18n.T("not signed"), string(say.Warn)
	case output:
		return i18n.T("not verified yet"), string(say.Quiet)
	}
	return "", ""
}

// commandLine is what does the same in a terminal.
func commandLine(script string, timeout int, input string) string {
	words := []string{"qvm-remote", "-t", fmt.Sprint(timeout)}
	if input != "" {
		words = append(words, "--stdin")
	}
	line := client.Quote(append(words, "--", script))
	if input != "" {
		line += " < " + client.Quote([]string{input})
	}
	return line
}
