package dbus

import (
	"context"
	"errors"
	"strings"

	godbus "github.com/godbus/dbus/v5"

	"qvmremote/queue"
)

// Errors that only a client has: the service never sends them.
const (
	Absent       Code = "Absent"       // nobody answers to the name, and nothing can be started that would
	Disconnected Code = "Disconnected" // there is no connection to the message bus, or no more
	Incompatible Code = "Incompatible" // the service is of another version and speaks otherwise
)

const (
	absentText = "qvm-remote is not installed in dom0, or its service cannot be started: see journalctl -u qvm-remote-manage"
	deniedText = "the message bus lets only root and members of the group qubes speak to qvm-remote: " +
		"you are not in the group qubes, or were not when you logged in"
	lateText     = "qvm-remote's service did not answer in time, or ended before it answered; whether it was done is not known"
	goneText     = "the connection to the message bus is lost"
	otherText    = "the service does not know what this program asks for; install the same version of qvm-remote's service and of this program"
	maxErrorText = 4096 // characters
)

// endedError is an Error because a context ended, for errors.Is to find.
type endedError struct {
	err   *Error
	cause error
}

func (e *endedError) Error() string   { return e.err.Text }
func (e *endedError) Unwrap() []error { return []error{e.err, e.cause} }

// plainError puts what godbus reports into words. errors.As finds an [*Error]
// in the result, and errors.Is the context's error where that was the cause.
func plainError(err error) error {
	var answer godbus.Error
	var unsent godbus.FormatError
	var invalid godbus.InvalidMessageError
	switch {
	case errors.Is(err, context.Canceled):
		return &endedError{&Error{Code: Cancelled, Text: "cancelled; whether it was done is not known"}, context.Canceled}
	case errors.Is(err, context.DeadlineExceeded):
		return &endedError{&Error{Code: TimedOut, Text: lateText}, context.DeadlineExceeded}
	case errors.As(err, &answer):
		return answered(answer)
	case errors.As(err, &unsent), errors.As(err, &invalid):
		return &Error{Code: InvalidArgument, Text: "this cannot be sent over the message bus: " + tidy(err.Error())}
	}
	return &Error{Code: Disconnected, Text: goneText} // godbus.ErrClosed, or what reading or writing failed with
}

// answered is an error that somebody on the bus, or the bus, replied with.
func answered(e godbus.Error) *Error {
	text := ""
	if len(e.Body) > 0 {
		text, _ = e.Body[0].(string)
	}
	if code, ok := strings.CutPrefix(e.Name, errorPrefix); ok {
		if text == "" {
			text = "the service says " + code
		}
		return &Error{Code: Code(tidy(code)), Text: tidy(text)}
	}
	if strings.HasPrefix(e.Name, busName+".Error.Spawn.") || strings.HasPrefix(e.Name, "org.freedesktop.systemd1.") {
		return &Error{Code: Absent, Text: absentText}
	}
	switch strings.TrimPrefix(e.Name, busName+".Error.") {
	case "ServiceUnknown", "NameHasNoOwner":
		return &Error{Code: Absent, Text: absentText}
	case "AccessDenied":
		return &Error{Code: NotAuthorized, Text: deniedText}
	case "NoReply", "Timeout", "TimedOut":
		return &Error{Code: TimedOut, Text: lateText}
	case "LimitsExceeded":
		return &Error{Code: LimitsExceeded, Text: "the message bus says that this is too much at once; try again"}
	case "Disconnected":
		return &Error{Code: Disconnected, Text: goneText}
	case "UnknownMethod", "UnknownInterface", "UnknownObject", "UnknownProperty", "InvalidArgs", "InvalidSignature":
		return &Error{Code: Incompatible, Text: otherText}
	}
	return &Error{Code: Failed, Text: tidy(strings.TrimSuffix(e.Name+": "+text, ": "))}
}

// tidy makes text of the bus fit for a terminal.
func tidy(text string) string { return queue.Escape(text, maxErrorText) }
