package service

import (
	"context"
	"errors"
	"time"

	"qvmremote/daemon/admin"
	"qvmremote/daemon/systemd"
)

// bootWait is how long the first answer may wait for systemd's.
const bootWait = 2 * time.Second

// watchBoot keeps StartsAtBoot true.
func (s *Service) watchBoot() {
	first, cancel := context.WithTimeout(s.life, bootWait)
	s.readBoot(first)
	cancel()
	s.loops.Add(1)
	go func() {
		defer s.loops.Done()
		for s.life.Err() == nil {
			err := s.admin(self).Units.Watch(s.life, admin.Service, func() { s.readBoot(s.life) })
			if errors.Is(err, systemd.ErrNone) {
				return
			}
			s.o.Log.Debug("systemd does not tell of changes; trying again", "error", err)
			select {
			case <-s.life.Done():
			case <-time.After(s.o.Times.Retry):
			}
		}
	}()
}

// maxUnits bounds the calls to systemd at once. Each has connections of its
// own, of which the bus gives root only so many.
const maxUnits = 4

// unit waits for its turn to call systemd.
func (s *Service) unit(ctx context.Context) (over func(), err error) { return wait(ctx, s.units) }

// readBoot asks systemd whether the executor starts at boot.
func (s *Service) readBoot(ctx context.Context) {
	over, err := s.unit(ctx)
	if err != nil {
		return
	}
	defer over()
	s.objects.boot.Store(s.admin(self).Autostart(ctx) == "enabled")
	s.objects.touch()
}
