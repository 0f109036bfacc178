// Package wire connects to a message bus on which anybody may write to us.
//
// It stands between the bus's socket and godbus, which decodes what others
// send, and it guarantees:
//   - No message that the bus delivers ends the process or the connection. Each
//     is decoded here first, and godbus never sees one that it could not decode.
//   - A message of more than [MaxMessage] bytes is never in memory, but for
//     answers where Options allow more: the system bus delivers those alone that
//     we asked for. A message costs no more than that bound makes it.
//   - A call, or an answer, that is too large or cannot be decoded arrives
//     without its arguments, so that who waits for it hears of it: [Refused]
//     says why. Signals of that kind are dropped, and so is a message whose
//     header alone is too large.
//   - Every file descriptor that comes with a message either is an argument of
//     a call, once, or is closed.
//   - A bus that stops reading for [WriteWait] loses us, rather than that it
//     holds up whoever has something to say.
package wire

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	godbus "github.com/godbus/dbus/v5"
)

const (
	// MaxMessage is the largest message, in bytes, whose body is looked at. The
	// longest that anybody has reason to send are some hundred checkpoints, and
	// the signal of a thousand records.
	MaxMessage = 128 << 10
	// WriteWait is for how long the bus may leave what we send unread.
	WriteWait = 10 * time.Second
	// connectWait bounds the first words with the bus.
	connectWait = 10 * time.Second
)

// Options say what may come from the bus, and go to it.
type Options struct {
	// Incoming, where there is one, sees every message before it is handled, in
	// the order in which they came. It must not wait.
	//
	// Where it returns true for a method call, and there only, the file
	// descriptors that are arguments by themselves become a godbus.UnixFD in its
	// body, and whoever handles the call closes them. A second mention of the
	// same one is -1; one inside an array, a structure or a variant stays a
	// godbus.UnixFDIndex, which says nothing. Without it no descriptor is kept.
	Incoming func(*godbus.Message) (wantsFiles bool)
	// MaxAnswer is the size of the largest answer, in bytes, where that is more
	// than MaxMessage.
	MaxAnswer int
	// SendsFiles lets a godbus.UnixFD that is an argument by itself go with its
	// message. It must be open until godbus's method that sends has returned.
	SendsFiles bool
}

// Dial connects to the bus of that address, says who we are in the one way that
// the kernel vouches for, and gets a unique name. It takes 10 s at most.
func Dial(ctx context.Context, address string, o Options, options ...godbus.ConnOption) (*godbus.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, connectWait)
	defer cancel()
	raw, err := open(ctx, address)
	if err != nil {
		return nil, err
	}
	s := &socket{Options: o, conn: raw, patience: WriteWait}
	late := context.AfterFunc(ctx, func() { _ = raw.Close() })
	conn, err := godbus.NewConn(s, append(options, godbus.WithIncomingInterceptor(s.intercept), godbus.WithOutgoingInterceptor(s.attach))...)
	if err != nil {
		_ = raw.Close()
		return nil, err
	}
	// No other way: godbus would go on to one that reads a file in HOME.
	if err = conn.Auth([]godbus.Auth{godbus.AuthExternal(strconv.Itoa(os.Geteuid()))}); err == nil {
		err = conn.Hello()
	}
	if !late() {
		err = ctx.Err()
	}
	if err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("talk to the bus at %s: %w", address, err)
	}
	return conn, nil
}

// open connects to the first address of a list that answers.
func open(ctx context.Context, addresses string) (*net.UnixConn, error) {
	err := errors.New("this is no address of a bus that is reached by a socket in the file system")
	for _, address := range strings.Split(addresses, ";") {
		name := ""
		keys, local := strings.CutPrefix(address, "unix:")
		for _, pair := range strings.Split(keys, ",") {
			key, value, _ := strings.Cut(pair, "=")
			value, bad := godbus.UnescapeBusAddressValue(value)
			if key == "abstract" {
				value = "@" + value
			}
			if bad == nil && (key == "path" || key == "abstract") {
				name = value
			}
		}
		if !local || name == "" {
			continue
		}
		var conn net.Conn
		if conn, err = new(net.Dialer).DialContext(ctx, "unix", name); err == nil {
			return conn.(*net.UnixConn), nil
		}
	}
	return nil, fmt.Errorf("%q: %w", addresses, err)
}

// refusedField is a header that no message from a bus has: godbus takes none of
// a number that D-Bus does not define.
const refusedField godbus.HeaderField = 255

// Refused says why a message came without its arguments; "" when it has them.
func Refused(msg *godbus.Message) string {
	why, _ := msg.Headers[refusedField].Value().(string)
	return why
}
