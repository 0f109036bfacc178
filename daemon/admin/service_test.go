package admin

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"qvmremote/daemon"
	"qvmremote/daemon/audit"
	"qvmremote/daemon/systemd"
	"qvmremote/test/bus"
	fake "qvmremote/test/bus/systemd"
)

// systemdOf gives the lab a systemd that has the executor's unit.
func systemdOf(l *lab) *fake.Fake {
	l.t.Helper()
	b := bus.Start(l.t)
	f := fake.Start(l.t, b)
	f.Add(Service, fake.Hooks{})
	l.Environ = append(l.Environ, "QVM_REMOTE_BUS="+b.Address)
	l.Units = New(l.Root, l.Environ, l.Who, l.Way).Units
	return f
}

// wantUnit compares the executor's unit with what systemd has.
func (l *lab) wantUnit(f *fake.Fake, enabled, active string) {
	l.t.Helper()
	if f.Enabled(Service) != enabled || f.Active(Service) != active {
		l.t.Errorf("the unit is %s and %s, want %s and %s", f.Enabled(Service), f.Active(Service), enabled, active)
	}
	if word := l.Autostart(context.Background()); word != enabled {
		l.t.Errorf("autostart %q, want %q", word, enabled)
	}
}

func TestEnableAndDisable(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	f := systemdOf(l)
	ctx := context.Background()
	l.wantUnit(f, "disabled", "inactive")
	_, err := l.Enable(ctx)
	l.must(err)
	l.wantUnit(f, "enabled", "active")
	_, err = l.Disable(ctx)
	l.must(err)
	l.wantUnit(f, "disabled", "inactive")
	l.wantEvents(audit.Enabled, audit.Disabled)
}

// TestBootIsNotNow: what happens at boot and what runs now are two things.
func TestBootIsNotNow(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	f := systemdOf(l)
	ctx := context.Background()
	_, err := l.EnableAtBoot(ctx)
	l.must(err)
	l.wantUnit(f, "enabled", "inactive")
	l.must(l.Start(ctx))
	_, err = l.DisableAtBoot(ctx)
	l.must(err)
	l.wantUnit(f, "disabled", "active")
	l.must(l.Restart(ctx, true))
	l.wantUnit(f, "disabled", "active")
	l.must(l.Stop(ctx, true))
	l.wantUnit(f, "disabled", "inactive")
	l.wantEvents(audit.Enabled, audit.Disabled)
}

// TestStopOfAnotherExecutor: one that was started by hand is none of systemd's,
// and must not be said to be stopped.
func TestStopOfAnotherExecutor(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	systemdOf(l)
	ctx := context.Background()
	end := l.executorRuns(daemon.Status{Pid: os.Getpid()})
	for _, wait := range []bool{true, false} {
		if err := l.Stop(ctx, wait); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("kill %d", os.Getpid())) {
			t.Errorf("stopped with wait %v: error %v", wait, err)
		}
	}
	end()
	l.must(l.Stop(ctx, true))
}

func TestEnableAndDisableAreHonest(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	f := systemdOf(l)
	ctx := context.Background()
	const denied = "org.freedesktop.DBus.Error.AccessDenied"
	f.Refuse("EnableUnitFiles", denied, "no")
	if _, err := l.Enable(ctx); err == nil || !strings.Contains(err.Error(), "enable "+Service) {
		t.Errorf("error %v", err)
	}
	l.wantUnit(f, "disabled", "inactive")

	f.Add(Service, fake.Hooks{Start: func(string) error { return errors.New("no key folder") }})
	f.Refuse("EnableUnitFiles", "", "")
	if _, err := l.Enable(ctx); err == nil || !strings.Contains(err.Error(), "but not now: systemd did not start") {
		t.Errorf("error %v", err)
	}
	l.wantUnit(f, "enabled", "failed")
	l.wantEvents(audit.Enabled)

	f.Add(Service, fake.Hooks{})
	l.must(l.Start(ctx))
	f.Refuse("DisableUnitFiles", denied, "no")
	if _, err := l.Disable(ctx); err == nil {
		t.Error("it is said to be disabled and is not")
	}
	if f.Active(Service) != "inactive" {
		t.Error("not stopped, because it could not be disabled")
	}
	l.wantEvents(audit.Enabled)
}

func TestNoSystemd(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	ctx := context.Background()
	_, enable := l.Enable(ctx)
	_, disable := l.Disable(ctx)
	for _, err := range []error{enable, disable, l.Start(ctx), l.Stop(ctx, true), l.Restart(ctx, false)} {
		if !errors.Is(err, systemd.ErrNone) || !strings.HasPrefix(err.Error(), "there is no systemd here that could ") {
			t.Errorf("error %v", err)
		}
	}
	if word := l.Autostart(ctx); word != "" {
		t.Errorf("autostart %q without systemd", word)
	}
}
