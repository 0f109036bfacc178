//go:build gtk

package client

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"sync/atomic"

	"github.com/diamondburned/gotk4/pkg/gtk/v4"

	"qvmremote/client/transfer"
	"qvmremote/gui/say"
	"qvmremote/ui"
	"qvmremote/ui/i18n"
)

// moving is one transfer, under way or over.
type moving struct {
	files       *files
	way         direction
	here, there string
	title       string
	scope       *ui.Scope
	run         *ui.Scope // while it is under way

	row    ui.Row
	icon   *gtk.Image
	bar    *gtk.ProgressBar
	cancel *gtk.Button
}

func newMoving(f *files, d direction, here, there string) *moving {
	m := &moving{files: f, way: d, here: here, there: there, scope: ui.NewScope(f.scope), row: ui.NewRow(), icon: gtk.NewImage(),
		bar: gtk.NewProgressBar(), cancel: gtk.NewButtonWithLabel(i18n.T("Cancel"))}
	m.title = i18n.C("a file and where it goes", "%s to %s", filepath.Base(here), there)
	if d.fetches {
		m.title = i18n.C("a file and where it goes", "%s to %s", there, filepath.Base(here))
	}
	m.bar.SetVAlign(gtk.AlignCenter)
	m.bar.SetSizeRequest(90, -1)
	m.cancel.SetVAlign(gtk.AlignCenter)
	ui.Name(m.cancel, i18n.T("Cancel: %s", m.title))
	m.row.AddPrefix(m.icon)
	m.row.AddSuffix(m.bar)
	m.row.AddSuffix(m.cancel)
	m.scope.Bind(m.cancel, m.cancel.ConnectClicked(func() {
		m.cancel.SetSensitive(false)
		m.show("qr-waiting-symbolic", "quiet", i18n.T("Cancelling"))
		if m.run != nil {
			m.run.Close()
		}
	}))
	return m
}

// start moves the file. What is under way when it is given up is cancelled in
// dom0 as well, for which nobody waits here.
func (m *moving) start(replace bool) {
	m.run = ui.NewScope(m.scope)
	ctx := m.run.Context()
	m.show("qr-waiting-symbolic", "quiet", i18n.T("Beginning"))
	var busy atomic.Bool
	t := &transfer.Transfer{Client: m.files.queue, Overwrite: replace, Progress: func(p transfer.Progress) {
		if !busy.CompareAndSwap(false, true) && p.Phase == transfer.Moving {
			return // one is on its way already
		}
		ui.Soon(m.scope, func() {
			busy.Store(false)
			if m.run != nil && ctx.Err() == nil {
				m.progress(p)
			}
		})
	}}
	from, to := m.here, m.there
	if m.way.fetches {
		from, to = to, from
	}
	ui.Async(m.scope, func(context.Context) func() {
		r, err := m.way.move(t, ctx, from, to)
		return func() { m.end(r, err) }
	})
}

func (m *moving) show(icon, tone, text string) {
	m.icon.SetFromIconName(icon)
	ui.SetTone(m.icon, tone)
	m.row.Set(m.title, text)
}

func (m *moving) progress(p transfer.Progress) {
	part, far := 0.0, ""
	if p.Size > 0 {
		part = float64(p.Done) / float64(p.Size)
		far = i18n.T("%s of %s", say.Size(uint64(p.Done)), say.Size(uint64(p.Size)))
	}
	m.bar.SetFraction(part)
	ui.Name(m.bar, i18n.T("Progress: %s", far))
	switch p.Phase {
	case transfer.Summing:
		m.show("qr-running-symbolic", "accent", i18n.T("Reading the whole file for its checksum %s", far))
	case transfer.Approval:
		m.show("qr-requests-symbolic", "warn", i18n.T("Waits for approval in dom0")+" · "+far)
	case transfer.Waiting:
		m.show("qr-waiting-symbolic", "warn", i18n.T("dom0 takes no more requests in this minute; it waits")+" · "+far)
	default:
		m.show("qr-running-symbolic", "accent", far)
	}
}

// end shows how it ended.
func (m *moving) end(r transfer.Result, err error) {
	m.run.Close()
	m.run = nil
	m.bar.SetVisible(false)
	m.cancel.SetVisible(false)
	m.files.report()
	icon, tone, text := ending(m.way.fetches, r, err)
	m.show(icon, tone, text)
	switch said := say.Sentence(moved(m.way.fetches, err)); { // its row may be out of sight
	case err == nil:
		m.files.toast(said)
	case !errors.Is(err, context.Canceled): // whoever cancelled it knows
		m.files.toast(said + " " + say.Sentence(text))
	}
	m.files.app.tellMoved(m.way.fetches, err)
	if err != nil {
		m.files.bell.Ring()
	}
	m.files.tidy(m.files.scope)
}

// ending is how a transfer is shown that has ended.
func ending(fetches bool, r transfer.Result, err error) (icon, tone, text string) {
	switch {
	case err == nil:
		return "qr-done-symbolic", "good", i18n.T("Arrived whole: %s, SHA-256 %s", say.Size(uint64(r.Size)), r.SHA256)
	case errors.Is(err, transfer.ErrUnderWay) && fetches: // what comes late is not put together any more
		return "qr-cancelled-symbolic", "warn", i18n.T("Cancelled here. dom0 may still send the last piece, of which nothing is made.")
	case errors.Is(err, transfer.ErrUnderWay): // before what gave it up, which is in it too
		return "qr-cancelled-symbolic", "warn", i18n.T("Cancelled here. The last piece may still be under way in dom0, and may put the file in its place.")
	case errors.Is(err, context.Canceled):
		return "qr-cancelled-symbolic", "quiet", i18n.T("Cancelled. The same transfer goes on from here within a week.")
	case errors.Is(err, fs.ErrExist):
		return "qr-failed-symbolic", "warn", i18n.T("There is a file of that name already, which was left as it is. To replace it, switch that on.")
	}
	return "qr-failed-symbolic", "bad", sentence(err)
}
