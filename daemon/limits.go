package daemon

import (
	"fmt"
	"time"

	"qvmremote/daemon/audit"
	"qvmremote/daemon/settings"
	"qvmremote/daemon/slots"
	"qvmremote/daemon/spool"
)

func (x *Executor) source() settings.Source {
	return settings.Source{Path: x.o.Root.Config(), Environ: x.o.Environ, VMs: x.o.VMs}
}

// loadSettings reads the settings and tells what is odd about them.
func (x *Executor) loadSettings() (settings.Settings, error) {
	set, warnings, err := x.source().Load()
	if err != nil {
		return set, fmt.Errorf("cannot use the settings: %w", err)
	}
	for _, w := range warnings {
		x.warn("the settings are odd", "warning", w.String())
	}
	return set, nil
}

func (x *Executor) auditOptions() audit.Options {
	return audit.Options{Now: x.o.Now, MaxAge: time.Duration(x.set.AuditDays) * 24 * time.Hour,
		MaxBytes: x.set.AuditBytes, Reserve: x.set.AuditReserve}
}

func (x *Executor) quota() spool.Quota {
	return spool.Quota{Qube: x.set.SpoolQube, Total: x.set.SpoolTotal, Free: x.set.SpoolFree}
}

func (x *Executor) slotLimits() slots.Limits {
	set := x.settings()
	return slots.Limits{All: int(set.Concurrent), Qube: int(set.PerQube), Hard: int(set.MaxRunning)}
}
