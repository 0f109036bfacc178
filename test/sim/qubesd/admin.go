package qubesd

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"qvmremote/test/sim/world"
)

// The events of the real qubesd that this one sends, but for those of a start,
// which comes to be in several steps.
const (
	eventAdd            = "domain-add"    // of the system, with the qube as "vm"
	eventDelete         = "domain-delete" // of the system, with the qube as "vm"
	eventPreShutdown    = "domain-pre-shutdown"
	eventShutdownFailed = "domain-shutdown-failed"
	eventPaused         = "domain-paused"
	eventUnpaused       = "domain-unpaused"
	eventStart          = "domain-start"
)

// What it sends to those it misbehaves to.
const (
	established = "1\x00\x00connection-established\x00\x00"
	garbage     = "\xff\xfe not qubesd\n\x00\x00\x1b[2J"
	half        = "1\x00wo"
)

// admin is the stand-in of qubesd's own socket. Of what the real one can do, it
// tells of events.
type admin struct {
	world.World
	mu        sync.Mutex
	ln        *net.UnixListener
	listeners map[*listener]bool
}

// listener is a connection that is told of events.
type listener struct {
	conn net.Conn
	send chan []byte
}

func newAdmin(w world.World) *admin {
	return &admin{World: w, listeners: map[*listener]bool{}}
}

// obey does what the knob says now, also to those who listen already.
func (a *admin) obey() (err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	mode := a.Knob("", world.Events)
	for l := range a.listeners {
		switch mode {
		case "garbage":
			a.put(l, garbage)
		case "stall":
			a.put(l, half)
		case "absent", "close", "refuse":
			a.drop(l)
		}
	}
	if mode == "absent" {
		a.stop()
	} else if a.ln == nil {
		if a.ln, err = world.Listen(a.AdminSocket()); err == nil {
			go a.accept(a.ln)
		}
	}
	return err
}

// stop takes the socket away. The lock is held.
func (a *admin) stop() {
	if a.ln != nil {
		a.ln.Close()
		os.Remove(a.AdminSocket())
		a.ln = nil
	}
}

// close ends it all.
func (a *admin) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for l := range a.listeners {
		a.drop(l)
	}
	a.stop()
}

func (a *admin) accept(ln *net.UnixListener) {
	for {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		go a.answer(c)
	}
}

// answer reads a request to its end, as "METHOD+ARG SOURCE name DEST", NUL and
// a payload. What it cannot read, and a method that it never heard of, it leaves
// without an answer, as the real one does.
func (a *admin) answer(c net.Conn) {
	c.SetReadDeadline(time.Now().Add(limit))
	request, err := io.ReadAll(io.LimitReader(c, 1<<16+1))
	head, payload, ok := bytes.Cut(request, []byte{0})
	f := strings.Split(string(head), " ")
	if err != nil || !ok || len(request) > 1<<16 || len(f) != 4 || f[2] != "name" {
		c.Close()
		return
	}
	method, arg, _ := strings.Cut(f[0], "+")
	switch {
	case f[3] != "dom0" && !a.Exists(f[3]):
		refuse(c, "QubesVMNotFoundError", "No such domain: '"+f[3]+"'")
	case !strings.HasPrefix(method, "admin."):
		c.Close()
	case method != "admin.Events" || f[3] != "dom0" || arg != "" || len(payload) > 0:
		refuse(c, "QubesException", "this is not simulated")
	default:
		a.listen(c)
	}
}

func refuse(c net.Conn, what, why string) {
	defer c.Close()
	io.WriteString(c, "2\x00"+what+"\x00\x00"+why+"\x00")
}

// listen tells the connection of events from now on.
func (a *admin) listen(c net.Conn) {
	l := &listener{conn: c, send: make(chan []byte, 1000)}
	a.mu.Lock()
	defer a.mu.Unlock()
	mode := a.Knob("", world.Events)
	if mode == "refuse" {
		refuse(c, "QubesException", "not today\x1b[2J")
		return
	}
	a.listeners[l] = true
	go l.pump()
	switch mode {
	case "garbage":
		a.put(l, garbage)
	case "stall":
		a.put(l, half)
	case "close":
		a.put(l, established)
		a.drop(l)
	default:
		a.put(l, established)
	}
}

// pump writes until there is no more to come.
func (l *listener) pump() {
	defer l.conn.Close()
	for b := range l.send {
		l.conn.SetWriteDeadline(time.Now().Add(limit))
		if _, err := l.conn.Write(b); err != nil {
			return
		}
	}
}

// put sends something; who does not read for too long is left. The lock is
// held, as it is for drop, after which what was put is still written.
func (a *admin) put(l *listener, s string) {
	select {
	case l.send <- []byte(s):
	default:
		a.drop(l)
	}
}

func (a *admin) drop(l *listener) {
	delete(a.listeners, l)
	close(l.send)
}

// tell sends an event to all, with pairs of key and value. The subject is a
// qube, or "" for the system.
func (a *admin) tell(subject, event string, pairs ...string) {
	text := fmt.Sprintf("1\x00%s\x00%s\x00", subject, event)
	for _, s := range pairs {
		text += s + "\x00"
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for l := range a.listeners {
		a.put(l, text+"\x00")
	}
}

// moved tells what the real one tells of such a change of state.
func (a *admin) moved(qube string, from, to world.State) {
	down := func(s world.State) bool { return s == world.Halted || s == world.Crashed || s == "" }
	switch {
	case from == to:
	case down(to):
		if !down(from) {
			a.tell(qube, "domain-stopped")
			a.tell(qube, "domain-shutdown")
		}
	case to == world.Transient:
		a.tell(qube, "domain-pre-start", "start_guid", "True", "mem_required", "None")
		a.tell(qube, "domain-spawn", "start_guid", "True")
	case to == world.Running && from == world.Paused:
		a.tell(qube, eventUnpaused)
	case to == world.Running && from == world.Halting:
		a.tell(qube, eventShutdownFailed, "reason", "it was told to stay")
	case to == world.Running:
		a.tell(qube, eventStart, "start_guid", "True")
	case to == world.Paused:
		a.tell(qube, eventPaused)
	case to == world.Halting:
		a.tell(qube, eventPreShutdown, "force", "False")
	}
}
