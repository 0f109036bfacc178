package words

import (
	"context"
	"errors"

	"qvmremote/dbus"
	"qvmremote/gui/say"
	"qvmremote/queue"
)

// Error says what went wrong in one sentence or two.
func Error(err error) string {
	switch {
	case err == nil:
		return ""
	case errors.Is(err, context.Canceled):
		return "It was given up; whether it was done is not known."
	case errors.Is(err, context.DeadlineExceeded):
		return "The service did not answer in time; whether it was done is not known. Try again."
	}
	text := err.Error()
	var known *dbus.Error
	if errors.As(err, &known) && known.Text == "" {
		text = string(known.Code)
		if known.Code == dbus.Disconnected {
			text = "there is no connection to the message bus"
		}
	}
	return say.Sentence(queue.Plain(text, 1000))
}

// IsOtherKey reports that a key was not stored because there is another.
func IsOtherKey(err error) bool { return errors.Is(err, dbus.Err(dbus.OtherKey)) }

// IsDenied reports that the person may not do this, or must say who they are.
func IsDenied(err error) bool { return errors.Is(err, dbus.Err(dbus.NotAuthorized)) }

// Why is a page that stands where there is nothing to show.
type Why struct {
	Icon, Title, Text string
	Button            string // "" for none
	Waiting           bool   // it may pass by itself
}

// Availability says why there is nothing to show, and what to do.
func Availability(s dbus.Snapshot) Why {
	text := say.Sentence(queue.Plain(s.Why, 600))
	switch s.Availability {
	case dbus.Connecting:
		return Why{"qr-service-symbolic", "Connecting", "Asking for qvm-remote's service.", "", true}
	case dbus.Restarting:
		return Why{"qr-waiting-symbolic", "The service is restarting", "This takes a moment.", "Try again", true}
	case dbus.NoService:
		return Why{"qr-offline-symbolic", "There is no service", text, "Try again", false}
	case dbus.Forbidden:
		return Why{"qr-locked-symbolic", "You may not administer qvm-remote", text, "Try again", false}
	case dbus.Mismatched:
		return Why{"qr-failed-symbolic", "The service is of another version", text, "Try again", false}
	case dbus.NoBus:
		return Why{"qr-offline-symbolic", "There is no connection to the message bus", text, "Try again", true}
	}
	return Why{"qr-info-symbolic", "The service cannot be used", text, "Try again", false}
}
