//go:build gtk

package client

import (
	"strings"

	"qvmremote/ui"
	"qvmremote/ui/i18n"
)

// unfinished is what has not ended, and is spoken of before the window closes.
type unfinished struct {
	commands, transfers, saves int
	export                     bool
}

func (w *window) unfinished() (u unfinished) {
	if r, ok := w.pages["run"].(*runPage); ok {
		u.commands, u.saves = r.running(), r.saves
	}
	if f, ok := w.pages["files"].(*files); ok {
		u.transfers = f.moving()
	}
	if h, ok := w.pages["history"].(*history); ok {
		u.export = h.export.running != nil
	}
	return u
}

// question says what becomes of it.
func (u unfinished) question() ui.Question {
	q := ui.Question{Heading: i18n.T("Close before all has ended?"), Action: i18n.T("Close")}
	var parts []string
	if u.commands > 0 {
		parts = append(parts, stillRunning(u.commands))
	}
	if u.transfers > 0 {
		parts = append(parts, i18n.N(u.transfers, "Closing stops %d transfer.", "Closing stops %d transfers.", u.transfers),
			i18n.T("What is moved again within a week goes on from where it is."))
	}
	if u.saves > 0 {
		parts = append(parts, i18n.T("Output that is being saved is not written to its file."))
	}
	if u.export {
		parts = append(parts, i18n.T("The export under way is given up."))
	}
	if u.commands > 0 && u.transfers == 0 && u.saves == 0 && !u.export {
		q.Heading = i18n.T("Close while commands run?")
	}
	q.Body = strings.Join(parts, " ")
	return q
}
