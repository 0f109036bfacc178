//go:build gtk

package admin

import (
	"context"

	"github.com/diamondburned/gotk4/pkg/gtk/v4"

	"qvmremote/dbus"
	"qvmremote/gui/say"
	"qvmremote/gui/words"
	"qvmremote/ui"
	"qvmremote/ui/i18n"
)

// qubePane is one qube: its key, its commands, its queue, and what can be done
// about it.
type qubePane struct {
	*qubes
	scope *ui.Scope // of the look at this qube
	now   dbus.Qube

	chip                             *ui.Chip
	pill                             ui.Pill
	fingerprint, next, since, looked ui.Row
	last, counts, power, found       ui.Row
	files                            ui.Fold // of the queue
	copy, activity, start, shut      *gtk.Button
	entries                          rows[dbus.QueueEntry]
	asking                           bool
	may                              *qubeMay
	lasting                          *lasting
}

func newQubePane(q *qubes) *qubePane {
	p := &qubePane{qubes: q, scope: ui.NewScope(q.scope), chip: ui.NewChip(), pill: ui.NewPill()}
	p.Head.Append(p.chip)
	p.Head.Append(p.pill)
	p.chip.AddCSSClass("title-2")
	p.chip.SetHExpand(true)
	for _, r := range []*ui.Row{&p.fingerprint, &p.next, &p.since, &p.looked} {
		*r = ui.NewRow()
		r.AddCSSClass("property")
		p.Facts.Add(*r)
	}
	for _, r := range []*ui.Row{&p.last, &p.counts} {
		*r = ui.NewRow()
		r.AddCSSClass("property")
		p.Work.Add(*r)
	}
	p.may = newQubeMay(p)
	p.lasting = newLasting(p)
	p.power, p.found = ui.NewRow(), ui.NewRow()
	p.Power.Add(p.power)
	p.Queue.Add(p.found)
	p.files = ui.NewFold()
	p.Queue.Add(p.files)
	p.entries = rows[dbus.QueueEntry]{group: unfolding{p.files.ExpanderRow}, make: newEntryRow}
	p.copy = ui.NewIconButton("qr-copy-symbolic", i18n.T("Copy the fingerprint"))
	p.fingerprint.AddSuffix(p.copy)
	p.activity = gtk.NewButtonWithLabel(i18n.T("Show all"))
	p.start, p.shut = gtk.NewButtonWithLabel(i18n.T("Start")), gtk.NewButtonWithLabel(i18n.T("Shut down…"))
	for row, buttons := range map[ui.Row][]*gtk.Button{p.last: {p.activity}, p.power: {p.start, p.shut}} {
		for _, b := range buttons {
			b.SetVAlign(gtk.AlignCenter)
			row.AddSuffix(b)
		}
	}
	p.connect()
	return p
}

func newEntryRow() shownRow[dbus.QueueEntry] {
	row := ui.NewRow()
	row.AddCSSClass("dense")
	return shownRow[dbus.QueueEntry]{widget: row, set: func(e dbus.QueueEntry) { row.Set(words.QueueEntry(e)) }}
}

func (p *qubePane) connect() {
	s := p.qubes.scope
	on := func(b *gtk.Button, f func()) { s.Bind(b, b.ConnectClicked(f)) }
	on(p.copy, func() {
		p.copy.Clipboard().SetText(p.now.Fingerprint)
		p.toast(i18n.T("The fingerprint was copied."))
	})
	on(p.activity, func() { p.window.showActivityOf(p.now.Name) })
	on(p.Look, p.look)
	on(p.Clean, p.confirmClean)
	on(p.Recover, p.recover)
	on(p.Revoke, p.confirmRevoke)
	on(p.Disconnect, p.confirmDisconnect)
	on(p.Replace, func() { p.window.authorise(p.now.Name) })
	on(p.start, func() {
		p.do(p.scope, p.start, func(ctx context.Context, c *dbus.Client) error { return c.StartQube(ctx, p.now.Name) }, func(error) {})
	})
	on(p.shut, p.confirmShutDown)
}

// begin is a look at another qube.
func (p *qubePane) begin(name string) {
	p.scope.Close()
	p.scope = ui.NewScope(p.qubes.scope)
	p.asking = false
	for _, b := range []*gtk.Button{p.start, p.shut, p.Clean, p.Recover, p.Revoke, p.Disconnect} {
		b.SetSensitive(true) // whatever was under way for the other one
	}
	p.showFiles(queueFound{})
	p.lasting.begin()
	p.found.Set(i18n.T("Not looked at yet"), "")
	p.now = dbus.Qube{Name: name}
	p.One.VAdjustment().SetValue(0)
}

func (p *qubePane) shown() {}

func (p *qubePane) show(q dbus.Qube) {
	first := p.now.Fingerprint == "" && p.now.PowerState == ""
	p.now = q
	p.chip.Set(q.Name, q.Label)
	look := words.Connection(q)
	p.pill.Set(look.Word, string(look.Tone))
	p.showKey(q)
	p.may.show(q)
	p.last.Set(i18n.T("Last command"), words.LastCommand(p.window.lasts.of(q.Name)))
	p.counts.Set(i18n.T("Since the service started"), words.QubeCounts(q))
	p.power.Set(i18n.T("This qube is %s", words.Power(q.PowerState)), "")
	running := q.PowerState == "Running"
	p.start.SetVisible(!running && q.PowerState != "missing")
	p.shut.SetVisible(running)
	p.QueueButtons.SetSensitive(p.usable())
	if first && running && p.usable() {
		p.look()
	}
	if first {
		p.lasting.look()
	}
}

