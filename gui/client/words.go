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
		return say.As("qr-failed-symbolic", "queue cannot be used", say.Bad)
	case !s.HasKey():
		return say.As("qr-key-symbolic", "no key", say.Warn)
	case s.Connected:
		return say.As("qr-done-symbolic", "connected to dom0", say.Good)
	}
	return say.As("qr-offline-symbolic", "not connected", say.Quiet)
}
