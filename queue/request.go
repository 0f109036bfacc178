package queue

import (
	"fmt"
)

// The kinds of request. A kind that dom0 does not know is refused as
// [Unsupported], so that a newer client gets an answer it understands.
const (
	KindScript = "script" // a script for bash
	KindPing   = "ping"   // checked and claimed like a script; starts nothing
)

// AnyQube stands in a request for a qube that does not know its own name.
const AnyQube = "-"

// Request is the header <id>.auth that a qube publishes (docs/protocol.md §4).
type Request struct {
	Kind    string
	ID      string
	Qube    string // the qube's name as dom0 told it, or [AnyQube]
	Issued  int64  // Unix seconds, the qube's clock
	Expires int64  // Unix seconds; the last moment at which the shell may start
	Timeout int64  // seconds from the start of the shell
	Body    Sum    // the script; always present
	Stdin   Sum    // "none" = /dev/null
}

func (r *Request) encode() []byte {
	return fmt.Appendf(nil, "qvm-remote/2\nkind %s\nid %s\nqube %s\nissued %d\nexpires %d\ntimeout %d\nbody %s\nstdin %s\n",
		r.Kind, r.ID, r.Qube, r.Issued, r.Expires, r.Timeout, r.Body, r.Stdin)
}

// Sign spells r and signs it with the qube's request key.
func (r *Request) Sign(k MACKey) []byte { return k.sign(r.encode()) }

// parseRequest reads a header's one spelling. Nothing of it may be believed
// before the envelope was found authentic.
func parseRequest(b []byte) (Request, envelope, error) {
	f := newFields(b, "qvm-remote/2")
	r := Request{
		Kind: f.text("kind"), ID: f.text("id"), Qube: f.text("qube"),
		Issued: f.time("issued"), Expires: f.time("expires"), Timeout: f.number("timeout"),
		Body: f.sum("body"), Stdin: f.sum("stdin"),
	}
	mac := f.mac()
	if !token(r.Kind) || !ValidID(r.ID) || r.Qube != AnyQube && !ValidQube(r.Qube) || !r.Body.Present {
		f.bad = true
	}
	e, err := f.seal(b, mac, r.encode())
	if err != nil {
		return Request{}, e, err
	}
	return r, e, nil
}

// ReadOwnRequest parses a header that this side wrote itself, such as the
// client's copy in its history, without a key to check it. Never use it on
// bytes from the other side: see [Check].
func ReadOwnRequest(b []byte) (Request, error) {
	r, _, err := parseRequest(b)
	return r, err
}

// Cancel is the file cancel/<id>: the qube takes one request back.
type Cancel struct {
	ID      string
	Qube    string
	Issued  int64 // Unix seconds, when the cancel was made
	Expires int64 // the request's; at most [MaxWithin] + [ClockSlack] after Issued
	Request Digest
}

func (c *Cancel) encode() []byte {
	return fmt.Appendf(nil, "qvm-remote/2 cancel\nid %s\nqube %s\nissued %d\nexpires %d\nrequest %s\n",
		c.ID, c.Qube, c.Issued, c.Expires, c.Request)
}

// Sign spells c and signs it with the qube's request key.
func (c *Cancel) Sign(k MACKey) []byte { return k.sign(c.encode()) }

func parseCancel(b []byte) (Cancel, envelope, error) {
	f := newFields(b, "qvm-remote/2 cancel")
	c := Cancel{
		ID: f.text("id"), Qube: f.text("qube"),
		Issued: f.time("issued"), Expires: f.time("expires"), Request: f.digest("request"),
	}
	mac := f.mac()
	if !ValidID(c.ID) || c.Qube != AnyQube && !ValidQube(c.Qube) {
		f.bad = true
	}
	e, err := f.seal(b, mac, c.encode())
	if err != nil {
		return Cancel{}, e, err
	}
	return c, e, nil
}
