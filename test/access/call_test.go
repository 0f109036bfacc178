package access

import (
	"errors"

	godbus "github.com/godbus/dbus/v5"
)

// noOptions is an empty a{sv}.
var noOptions = map[string]godbus.Variant{}

// accessDenied is the bus's own error for what its policy forbids.
const accessDenied = "org.freedesktop.DBus.Error.AccessDenied"

// errorName is the error's name on the bus, "" for no error.
func errorName(err error) string {
	var e godbus.Error
	switch {
	case errors.As(err, &e):
		return e.Name
	case err != nil:
		return err.Error()
	}
	return ""
}
