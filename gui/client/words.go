//go:build gtk

package client

import (
	"qvmremote/client/standing"
	"qvmremote/gui/say"
)

// linkLook is how it is shown whether dom0 looks into the queue.
func linkLook(s standing.Standing) say.Look {
	switch {
	case s.Trouble != nil:
		return say.As("qr-failed-symbolic", "Queue cannot be used", say.Bad)
	case !s.HasKey():
		return say.As("qr-key-symbolic", "No key", say.Warn)
	case s.Connected:
		return say.As("qr-done-symbolic", "Connected to dom0", say.Good)
	case s.Legacy:
		return say.As("qr-info-symbolic", "Version 1: it cannot be seen", say.Quiet)
	}
	return say.As("qr-offline-symbolic", "Not connected", say.Quiet)
}
