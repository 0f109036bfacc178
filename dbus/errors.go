package dbus

// Code is the last part of an error's name on the bus, org.qvmremote1.Error.X.
type Code string

const errorPrefix = Name + ".Error."

// The errors of the service. A client acts on the code and shows the text,
// which says what failed and what to do.
const (
	NotAuthorized   Code = "NotAuthorized"   // polkit or its absence says no
	InvalidArgument Code = "InvalidArgument" // what was given is not of the kind that the method takes
	NoSuchObject    Code = "NoSuchObject"    // no object, interface or method of that name
	ReadOnly        Code = "ReadOnly"        // no property can be written
	LimitsExceeded  Code = "LimitsExceeded"  // too many calls, questions or subscribers at once
	NoSuchQube      Code = "NoSuchQube"      // Qubes OS has no qube of that name, or it is none that could ask
	QubeNotRunning  Code = "QubeNotRunning"  // it must run for this
	InvalidKey      Code = "InvalidKey"      // not 64 hex digits, or a key nobody should use
	OtherKey        Code = "OtherKey"        // the qube has another key; say replace, or rotate
	KeyChanged      Code = "KeyChanged"      // the qube's key is not the one that was compared
	NoKey           Code = "NoKey"           // there is no key to take away, replace or cancel
	Refused         Code = "Refused"         // what was asked is not done, for the reason in the text
	RiskNotAccepted Code = "RiskNotAccepted" // accept_risk was not true
	NoSystemd       Code = "NoSystemd"       // nothing here could start a service
	StartFailed     Code = "StartFailed"     // systemd could not start, stop or restart the executor
	NoSuchCommand   Code = "NoSuchCommand"   // no command of that number is being worked on
	NoSuchRequest   Code = "NoSuchRequest"   // no request of that number waits for approval
	OtherHash       Code = "OtherHash"       // the hash is not that of the request's bytes
	NoSuchRecord    Code = "NoSuchRecord"    // the audit log has no record of that number, or no more
	BadSettings     Code = "BadSettings"     // remote.conf must be mended first
	Unavailable     Code = "Unavailable"     // the service is starting, stopping or handing over; try again
	Cancelled       Code = "Cancelled"       // the caller went away, or the service ended
	TimedOut        Code = "TimedOut"        // it took too long and was given up; nothing else is known
	Failed          Code = "Failed"          // anything else; the text says what
)

// Codes are all codes with a sentence each, for documents.
func Codes() map[Code]string {
	return map[Code]string{
		NotAuthorized:   "The caller may not do this; the text names the polkit action that would allow it.",
		InvalidArgument: "An argument is not of the kind that the method takes: its type, a name, an option, a number out of range.",
		NoSuchObject:    "There is no object, interface, method or property of that name.",
		ReadOnly:        "No property can be written; there is a method for every change.",
		LimitsExceeded:  "Too many calls at once, of one client or of all, or too many questions to polkit.",
		NoSuchQube:      "Qubes OS has no qube of that name, or it is none that could ask dom0 for anything.",
		QubeNotRunning:  "The qube must be running for this.",
		InvalidKey:      "This is not the key that `qvm-remote key show` prints.",
		OtherKey:        "The qube has another key, which would be dead at once. Say \"replace\", or use RotateKey.",
		KeyChanged:      "The qube's key is not the one whose fingerprint was given.",
		NoKey:           "There is no key to take away or to replace, or no second key to drop.",
		Refused:         "It is not done, for the reason in the text; asking again changes nothing.",
		RiskNotAccepted: "EnableAtBoot was called without accept_risk.",
		NoSystemd:       "There is no systemd that could start, stop or enable the executor.",
		StartFailed:     "systemd could not do it; the text says where to look.",
		NoSuchCommand:   "The executor works on no command of that number.",
		NoSuchRequest:   "No request of that number waits for approval: it was approved, denied or cancelled, has expired, or waits behind another of its qube.",
		OtherHash:       "The hash is not that of the request's bytes. Look at them again.",
		NoSuchRecord:    "The audit log has no record of that number, or it was pruned.",
		BadSettings:     "The settings in remote.conf must be mended first.",
		Unavailable:     "The service is starting, stopping or handing over. Try again.",
		Cancelled:       "The caller left the bus, or the service ended, before it was done.",
		TimedOut:        "It took too long and was given up.",
		Failed:          "Anything else. The text says what failed.",
	}
}

// Name is the full name of the error on the bus.
func (c Code) Name() string { return errorPrefix + string(c) }

// Error is an error of the service, or of the way to it.
type Error struct {
	Code Code
	Text string // for people; says what to do
}

func (e *Error) Error() string { return e.Text }

// Is makes errors.Is find an Error by its code alone.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code && t.Text == ""
}

// Err is for errors.Is: errors.Is(err, Err(NoKey)).
func Err(c Code) error { return &Error{Code: c} }
