//go:build gtk

package admin

import (
	"qvmremote/dbus"
	"qvmremote/gui/words"
	"qvmremote/ui/i18n"
)

// showBanner says the worst of what needs attention, over every page.
func (w *window) showBanner() {
	text, tone, icon := w.attention()
	w.Attention(text, tone, icon, w.now.Availability == dbus.Available && w.Current() != w.attentionPage())
}

// attentionPage is where one sees more of what the banner says.
func (w *window) attentionPage() string {
	if w.asked() {
		return "requests"
	}
	return "overview"
}

// asked reports whether the banner says that requests wait.
func (w *window) asked() bool { return len(w.now.Requests) > 0 && w.Current() != "requests" }

// showAttention shows what the banner speaks of; of one request, that.
func (w *window) showAttention() {
	if w.asked() && len(w.now.Requests) == 1 {
		w.openRequest(w.now.Requests[0].Number)
		return
	}
	w.Show(w.attentionPage())
}

// attention is what the banner says, "" for nothing.
func (w *window) attention() (text, tone, icon string) {
	s := w.now
	switch {
	case w.States.VisibleChildName() != "content":
		return "", "", ""
	case s.Availability == dbus.Restarting:
		return i18n.T("The service is restarting. What you see is what was known last."), "quiet", "qr-waiting-symbolic"
	}
	// Somebody waits for it, and its time will be over.
	if w.asked() {
		return words.Asks(s.Requests), "warn", "qr-requests-symbolic"
	}
	// The Overview lists them itself.
	if p := words.Worst(s.Manager.Health); p != nil && p.Severity != "info" && w.Current() != "overview" {
		return words.Trouble(*p), words.Severity(p.Severity), "qr-failed-symbolic"
	}
	for _, q := range s.Qubes {
		if q.Legacy {
			return i18n.T("%s uses the first version's protocol, which is not secure.", q.Name), "warn", "qr-failed-symbolic"
		}
	}
	if s.Manager.DryRun {
		return i18n.T("This is a dry run: requests are used up and nothing is started."), "warn", "qr-info-symbolic"
	}
	return "", "", ""
}

// pauseOrGoOn is the key for what the Overview's button does.
func (w *window) pauseOrGoOn() {
	if o, ok := w.page("overview").(*overview); ok && w.usable() {
		o.pauseOrGoOn()
	}
}
