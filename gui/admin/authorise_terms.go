//go:build gtk

package admin

import (
	"slices"

	"qvmremote/dbus"
	"qvmremote/gui/say"
	"qvmremote/gui/words"
	"qvmremote/ui"
	"qvmremote/ui/i18n"
)

// terms are on what a qube is authorised: by which rules, and for how long.
type terms struct {
	*authorise
	rules, time *ui.Choice
	offered     []words.RulesOffer
}

func newTerms(a *authorise) *terms {
	t := &terms{authorise: a}
	t.rules = ui.NewChoice(a.scope, a.Rules, i18n.T("Its requests"), t.note)
	t.time = ui.NewChoice(a.scope, a.Time, i18n.T("How long"), func() {})
	return t
}

// offer offers what there is to choose for a qube: that nobody but the person here
// decides, unless it has rules, which are kept.
func (t *terms) offer(qube string) {
	i := slices.IndexFunc(t.now.Qubes, func(q dbus.Qube) bool { return q.Name == qube })
	t.offered = words.RulesOffers(i >= 0 && t.now.Qubes[i].Rules != "none")
	var labels, times []string
	for _, o := range t.offered {
		labels = append(labels, o.Label)
	}
	for _, l := range words.LimitOffers {
		times = append(times, l.Label)
	}
	t.rules.Offer(labels, 0)
	t.time.Offer(times, 0)
	t.note()
}

func (t *terms) chosen() words.RulesOffer {
	if i := t.rules.Selected(); i < uint(len(t.offered)) {
		return t.offered[i]
	}
	return words.RulesOffer{Policy: "deny"}
}

// note says what the choice means.
func (t *terms) note() {
	o := t.chosen()
	t.RulesNote.SetText(o.Meaning)
	tone := ""
	if o.Policy == "allow" {
		tone = string(say.Warn)
	}
	ui.SetTone(t.RulesNote, tone)
}

// options are what the service is told of it.
func (t *terms) options() dbus.Options {
	o := t.chosen()
	options := dbus.Options{Policy: o.Policy, ReplaceRules: o.Replace}
	if i := t.time.Selected(); i < uint(len(words.LimitOffers)) {
		options.Limit = words.LimitOffers[i].Limit
	}
	return options
}
