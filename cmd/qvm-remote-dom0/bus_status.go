package main

import (
	"cmp"
	"context"
	"slices"
	"time"

	"qvmremote/daemon"
	"qvmremote/daemon/admin"
	"qvmremote/daemon/audit"
	"qvmremote/dbus"
)

// health is the text of the trouble with that code, and whether there is it.
func health(m dbus.Manager, code string) (text string, there bool) {
	i := slices.IndexFunc(m.Health, func(p dbus.Problem) bool { return p.Code == code })
	if i < 0 {
		return "", false
	}
	return m.Health[i].Text, true
}

func (b *overBus) Keys(ctx context.Context) ([]admin.Key, error) {
	m, qubes, err := b.c.Status(ctx)
	if err != nil {
		return nil, err
	}
	_, unsure := health(m, daemon.HealthSettings)
	list := []admin.Key{}
	for _, q := range qubes {
		if q.KeyState == admin.KeyNone {
			continue
		}
		k := keyLine(q)
		k.Configured, k.Unsure = q.Configured && !unsure, unsure
		if q.Rules == "broken" {
			if text, there := health(m, daemon.HealthPolicy+q.Name); there {
				k.Rules = text
			}
		}
		if k.State == admin.KeyBad {
			k.Problem, _ = health(m, daemon.HealthKey+q.Name)
		}
		list = append(list, k)
	}
	return list, nil
}

// keyLine is what the service says of a qube's key.
func keyLine(q dbus.Qube) admin.Key {
	k := admin.Key{VM: q.Name, State: q.KeyState, Fingerprint: q.Fingerprint, Next: q.NextFingerprint, Legacy: q.Legacy,
		UntilReboot: q.GrantUntilReboot, Count: int64(q.GrantCount), Left: int64(q.GrantLeft), Ended: q.GrantEnded}
	k.Authorised, k.Until, k.Suspended = utc(q.AuthorizedAt), utc(q.GrantUntil), utc(q.SuspendedAt)
	if k.Rules = q.Rules; k.Rules == "good" {
		k.Rules = ""
	}
	return k
}

func (b *overBus) Status(ctx context.Context) (admin.Status, error) {
	power := b.power(ctx)
	m, qubes, err := b.c.Status(ctx)
	if err != nil {
		return admin.Status{}, err
	}
	st := admin.Status{Version: m.Version, Running: m.Pid != 0, Pid: int(m.Pid), Since: m.Since, DryRun: m.DryRun,
		Autostart: "disabled", Config: b.root.Config(), KeysDir: b.root.Keys(), Log: b.root.Log(), Audit: b.root.Audit(), Qubes: []admin.QubeLine{}}
	if m.StartsAtBoot {
		st.Autostart = "enabled"
	}
	if _, paused := health(m, daemon.HealthPaused); paused || m.State == dbus.Paused {
		st.Paused = admin.PausedOnly
	}
	for _, p := range m.Health {
		if p.Code == daemon.HealthPaused { // said already
			continue
		}
		if p.Code == daemon.HealthSettings { // the files tell it in another place
			st.Unsure = true
			st.Problems = append(st.Problems, p.Text)
			continue
		}
		st.Health = append(st.Health, daemon.Health{Code: p.Code, Severity: audit.Severity(p.Severity), Title: p.Title, Text: p.Text})
	}
	for _, q := range qubes {
		st.Qubes = append(st.Qubes, admin.QubeLine{Name: q.Name, Configured: q.Configured && !st.Unsure, Key: q.KeyState,
			Power: cmp.Or(power[q.Name], q.PowerState), Connection: q.Connection, Transport: q.Transport, Running: int(q.Running), Open: int(q.Open), Refused: int64(q.Refused), Legacy: q.Legacy, Terms: termsOf(q)})
	}
	slices.SortStableFunc(st.Qubes, func(x, y admin.QubeLine) int { return cmp.Compare(rank(x), rank(y)) })
	return st, nil
}

// utc leaves no time as none.
func utc(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.UTC()
}

// termsOf is keyLine where there is a key.
func termsOf(q dbus.Qube) admin.Key {
	if q.KeyState == admin.KeyNone {
		return admin.Key{}
	}
	return keyLine(q)
}

// rank puts the qubes that dom0 looks at first.
func rank(q admin.QubeLine) int {
	if q.Configured {
		return 0
	}
	return 1
}

// power asks for the qubes' states now. Where that cannot be, or may not, the
// service's last word on each counts.
func (b *overBus) power(ctx context.Context) map[string]string {
	list, err := b.c.AvailableQubes(ctx)
	if err != nil {
		return nil
	}
	power := map[string]string{}
	for _, q := range list {
		power[q.Name] = q.PowerState
	}
	return power
}

func (b *overBus) Doctor(ctx context.Context) ([]admin.Finding, error) {
	list, err := b.c.Doctor(ctx)
	if err != nil {
		return nil, err
	}
	found := make([]admin.Finding, 0, len(list))
	for _, f := range list {
		found = append(found, admin.Finding{Level: admin.Level(f.Severity), Text: f.Text, Next: f.Remedy})
	}
	return found, nil
}
