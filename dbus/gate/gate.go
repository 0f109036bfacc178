// Package gate is the one place where a call over D-Bus is allowed or denied.
// Every method of the service passes [Gate.Check] before it does anything else.
//
// It guarantees:
//   - A member that the table does not name is denied, and so is one whose
//     action is none of [Actions].
//   - Beyond [Open] members, root passes because the bus says that the caller is
//     root, anybody else only because polkit answered yes to this very call.
//     Nothing that polkit says is remembered.
//   - Whatever goes wrong on the way, from a polkit that is not there to an
//     answer that makes no sense, is a denial.
//   - Each wait has a deadline, and the number of questions that wait is bounded.
//   - The caller is known by its unique bus name, which the bus gives to no
//     other connection, and by the uid that the bus saw when it connected.
//     Process numbers, which are used again, play no part.
package gate

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	godbus "github.com/godbus/dbus/v5"
)

// The actions, as org.qvmremote1.policy describes them to polkit and to people.
const (
	View           = "org.qvmremote1.view"
	ManageKeys     = "org.qvmremote1.manage-keys"
	Approve        = "org.qvmremote1.approve"
	ControlService = "org.qvmremote1.control-service"
	ChangeBoot     = "org.qvmremote1.change-boot"
	StopEverything = "org.qvmremote1.stop-everything"
)

// Open marks a member that needs no action: whoever the bus's own policy lets
// through may use it.
const Open = "open"

// Actions lists the actions that a table may name besides [Open].
func Actions() []string {
	return []string{View, ManageKeys, Approve, ControlService, ChangeBoot, StopEverything}
}

// Member is a method. Its interface is never empty: a call that names none is
// none of ours.
type Member struct{ Interface, Name string }

func (m Member) String() string { return m.Interface + "." + m.Name }

// Table says which action each member needs. What it does not name is denied.
type Table map[Member]string

// Caller is who calls.
type Caller struct {
	Sender      string // its unique name, from the message
	UID         uint32 // its user, from [Gate.Identify]; Check asks again rather than believe it
	Interactive bool   // the message lets polkit ask for a password
}

// Gate decides for one connection. Its methods may be called at any time from
// any goroutine.
type Gate struct {
	conn   *godbus.Conn
	table  Table
	limits limits

	mu        sync.Mutex
	uids      map[string]uint32 // of unique names, at most limits.callers
	naming    map[string]*asked // questions to the bus about names, under way
	asking    map[string]int    // questions that wait, of each sender
	askingAll int
}

// limits are all waits and sizes; tests shorten them.
type limits struct {
	identify    time.Duration // for the bus to name a caller's user
	quiet       time.Duration // for polkit to answer by itself
	interactive time.Duration // for somebody to type a password
	perSender   int           // questions at once
	inAll       int           // less than the 128 calls that a bus lets wait by default
	callers     int           // uids remembered
}

func defaults() limits {
	return limits{
		identify: 5 * time.Second, quiet: 25 * time.Second, interactive: 2 * time.Minute,
		perSender: 8, inAll: 64, callers: 1024,
	}
}

// New makes the gate of conn, with a copy of table. It asks nobody anything yet.
func New(conn *godbus.Conn, table Table) *Gate {
	return &Gate{
		conn: conn, table: maps.Clone(table), limits: defaults(),
		uids: map[string]uint32{}, naming: map[string]*asked{}, asking: map[string]int{},
	}
}

// Check returns nil if c may use m now, and otherwise a *[Denied]. It returns
// when polkit has decided, at the deadline (25 s, or 2 min where a password may
// be asked for), or as soon as ctx ends. Who needs leave for several things
// checks them all before it begins with the first.
func (g *Gate) Check(ctx context.Context, m Member, c Caller) error {
	action, known := g.table[m]
	if !known {
		return unknownMember(m)
	}
	if action == Open {
		return nil
	}
	if !slices.Contains(Actions(), action) {
		return unknownMember(m)
	}
	uid, err := g.Identify(ctx, c.Sender)
	if err != nil {
		return unknownCaller(action, err)
	}
	if uid != c.UID {
		return unknownCaller(action, fmt.Errorf("the bus says user %d, the call says %d", uid, c.UID))
	}
	if uid == 0 {
		return nil
	}
	return g.ask(ctx, action, c)
}
