package dbus

import (
	"fmt"
	"time"

	godbus "github.com/godbus/dbus/v5"
)

// Manager is what the service says of itself: the properties of
// org.qvmremote1.Manager, which its XML describes.
type Manager struct {
	Version      string
	Features     []string
	State        string    // [Stopped], [Running], [Paused] or [Stopping]
	Since        time.Time // zero while it is stopped
	Pid          uint32
	DryRun       bool
	StartsAtBoot bool
	Running      uint32 // commands that run
	Waiting      uint32 // requests taken and not begun
	Health       []Problem
	AuditHead    uint64 // number of the next audit record
}

// Problem is something that is wrong, or worth knowing, now.
type Problem struct {
	Code     string // stable
	Severity string // "info", "warning" or "error"
	Title    string
	Text     string
}

// Qube is a qube that has a key in dom0 or is configured: the properties of
// org.qvmremote1.Qube, which its XML describes.
type Qube struct {
	Name             string
	Label            string // a colour, "" while not known
	PowerState       string
	Connection       string
	Transport        string // stream, qrexec, poll; "" while not connected
	KeyState         string
	Fingerprint      string
	NextFingerprint  string
	AuthorizedAt     time.Time // zero when that is not known
	Configured       bool
	Legacy           bool
	GrantUntil       time.Time // when its key ceases to count; zero when no time ends it
	GrantUntilReboot bool
	GrantCount       uint64 // commands its key was authorised for, 0 for any number
	GrantLeft        uint64 // of those
	GrantEnded       bool
	SuspendedAt      time.Time // zero when it is not
	Rules            string    // "good", "none" or "broken"
	Running          uint32
	Open             uint32
	Completed        uint64
	Failed           uint64
	Refused          uint64
	LastSeq          uint64
}

// field is where the property of that name belongs; nil when this program
// does not know it.
func (m *Manager) field(name string) any {
	switch name {
	case "Version":
		return &m.Version
	case "Features":
		return &m.Features
	case "State":
		return &m.State
	case "Since":
		return &m.Since
	case "Pid":
		return &m.Pid
	case "DryRun":
		return &m.DryRun
	case "StartsAtBoot":
		return &m.StartsAtBoot
	case "Running":
		return &m.Running
	case "Waiting":
		return &m.Waiting
	case "Health":
		return &m.Health
	case "AuditHead":
		return &m.AuditHead
	}
	return nil
}

func (q *Qube) field(name string) any {
	switch name {
	case "Name":
		return &q.Name
	case "Label":
		return &q.Label
	case "PowerState":
		return &q.PowerState
	case "Connection":
		return &q.Connection
	case "Transport":
		return &q.Transport
	case "KeyState":
		return &q.KeyState
	case "Fingerprint":
		return &q.Fingerprint
	case "NextFingerprint":
		return &q.NextFingerprint
	case "AuthorizedAt":
		return &q.AuthorizedAt
	case "Configured":
		return &q.Configured
	case "Legacy":
		return &q.Legacy
	case "GrantUntil":
		return &q.GrantUntil
	case "GrantUntilReboot":
		return &q.GrantUntilReboot
	case "GrantCount":
		return &q.GrantCount
	case "GrantLeft":
		return &q.GrantLeft
	case "GrantEnded":
		return &q.GrantEnded
	case "SuspendedAt":
		return &q.SuspendedAt
	case "Rules":
		return &q.Rules
	case "Running":
		return &q.Running
	case "Open":
		return &q.Open
	case "Completed":
		return &q.Completed
	case "Failed":
		return &q.Failed
	case "Refused":
		return &q.Refused
	case "LastSeq":
		return &q.LastSeq
	}
	return nil
}

// fields is a Manager, a Qube or a Request.
type fields interface{ field(name string) any }

// set stores properties; those this program does not know are passed over.
// Slices are stored as new ones, so that copies of the struct stay as they are.
func set(to fields, properties map[string]godbus.Variant) error {
	for name, value := range properties {
		var err error
		switch p := to.field(name).(type) {
		case nil:
		case *time.Time:
			var seconds uint64
			err = value.Store(&seconds)
			*p = unixTime(seconds)
		case *[]Problem:
			var problems []Problem
			err = value.Store(&problems)
			*p = problems
		case *[]string:
			var texts []string
			err = value.Store(&texts)
			*p = texts
		default:
			err = value.Store(p)
		}
		if err != nil {
			return incompatible("the property " + tidy(name))
		}
	}
	return nil
}

// setAll is set for what must be complete, as the interface's XML says.
func setAll(to fields, iface string, properties map[string]godbus.Variant) error {
	all, err := Interfaces()
	if err != nil {
		return err
	}
	for _, i := range all {
		if i.Name != iface {
			continue
		}
		for _, p := range i.Properties {
			if _, ok := properties[p.Name]; !ok {
				return incompatible("the property " + p.Name)
			}
		}
	}
	return set(to, properties)
}

func incompatible(what string) error {
	return &Error{Code: Incompatible, Text: fmt.Sprintf("the service does not have %s as this program knows it; "+
		"install the same version of qvm-remote's service and of this program", what)}
}

// unixTime is the bus's Unix seconds, where 0 stands for no time.
func unixTime(seconds uint64) time.Time {
	if seconds == 0 {
		return time.Time{}
	}
	return time.Unix(int64(seconds), 0)
}

// unixSeconds is the reverse of unixTime; before 1970 is no time either.
func unixSeconds(t time.Time) uint64 {
	if t.IsZero() {
		return 0
	}
	return uint64(max(t.Unix(), 0))
}

// objects is what GetManagedObjects answers: what is below the manager's.
type objects map[godbus.ObjectPath]map[string]map[string]godbus.Variant

// qubes are those among objects, by name.
func (o objects) qubes() (map[string]Qube, error) {
	qubes := map[string]Qube{}
	for path, interfaces := range o {
		name, isQube := QubeName(path)
		properties, has := interfaces[QubeInterface]
		if !isQube || !has {
			continue // of a later version
		}
		var q Qube
		if err := setAll(&q, QubeInterface, properties); err != nil {
			return nil, err
		}
		q.Name = name // as later signals do, which know only the path
		qubes[name] = q
	}
	return qubes, nil
}
