package systemd

import (
	"fmt"
	"strings"

	sd "github.com/coreos/go-systemd/v22/dbus"
	"github.com/godbus/dbus/v5"
)

// methods are those of org.freedesktop.systemd1.Manager.
type methods struct{ f *Fake }

// StartUnit starts a unit that is not active.
func (m methods) StartUnit(name, _ string) (dbus.ObjectPath, *dbus.Error) {
	return m.f.enqueue("StartUnit", name, func(u *unit) error { return m.f.start(u) })
}

// StopUnit stops a unit that is active.
func (m methods) StopUnit(name, _ string) (dbus.ObjectPath, *dbus.Error) {
	return m.f.enqueue("StopUnit", name, func(u *unit) error { return m.f.stop(u) })
}

// RestartUnit stops a unit that is active, and starts it.
func (m methods) RestartUnit(name, _ string) (dbus.ObjectPath, *dbus.Error) {
	return m.f.enqueue("RestartUnit", name, func(u *unit) error {
		if err := m.f.stop(u); err != nil {
			return err
		}
		return m.f.start(u)
	})
}

// Change is one link made or removed.
type Change struct{ Type, Filename, Destination string }

// ResetFailedUnit forgets that a unit failed, and how often it was started.
func (m methods) ResetFailedUnit(name string) *dbus.Error {
	return m.f.called("ResetFailedUnit", name)
}

// EnableUnitFiles enables units.
func (m methods) EnableUnitFiles(names []string, _, _ bool) (bool, []Change, *dbus.Error) {
	changes, err := m.f.files("EnableUnitFiles", names, "enabled", "symlink")
	return true, changes, err
}

// DisableUnitFiles disables units.
func (m methods) DisableUnitFiles(names []string, _ bool) ([]Change, *dbus.Error) {
	return m.f.files("DisableUnitFiles", names, "disabled", "unlink")
}

// Reload reads the units' files again.
func (m methods) Reload() *dbus.Error {
	if err := m.f.called("Reload"); err != nil {
		return err
	}
	m.f.emit(Path, Manager+".Reloading", true)
	m.f.emit(Path, Manager+".Reloading", false)
	return nil
}

// Subscribe makes signals of units go out.
func (m methods) Subscribe() *dbus.Error {
	err := m.f.called("Subscribe")
	if err == nil {
		m.f.mu.Lock()
		m.f.subscribed = true
		m.f.mu.Unlock()
	}
	return err
}

// Unsubscribe is accepted; signals go on.
func (m methods) Unsubscribe() *dbus.Error { return m.f.called("Unsubscribe") }

// GetUnitFileState is the state of a unit's file.
func (m methods) GetUnitFileState(name string) (string, *dbus.Error) {
	if err := m.f.called("GetUnitFileState", name); err != nil {
		return "", err
	}
	word := m.f.Enabled(name)
	if word == "" {
		return "", dbus.NewError(notThere, []any{"No such file or directory"})
	}
	return word, nil
}

// GetUnit is the object of a unit.
func (m methods) GetUnit(name string) (dbus.ObjectPath, *dbus.Error) {
	if err := m.f.called("GetUnit", name); err != nil {
		return "", err
	}
	if m.f.Enabled(name) == "" {
		return "", dbus.NewError(noSuchUnit, []any{"Unit " + name + " not loaded."})
	}
	return pathOf(name), nil
}

// LoadUnit is the object of a unit, whether there is one or not.
func (m methods) LoadUnit(name string) (dbus.ObjectPath, *dbus.Error) {
	return pathOf(name), m.f.called("LoadUnit", name)
}

func pathOf(name string) dbus.ObjectPath {
	return unitsPath + "/" + dbus.ObjectPath(sd.PathBusEscape(name))
}

// called notes a call and says how it is refused.
func (f *Fake) called(method string, words ...string) *dbus.Error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, strings.Join(append([]string{method}, words...), " "))
	return f.refusals[method]
}

