package service

import (
	"context"

	"qvmremote/daemon/settings"
)

// setting is one of dom0's.
type setting struct{ Name, Value, Default, About string }

// ListSettings tells which settings an executor goes by: the one that runs, or
// one that would be started now.
func (m manager) ListSettings(context.Context, caller) ([]setting, string, error) {
	source := m.s.source()
	var set settings.Settings
	if x := m.s.executor.Load(); x != nil {
		set = x.InForce()
	} else if now, _, err := source.Load(); err == nil {
		set = now
	} else {
		return nil, "", err
	}
	out := []setting{}
	for _, d := range settings.Table() {
		out = append(out, setting{d.Name, d.In(set), d.Default, d.About()})
	}
	return out, source.Path, nil
}

func (s *Service) source() settings.Source {
	return settings.Source{Path: s.o.Root.Config(), Environ: s.o.Environ}
}
