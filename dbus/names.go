// Package dbus is what both ends of org.qvmremote1 share, and its typed client.
//
// It guarantees: the XML beside this file is the only description of the
// interface; every name that goes over the bus is written once; a client never
// waits without a deadline, sees signals in their order, and learns of every
// error in words for people ([Error]).
//
// The service is in dbus/service: nothing here links the daemon.
package dbus

import (
	"fmt"
	"strconv"
	"strings"

	godbus "github.com/godbus/dbus/v5"

	"qvmremote/queue"
)

// The names on the bus, fixed for ever. What changes in a way that old clients
// could not stand gets an interface of its own.
const (
	Name             = "org.qvmremote1"
	ManagerInterface = "org.qvmremote1.Manager"
	QubeInterface    = "org.qvmremote1.Qube"
	RequestInterface = "org.qvmremote1.Request"
)

// The manager's object, and where those of qubes and requests are.
const (
	ManagerPath godbus.ObjectPath = "/org/qvmremote1"

	qubePrefix    = "/org/qvmremote1/qube/"
	requestPrefix = "/org/qvmremote1/request/"
)

// The interfaces of D-Bus itself that the service answers.
const (
	Introspectable = "org.freedesktop.DBus.Introspectable"
	Properties     = "org.freedesktop.DBus.Properties"
	ObjectManager  = "org.freedesktop.DBus.ObjectManager"
	Peer           = "org.freedesktop.DBus.Peer"
)

// The states of the executor.
const (
	Stopped  = "stopped"
	Running  = "running"
	Paused   = "paused"
	Stopping = "stopping"
)

// QubePath is the object of the qube of that name. Letters and digits stand for
// themselves, every other byte is "_" and two hex digits.
func QubePath(name string) godbus.ObjectPath {
	var b strings.Builder
	b.WriteString(qubePrefix)
	for _, c := range []byte(name) {
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "_%02x", c)
		}
	}
	return godbus.ObjectPath(b.String())
}

// RequestPath is the object of the request of that number.
func RequestPath(number uint64) godbus.ObjectPath {
	return godbus.ObjectPath(requestPrefix + strconv.FormatUint(number, 10))
}

// RequestNumber is the request whose object p is; ok is false for any path that
// [RequestPath] does not make.
func RequestNumber(p godbus.ObjectPath) (number uint64, ok bool) {
	rest, ok := strings.CutPrefix(string(p), requestPrefix)
	if !ok {
		return 0, false
	}
	number, err := strconv.ParseUint(rest, 10, 64)
	return number, err == nil && RequestPath(number) == p
}

// QubeName is the qube whose object p is; ok is false for any path that
// [QubePath] makes of no qube.
func QubeName(p godbus.ObjectPath) (name string, ok bool) {
	rest, ok := strings.CutPrefix(string(p), qubePrefix)
	if !ok || len(rest) > 3*64 {
		return "", false
	}
	var b []byte
	for i := 0; i < len(rest); i++ {
		c := rest[i]
		if c == '_' {
			if i+3 > len(rest) {
				return "", false
			}
			if n, err := fmt.Sscanf(rest[i+1:i+3], "%02x", &c); n != 1 || err != nil {
				return "", false
			}
			i += 2
		}
		b = append(b, c)
	}
	name = string(b)
	return name, queue.ValidQube(name) && QubePath(name) == p
}