func (p *qubePane) showKey(q dbus.Qube) {
	key := words.KeyState(q)
	p.fingerprint.Set(i18n.T("Fingerprint"), q.Fingerprint)
	p.copy.SetVisible(q.Fingerprint != "")
	if q.Fingerprint == "" {
		p.fingerprint.Set(i18n.T("Fingerprint"), key)
	}
	p.next.Set(i18n.T("Second key, until it is first used"), q.NextFingerprint)
	p.next.SetVisible(q.NextFingerprint != "")
	p.since.Set(i18n.T("Authorised"), say.When(q.AuthorizedAt))
	p.since.SetVisible(!q.AuthorizedAt.IsZero())
	p.looked.Set(i18n.T("dom0 looks at it"), words.Looked(q))
	hasKey := q.KeyState != "none"
	p.Revoke.SetVisible(hasKey)
	p.Disconnect.SetVisible(hasKey || q.Configured)
}

// queueFound is what lies in the qube's queue.
type queueFound struct {
	status  dbus.QueueStatus
	entries []dbus.QueueEntry
	more    uint64
}

// look asks what lies in the qube's queue; nothing of it is told by itself.
func (p *qubePane) look() {
	if p.asking || !p.usable() {
		return
	}
	p.asking = true
	name := p.now.Name
	p.found.Set(i18n.T("Looking…"), "")
	act(p.desk, p.scope, func(ctx context.Context, c *dbus.Client) (f queueFound, err error) {
		if f.status, err = c.QueueStatus(ctx, name); err != nil || f.status.Note != "" {
			return f, err
		}
		f.entries, f.more, _, err = c.QueueEntries(ctx, name)
		return f, err
	}, func(f queueFound, err error) {
		p.asking = false
		if err != nil {
			p.found.Set(i18n.T("The queue could not be looked at"), words.Error(err))
			return
		}
		p.found.Set(words.Queue(f.status, p.now))
		p.showFiles(f)
	})
}

// showFiles shows the queue's files, folded: it is the numbers that one reads.
func (p *qubePane) showFiles(f queueFound) {
	p.entries.show(f.entries)
	p.files.Set(words.Files(len(f.entries), f.more))
	p.files.SetVisible(len(f.entries) > 0)
	if len(f.entries) == 0 {
		p.files.SetExpanded(false)
	}
}

func (p *qubePane) question(heading, body, action string) ui.Question {
	return ui.Question{Heading: heading, Body: body, Action: action, Harmful: true, Qube: p.now.Name, Label: p.now.Label}
}

func (p *qubePane) confirmClean() {
	name := p.now.Name
	p.ask(p.scope, p.question(i18n.T("Clean the queue?"),
		i18n.T("Files older than a day that nobody fetched are removed from the qube's queue. What dom0 works on, and what waits, stays."), i18n.T("Clean")), func() {
		p.do(p.scope, p.Clean, func(ctx context.Context, c *dbus.Client) error {
			_, _, _, err := c.CleanQueue(ctx, name, false)
			return err
		}, func(error) { p.look() })
	})
}

func (p *qubePane) recover() {
	name := p.now.Name
	p.do(p.scope, p.Recover, func(ctx context.Context, c *dbus.Client) error {
		_, _, _, err := c.RecoverQueue(ctx, name)
		return err
	}, func(error) { p.look() })
}

func (p *qubePane) confirmRevoke() {
	name := p.now.Name
	p.ask(p.scope, p.question(i18n.T("Revoke %s?", name),
		i18n.T("Its key is removed from dom0 and every request of it is denied from now on. What runs is not ended. "+
			"It can be authorised again."), i18n.T("Revoke")), func() {
		p.do(p.scope, p.Revoke, func(ctx context.Context, c *dbus.Client) error {
			_, err := c.RevokeQube(ctx, name)
			return err
		}, func(err error) {
			if err == nil {
				p.toast(i18n.T("%s was revoked.", name))
			}
		})
	})
}

func (p *qubePane) confirmDisconnect() {
	name := p.now.Name
	p.ask(p.scope, p.question(i18n.T("Disconnect %s?", name),
		i18n.T("Its key is removed, dom0 does not look at it any more, and its queue is cleaned if it runs."), i18n.T("Disconnect")), func() {
		p.do(p.scope, p.Disconnect, func(ctx context.Context, c *dbus.Client) error {
			_, _, err := c.DisconnectQube(ctx, name)
			return err
		}, func(err error) {
			if err == nil {
				p.toast(i18n.T("%s was disconnected.", name))
			}
		})
	})
}

func (p *qubePane) confirmShutDown() {
	name := p.now.Name
	p.ask(p.scope, p.question(i18n.T("Shut down %s?", name),
		i18n.T("Programs in it that have not saved their work lose it; one that has not shut down after 90 seconds is killed."), i18n.T("Shut down")), func() {
		p.do(p.scope, p.shut, func(ctx context.Context, c *dbus.Client) error { return c.ShutDownQube(ctx, name) }, func(error) {})
	})
}
