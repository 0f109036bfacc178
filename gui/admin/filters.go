//go:build gtk

package admin

import (
	"slices"
	"time"

	"qvmremote/gui/timeline"
	"qvmremote/gui/words"
	"qvmremote/ui"
	"qvmremote/ui/i18n"
)

// filters are the controls above the timeline.
type filters struct {
	*activity
	now     timeline.Filter
	names   []string // of the qubes in the first choice, after "All qubes"
	setting bool     // the program, not a person, changes a choice

	qube, kind, since *ui.Choice
}

var kinds = []struct {
	kind timeline.Kind
	word string
}{
	{"", i18n.T("Any outcome")}, {timeline.Done, i18n.T("Done")}, {timeline.Failed, i18n.T("Failed")},
	{timeline.Denied, i18n.T("Denied or refused")}, {timeline.Ended, i18n.T("Cancelled")},
	{timeline.Decision, i18n.T("Keys and settings")}, {timeline.Every, i18n.T("Every record")},
}

var times = []struct {
	back time.Duration
	word string
}{
	{0, i18n.T("Any time")}, {time.Hour, i18n.T("Last hour")}, {24 * time.Hour, i18n.T("Last day")},
	{7 * 24 * time.Hour, i18n.T("Last week")}, {30 * 24 * time.Hour, i18n.T("Last month")},
}

func newFilters(a *activity) *filters {
	f := &filters{activity: a}
	var kindWords, timeWords []string
	for _, k := range kinds {
		kindWords = append(kindWords, k.word)
	}
	for _, t := range times {
		timeWords = append(timeWords, t.word)
	}
	f.setting = true // until the words are there
	changed := f.changed
	f.qube = ui.NewChoice(a.scope, a.Qube, i18n.T("Qube"), changed)
	f.kind = ui.NewChoice(a.scope, a.Kind, i18n.T("Outcome"), changed)
	f.since = ui.NewChoice(a.scope, a.Since, i18n.T("Time"), changed)
	ui.Name(a.Pattern, i18n.T("Regular expression"))
	a.scope.Bind(a.Search, a.Search.ConnectSearchChanged(changed))
	a.scope.Bind(a.Pattern, a.Pattern.ConnectToggled(changed))
	a.scope.Bind(a.Search, a.Search.ConnectStopSearch(func() { a.Search.SetText("") }))
	f.qube.Offer([]string{i18n.T("All qubes")}, 0)
	f.kind.Offer(kindWords, 0)
	f.since.Offer(timeWords, 0)
	f.setting = false
	return f
}

// report keeps the choice of qubes up to date.
func (f *filters) report() {
	var names []string
	for _, q := range f.activity.desk.now.Qubes {
		names = append(names, q.Name)
	}
	if f.now.Qube != "" && !slices.Contains(names, f.now.Qube) {
		names = append(names, f.now.Qube) // it was revoked; what it did is still there
	}
	if slices.Equal(names, f.names) {
		return
	}
	f.names = names
	f.setting = true
	f.qube.Offer(append([]string{i18n.T("All qubes")}, names...), 1+slices.Index(names, f.now.Qube))
	f.setting = false
}

// showQube filters by one qube alone.
func (f *filters) showQube(name string) {
	f.detail.end()
	f.setting = true
	f.Search.SetText("")
	f.Kind.SetSelected(0)
	f.Since.SetSelected(0)
	f.now = timeline.Filter{Qube: name}
	f.names = nil
	f.report()
	f.setting = false
	f.restart()
}

// restart shows what fits from its newest on, wherever one was in what was listed.
func (f *filters) restart() {
	if f.usable() {
		f.lines.ToTop() // first: what can be seen is asked for
		f.begin()
	}
}

// changed begins again with what the controls say.
func (f *filters) changed() {
	if f.setting {
		return
	}
	next := timeline.Filter{Kind: kinds[f.Kind.Selected()].kind}
	if i := int(f.Qube.Selected()); i > 0 && i <= len(f.names) {
		next.Qube = f.names[i-1]
	}
	if back := times[f.Since.Selected()].back; back > 0 {
		next.Since = time.Now().Add(-back)
	}
	text := f.Search.Text()
	f.Search.RemoveCSSClass("error")
	switch {
	case text == "":
	case f.Pattern.Active():
		pattern, err := timeline.Compile(text)
		if err != nil {
			f.Search.AddCSSClass("error")
			f.say(words.Error(err))
			return
		}
		next.Pattern = pattern
	default:
		next.Text = text
	}
	f.say("")
	f.now = next
	f.restart()
}

// say says below the field what is wrong with what was typed, "" for nothing.
func (f *filters) say(problem string) {
	f.Wrong.SetText(problem)
	f.Wrong.SetVisible(problem != "")
	ui.Describe(f.Search, problem)
}
