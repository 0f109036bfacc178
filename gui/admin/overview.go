//go:build gtk

package admin

import (
	"context"
	"slices"

	"github.com/diamondburned/gotk4-adwaita/pkg/adw"
	"github.com/diamondburned/gotk4/pkg/gtk/v4"

	"qvmremote/dbus"
	"qvmremote/gui/words"
	"qvmremote/ui"
	"qvmremote/ui/i18n"
)

type overviewView struct {
	Root        *gtk.ScrolledWindow
	StateIcon   *gtk.Image
	StateTitle  *gtk.Label
	StateText   *gtk.Label
	Start       *gtk.Button
	Pause       *gtk.Button
	Resume      *gtk.Button
	Restart     *gtk.Button
	Stop        *gtk.Button
	Guide       *adw.PreferencesGroup
	Health      *adw.PreferencesGroup
	BootRow     *adw.ActionRow
	BootWaiting *gtk.Spinner
	Boot        *gtk.Switch
	Everything  *gtk.Button
	Running     *adw.PreferencesGroup
	Qubes       *adw.PreferencesGroup
	ChartGroup  *adw.PreferencesGroup
	ChartCard   *gtk.Box
	Recent      *adw.PreferencesGroup
	Settings    *adw.ExpanderRow
}

// overview is the first page: how things are, and the switches for it.
type overview struct {
	overviewView
	*desk
	window  *window
	scope   *ui.Scope
	visible bool

	bootPending bool // asked for, not answered yet
	health      rows[dbus.Problem]
	running     rows[dbus.Command]
	qubes       rows[dbus.Qube]
	chart       *dayChart
	recent      *recent
	settings    *settingsList
}

func newOverview(w *window) (page, error) {
	o := &overview{desk: w.desk, window: w, scope: ui.NewScope(w.scope)}
	if err := ui.Fill(&o.overviewView, "/org/qvmremote/Admin/ui/overview.ui"); err != nil {
		return nil, err
	}
	o.health = rows[dbus.Problem]{group: o.Health, make: newProblemRow, empty: ""}
	o.running = rows[dbus.Command]{group: o.Running, make: o.newCommandRow}
	o.qubes = rows[dbus.Qube]{group: o.Qubes, make: func() shownRow[dbus.Qube] { return w.linkedQubeRow(o.scope) },
		empty: i18n.T("No qube is authorised. Nothing can ask dom0 for anything.")}
	o.chart = newDayChart(o.desk, o.scope, o.ChartCard)
	o.recent = newRecent(o.desk, o.scope, o.Recent, w.openRecord)
	o.settings = newSettingsList(o.desk, o.scope, o.Settings)
	w.lasts.changed = append(w.lasts.changed, func() { o.qubes.show(o.now.Qubes) })
	o.connect()
	return o, nil
}

func (o *overview) Widget() gtk.Widgetter { return o.Root }
func (o *overview) Inner() string         { return "" }
func (o *overview) Leave()                {}
func (o *overview) find()                 {}
func (o *overview) open(string)           {}
func (o *overview) close()                { o.scope.Close() }

func (o *overview) Narrow(narrow bool) { o.recent.list.narrow(narrow) }

func (o *overview) connect() {
	ui.Name(o.Everything, i18n.T("Stop everything"))
	simple := func(b *gtk.Button, order func(*dbus.Client, context.Context) error) {
		o.scope.Bind(b, b.ConnectClicked(func() {
			o.do(o.scope, b, func(ctx context.Context, c *dbus.Client) error { return order(c, ctx) }, func(error) { o.showState() })
		}))
	}
	simple(o.Start, (*dbus.Client).Start)
	simple(o.Pause, (*dbus.Client).Pause)
	simple(o.Resume, (*dbus.Client).Resume)
	simple(o.Restart, (*dbus.Client).Restart)
	o.scope.Bind(o.Stop, o.Stop.ConnectClicked(o.confirmStop))
	o.scope.Bind(o.Everything, o.Everything.ConnectClicked(o.confirmEverything))
	o.scope.Bind(o.Boot, o.Boot.ConnectStateSet(o.bootPressed))
}

func (o *overview) confirmStop() {
	body := i18n.T("Nothing is taken from any qube until somebody starts the service again.")
	if o.now.Manager.Running > 0 {
		body = i18n.T("Commands are running. They get a while to end by themselves, and are interrupted then.") + " " + body
	}
	o.ask(o.scope, ui.Question{Heading: i18n.T("Stop the service?"), Body: body, Action: i18n.T("Stop"), Harmful: true}, func() {
		o.do(o.scope, o.Stop, func(ctx context.Context, c *dbus.Client) error { return c.Stop(ctx) }, func(error) { o.showState() })
	})
}