// enqueue begins a job and answers with its object.
func (f *Fake) enqueue(method, name string, do func(*unit) error) (dbus.ObjectPath, *dbus.Error) {
	if err := f.called(method, name); err != nil {
		return "", err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	u := f.units[name]
	if u == nil {
		return "", dbus.NewError(noSuchUnit, []any{"Unit " + name + " not found."})
	}
	f.last++
	id := f.last
	job := dbus.ObjectPath(fmt.Sprintf("%s/job/%d", Path, id))
	f.jobs.Add(1)
	go func() {
		defer f.jobs.Done()
		u.job.Lock()
		defer u.job.Unlock()
		result := "done"
		if do(u) != nil {
			result = "failed"
		}
		f.emit(Path, Manager+".JobRemoved", id, job, name, result)
	}()
	return job, nil
}

func (f *Fake) start(u *unit) error {
	if f.Active(u.name) == "active" {
		return nil
	}
	f.become(u, "activating")
	return f.do(u, u.hooks.Start, "active")
}

func (f *Fake) stop(u *unit) error {
	if s := f.Active(u.name); s == "inactive" || s == "failed" {
		return nil
	}
	f.become(u, "deactivating")
	return f.do(u, u.hooks.Stop, "inactive")
}

func (f *Fake) do(u *unit, hook func(string) error, after string) (err error) {
	if hook != nil {
		err = hook(u.name)
	}
	if err != nil {
		after = "failed"
	}
	f.become(u, after)
	return err
}

func (f *Fake) become(u *unit, state string) {
	f.mu.Lock()
	u.active = state
	f.mu.Unlock()
	f.emit(pathOf(u.name), "org.freedesktop.DBus.Properties.PropertiesChanged", unitIface,
		map[string]dbus.Variant{"ActiveState": dbus.MakeVariant(state)}, []string{})
}

func (f *Fake) files(method string, names []string, word, kind string) ([]Change, *dbus.Error) {
	if err := f.called(method, names...); err != nil {
		return nil, err
	}
	changes := []Change{}
	for _, name := range names {
		if f.Enabled(name) == "" {
			return nil, dbus.NewError(notThere, []any{"Unit file " + name + " does not exist."})
		}
		f.mu.Lock()
		changed := f.units[name].word != word
		f.units[name].word = word
		f.mu.Unlock()
		if changed {
			changes = append(changes, Change{kind, "/etc/systemd/system/multi-user.target.wants/" + name, "/usr/lib/systemd/system/" + name})
		}
	}
	if len(changes) > 0 {
		f.emit(Path, Manager+".UnitFilesChanged")
	}
	return changes, nil
}

// properties are those of every unit that may be asked about.
type properties struct{ f *Fake }

// Get is one property of the unit whose object was called.
func (p properties) Get(m dbus.Message, iface, property string) (dbus.Variant, *dbus.Error) {
	all, err := p.GetAll(m, iface)
	if err != nil {
		return dbus.Variant{}, err
	}
	v, ok := all[property]
	if !ok {
		return dbus.Variant{}, dbus.NewError(badProperty, []any{"Unknown property " + property})
	}
	return v, nil
}

// GetAll is all that this systemd knows of the unit whose object was called.
func (p properties) GetAll(m dbus.Message, _ string) (map[string]dbus.Variant, *dbus.Error) {
	called, _ := m.Headers[dbus.FieldPath].Value().(dbus.ObjectPath)
	p.f.mu.Lock()
	defer p.f.mu.Unlock()
	name, load, word, active := "", "not-found", "", "inactive"
	for n, u := range p.f.units {
		if pathOf(n) == called {
			name, load, word, active = n, "loaded", u.word, u.active
		}
	}
	return map[string]dbus.Variant{"Id": dbus.MakeVariant(name), "LoadState": dbus.MakeVariant(load),
		"UnitFileState": dbus.MakeVariant(word), "ActiveState": dbus.MakeVariant(active)}, nil
}
