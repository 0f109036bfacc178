package service

import (
	"context"
	"errors"
	"fmt"
	"os/user"
	"strconv"
	"strings"

	godbus "github.com/godbus/dbus/v5"

	"qvmremote/daemon"
	"qvmremote/daemon/admin"
	"qvmremote/daemon/approval"
	"qvmremote/daemon/audit"
	"qvmremote/daemon/keys"
	"qvmremote/daemon/settings"
	"qvmremote/daemon/systemd"
	"qvmremote/dbus"
	"qvmremote/dbus/gate"
	"qvmremote/queue"
)

func fail(code dbus.Code, format string, args ...any) error {
	return &dbus.Error{Code: code, Text: fmt.Sprintf(format, args...)}
}

var errTooManySubscribers = fail(dbus.LimitsExceeded, "%d clients are subscribed already", maxSubscribers)

// named gives every error the name that it has on the bus. What a caller typed
// is quoted, and no text is longer than a screen.
func named(err error) *dbus.Error {
	var e *dbus.Error
	if errors.As(err, &e) {
		return e
	}
	return &dbus.Error{Code: codeOf(err), Text: shown(err.Error())}
}

// shown makes text fit to be shown, on one line.
func shown(text string) string { return queue.Plain(strings.ReplaceAll(text, "\n", "; "), maxText) }

const (
	maxText = 4000 // characters of an error
	maxName = 80   // characters of what a caller called something
)

func clip(s string) string   { return queue.Escape(s, maxName) }
func quoted(s string) string { return queue.Quote(s, maxName) }

func codeOf(err error) dbus.Code {
	var (
		denied *gate.Denied
		other  *admin.ReplaceError
		job    *systemd.JobError
		bus    godbus.Error
	)
	switch {
	case errors.As(err, &bus) && bus.Name == "org.freedesktop.DBus.Error.LimitsExceeded":
		return dbus.LimitsExceeded
	case errors.Is(err, gate.ErrBusy):
		return dbus.LimitsExceeded
	case errors.As(err, &denied) && errors.Is(err, context.Canceled):
		return dbus.Cancelled
	case errors.As(err, &denied):
		return dbus.NotAuthorized
	case errors.As(err, &other):
		return dbus.OtherKey
	case errors.Is(err, settings.ErrBroken): // why a job failed, where both are said
		return dbus.BadSettings
	case errors.As(err, &job):
		return dbus.StartFailed
	}
	for _, known := range []struct {
		err  error
		code dbus.Code
	}{
		{systemd.ErrNone, dbus.NoSystemd}, {admin.ErrNoQube, dbus.NoSuchQube}, {admin.ErrNotRunning, dbus.QubeNotRunning},
		{keys.ErrNoKey, dbus.NoKey}, {keys.ErrNoNext, dbus.NoKey}, {queue.ErrKey, dbus.InvalidKey},
		{daemon.ErrNoCommand, dbus.NoSuchCommand}, {approval.ErrNone, dbus.NoSuchRequest}, {approval.ErrHash, dbus.OtherHash}, {approval.ErrScope, dbus.InvalidArgument}, {audit.ErrNoRecord, dbus.NoSuchRecord},
		{admin.ErrRefused, dbus.Refused}, {context.DeadlineExceeded, dbus.TimedOut}, {context.Canceled, dbus.Cancelled},
	} {
		if errors.Is(err, known.err) {
			return known.code
		}
	}
	return dbus.Failed
}

// account names an account for the record.
func account(uid uint32) string {
	id := strconv.FormatUint(uint64(uid), 10)
	if u, err := user.LookupId(id); err == nil && queue.ValidAccount(u.Username) {
		return u.Username
	}
	return id
}