func (o *overview) confirmEverything() {
	o.ask(o.scope, ui.Question{
		Heading: i18n.T("Stop everything?"), Action: i18n.T("Stop everything"), Harmful: true,
		Body: i18n.T("Every command that runs is killed with all its processes, and what waits is refused. " +
			"Nothing new is taken until you choose Go on. What commands did before stays done."),
	}, func() {
		o.do(o.scope, o.Everything, func(ctx context.Context, c *dbus.Client) error { return c.StopEverything(ctx) }, func(err error) {
			if err == nil {
				o.toast(i18n.T("Everything was stopped. Nothing new is taken until you choose Go on."))
			}
			o.showState()
		})
	})
}

// pauseOrGoOn is what the one of both buttons that is there does.
func (o *overview) pauseOrGoOn() {
	switch o.now.Manager.State {
	case dbus.Running:
		o.Pause.Emit("clicked")
	case dbus.Paused:
		o.Resume.Emit("clicked")
	}
}

// bootPressed is the switch, which shows what the service says: pressing it
// asks, and it moves when the service has changed.
func (o *overview) bootPressed(on bool) bool {
	if on == o.now.Manager.StartsAtBoot || o.bootPending {
		return true
	}
	// Not before this signal is over, or a screen reader is told that the switch
	// is where it was pressed to.
	ui.Soon(o.scope, o.showBoot)
	if !on {
		o.setBoot(func(ctx context.Context, c *dbus.Client) error { return c.DisableAtBoot(ctx) })
		return true
	}
	o.ask(o.scope, ui.Question{
		Heading: i18n.T("Start at boot?"), Typed: i18n.C("word to type", "yes"), Action: i18n.T("Start at boot"), Harmful: true,
		Body: i18n.T("From the next boot on, whoever controls an authorised qube controls dom0 and with it every other qube, " +
			"without anybody having to start anything.\n\nWithout this, the service ends when this computer restarts, " +
			"and runs again only when you start it."),
	}, func() {
		o.setBoot(func(ctx context.Context, c *dbus.Client) error { return c.EnableAtBoot(ctx, true) })
	})
	return true
}

func (o *overview) setBoot(order func(context.Context, *dbus.Client) error) {
	o.bootPending = true
	o.showBoot()
	o.do(o.scope, o.Boot, order, func(error) {
		o.bootPending = false
		o.showBoot()
	})
}

// showBoot has the switch show the service's truth.
func (o *overview) showBoot() {
	on := o.now.Manager.StartsAtBoot
	o.Boot.SetActive(on)
	o.Boot.SetState(on)
	o.Boot.SetSensitive(!o.bootPending && o.usable())
	o.BootWaiting.SetSpinning(o.bootPending)
	o.BootRow.SetSubtitle(escape(words.Boot(o.now.Manager)))
}

func (o *overview) Shown() {
	o.visible = true
	o.refresh()
}

func (o *overview) Hidden() { o.visible = false }

func (o *overview) report(fresh bool, news []dbus.News) {
	o.showState()
	o.showBoot()
	o.health.show(words.Problems(o.now.Manager.Health))
	o.Health.SetVisible(o.health.len() > 0)
	o.qubes.show(o.now.Qubes)
	o.Guide.SetVisible(o.usable() && !slices.ContainsFunc(o.now.Qubes, func(q dbus.Qube) bool { return q.KeyState != "none" }))
	if fresh || len(news) > 0 {
		o.chart.stale()
		o.recent.stale()
	}
	if o.visible {
		o.refresh()
	}
}

// refresh asks for what the service does not tell by itself, where it changed.
func (o *overview) refresh() {
	if !o.usable() {
		return
	}
	o.chart.refresh()
	o.recent.refresh()
	o.settings.refresh()
	o.refreshRunning()
}

func (o *overview) showState() {
	m := o.now.Manager
	look := words.State(m)
	o.StateIcon.SetFromIconName(look.Icon)
	ui.SetTone(o.StateIcon, string(look.Tone))
	o.StateTitle.SetText(look.Word)
	o.StateText.SetText(words.StateLine(m))
	usable := o.usable()
	for b, when := range map[*gtk.Button]bool{
		o.Start: m.State == dbus.Stopped, o.Stop: m.State == dbus.Running || m.State == dbus.Paused,
		o.Restart: m.State == dbus.Running || m.State == dbus.Paused,
		o.Pause:   m.State == dbus.Running, o.Resume: m.State == dbus.Paused,
	} {
		b.SetVisible(when)
	}
	o.Everything.SetSensitive(usable)
}

// refreshRunning names what runs.
func (o *overview) refreshRunning() {
	if o.now.Manager.Running == 0 && o.now.Manager.Waiting == 0 {
		o.showRunning(nil, nil)
		return
	}
	look(o.desk, o.scope, func(ctx context.Context, c *dbus.Client) ([]dbus.Command, error) { return c.ListCommands(ctx) }, o.showRunning)
}

func (o *overview) showRunning(commands []dbus.Command, err error) {
	if err != nil { // the qubes' own counters tell as much as everybody may know
		commands = nil
		for _, q := range o.now.Qubes {
			if q.Running > 0 {
				commands = append(commands, dbus.Command{Qube: q.Name, State: "running"})
			}
		}
	}
	o.running.show(commands)
	o.Running.SetVisible(len(commands) > 0)
}
