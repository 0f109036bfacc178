package words

import (
	"context"
	"errors"

	"qvmremote/dbus"
	"qvmremote/gui/say"
	"qvmremote/queue"
	"qvmremote/ui/i18n"
)

// Error says what went wrong in one sentence or two.
func Error(err error) string {
	switch {
	case err == nil:
		return ""
	case errors.Is(err, context.Canceled):
		return i18n.T("It was given up; whether it was done is not known.")
	case errors.Is(err, context.DeadlineExceeded):
		return i18n.T("The service did not answer in time; whether it was done is not known. Try again.")
	}
	text := err.Error()
	var known *dbus.Error
	if errors.As(err, &known) && known.Text == "" {
		text = string(known.Code)
		if known.Code == dbus.Disconnected {
			text = i18n.T("there is no connection to the message bus")
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
	text, again := say.Sentence(queue.Plain(s.Why, 600)), i18n.T("Try again")
	switch s.Availability {
	case dbus.Connecting:
		return Why{"qr-service-symbolic", i18n.T("Connecting"), i18n.T("Asking for qvm-remote's service."), "", true}
	case dbus.Restarting:
		return Why{"qr-waiting-symbolic", i18n.T("The service is restarting"), i18n.T("This takes a moment."), again, true}
	case dbus.NoService:
		return Why{"qr-offline-symbolic", i18n.T("There is no service"), text, again, false}
	case dbus.Forbidden:
		return Why{"qr-locked-symbolic", i18n.T("You may not administer qvm-remote"), text, again, false}
	case dbus.Mismatched:
		return Why{"qr-failed-symbolic", i18n.T("The service is of another version"), text, again, false}
	case dbus.NoBus:
		return Why{"qr-offline-symbolic", i18n.T("There is no connection to the message bus"), text, again, true}
	}
	return Why{"qr-info-symbolic", i18n.T("The service cannot be used"), text, again, false}
}
