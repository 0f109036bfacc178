package daemon

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

// notifier tells the service manager how the executor is (sd_notify(3)). Where
// nobody asked to be told it does nothing. What it needs to know comes from the
// environment that the executor was given, not from the process's: commands get
// neither.
type notifier struct {
	socket   string        // "" is none
	watchdog time.Duration // it is restarted when it says nothing for so long; 0: never
}

// Notify tells the service manager that environ names, if any, such as
// "READY=1", for a program of dom0 that is no executor.
func Notify(environ []string, lines ...string) error { return newNotifier(environ).tell(lines...) }

// notifyWait bounds how long a message may take: nobody may hold the executor
// up by not reading.
const notifyWait = time.Second

// newNotifier reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID.
func newNotifier(environ []string) notifier {
	var n notifier
	var usec, pid string
	for _, e := range environ {
		name, value, _ := strings.Cut(e, "=")
		switch name {
		case "NOTIFY_SOCKET":
			n.socket = value
		case "WATCHDOG_USEC":
			usec = value
		case "WATCHDOG_PID":
			pid = value
		}
	}
	us, err := strconv.ParseInt(usec, 10, 64)
	mine := pid == "" || pid == strconv.Itoa(os.Getpid())
	if err == nil && us > 0 && us <= int64(24*time.Hour/time.Microsecond) && mine && n.socket != "" {
		n.watchdog = time.Duration(us) * time.Microsecond
	}
	return n
}

// tell sends lines such as READY=1.
func (n notifier) tell(lines ...string) error {
	if n.socket == "" {
		return nil
	}
	if !strings.HasPrefix(n.socket, "/") && !strings.HasPrefix(n.socket, "@") {
		return errors.New("cannot tell the service manager: NOTIFY_SOCKET is no socket of this machine")
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: n.socket, Net: "unixgram"})
	if err != nil {
		return fmt.Errorf("cannot tell the service manager: %w", err)
	}
	defer func() { _ = conn.Close() }()
	err = conn.SetWriteDeadline(time.Now().Add(notifyWait))
	if err == nil {
		_, err = conn.Write([]byte(strings.Join(lines, "\n")))
	}
	if err != nil {
		return fmt.Errorf("cannot tell the service manager: %w", err)
	}
	return nil
}

// notify tells the service manager; that it could not is for the journal only.
func (x *Executor) notify(lines ...string) {
	if err := x.manager.tell(lines...); err != nil {
		x.warn("the service manager does not hear", "error", err)
	}
}

// line is the status in one line for people.
func (s Status) line() string {
	connected := 0
	for _, q := range s.Qubes {
		if q.State == StateConnected {
			connected++
		}
	}
	state := s.State
	if s.StoppedEverything {
		state += ", everything stopped"
	}
	return fmt.Sprintf("%s; qubes: %d of %d connected; commands: %d run, %d wait", state, connected, len(s.Qubes), s.Running, s.Waiting)
}
