package queue

import (
	"fmt"
	"time"
	"unicode"
	"unicode/utf8"
)

// Check is what dom0 knows when it reads a header: everything the header is
// held against. The claims are looked up before it and the claim is made after
// it; both belong to the caller.
type Check struct {
	ID         string // the file's name
	Qube       string // the qube dom0 opened
	Now        time.Time
	Floor      func(fingerprint string) int64 // Unix seconds; accept nothing issued before
	MaxTimeout int64                          // seconds; 0 = [MaxTimeout]
	MaxBody    int64                          // bytes; 0 = [MaxScript]
	MaxStdin   int64                          // bytes; 0 = [MaxStdin]
}

// Request opens a request header with the first of keys that made its MAC
// (two while a key is rotated) and checks everything the header says. On
// denial the Request and Key are filled only if the denial is Authentic.
func (c Check) Request(b []byte, keys ...Key) (Request, Key, *Denial) {
	r, e, err := parseRequest(b)
	if err != nil {
		return Request{}, Key{}, &Denial{Reason: Malformed}
	}
	k, ok := signer(e, keys)
	if !ok {
		return Request{}, Key{}, &Denial{Reason: BadMAC}
	}
	if d := c.identity(r.ID, r.Qube); d != nil {
		return r, k, d
	}
	if d := c.times(r.Issued, r.Expires, c.floor(k)); d != nil {
		return r, k, d
	}
	if d := c.shape(r); d != nil {
		return r, k, d
	}
	return r, k, nil
}

// Cancel opens a cancel the same way. A cancel has no timeout and no parts; it
// may come after the request expired, for that request may be running. Its
// expires is at most 24 h + 60 s after its issued: that is how long a claim is
// kept, so a request that was cancelled unseen has expired before its claim is
// forgotten. A day after that it counts no more: its request may have been
// answered, and that answer's claim be forgotten. (A client whose clock fell
// back dates the cancel as the request.)
func (c Check) Cancel(b []byte, keys ...Key) (Cancel, Key, *Denial) {
	x, e, err := parseCancel(b)
	if err != nil {
		return Cancel{}, Key{}, &Denial{Reason: Malformed}
	}
	k, ok := signer(e, keys)
	if !ok {
		return Cancel{}, Key{}, &Denial{Reason: BadMAC}
	}
	if d := c.identity(x.ID, x.Qube); d != nil {
		return x, k, d
	}
	switch now := c.Now.Unix(); {
	case x.Issued < c.floor(k), now > x.Expires+int64((MaxWithin+ClockSlack)/time.Second):
		return x, k, c.late(Stale)
	case x.Issued > now+int64(ClockSlack/time.Second), x.Expires > now+int64((MaxWithin+ClockSlack)/time.Second):
		return x, k, c.late(Future)
	case x.Expires > x.Issued+int64((MaxWithin+ClockSlack)/time.Second):
		return x, k, &Denial{Reason: Limit, Authentic: true, Detail: "the cancel is older than its request can be"}
	}
	return x, k, nil
}

func signer(e envelope, keys []Key) (Key, bool) {
	for _, k := range keys {
		if !k.IsZero() && e.authentic(k.RequestKey()) {
			return k, true
		}
	}
	return Key{}, false
}

func (c Check) floor(k Key) int64 {
	if c.Floor == nil {
		return 0
	}
	return c.Floor(k.Fingerprint())
}

func (c Check) identity(id, qube string) *Denial {
	if id != c.ID {
		return &Denial{Reason: WrongID, Authentic: true}
	}
	if qube != AnyQube && qube != c.Qube {
		return &Denial{Reason: WrongQube, Authentic: true,
			Detail: fmt.Sprintf("the request says %s, dom0 opened %s", qube, c.Qube)}
	}
	return nil
}

func (c Check) times(issued, expires, floor int64) *Denial {
	now := c.Now.Unix()
	switch {
	case issued < floor:
		return c.late(Stale)
	case issued > now+int64(ClockSlack/time.Second):
		return c.late(Future)
	case expires <= issued || expires-issued > int64(MaxWithin/time.Second):
		return &Denial{Reason: Limit, Authentic: true,
			Detail: fmt.Sprintf("expires must be 1 to %d seconds after issued", int64(MaxWithin/time.Second))}
	case now > expires:
		return c.late(Expired)
	}
	return nil
}

// late denies for time and carries dom0's clock.
func (c Check) late(r Reason) *Denial {
	return &Denial{Reason: r, Authentic: true,
		Detail: "dom0's clock says " + c.Now.UTC().Format("2006-01-02 15:04:05 UTC")}
}

func (c Check) shape(r Request) *Denial {
	over := func(what string, got, limit int64) *Denial {
		return &Denial{Reason: Limit, Authentic: true, Detail: fmt.Sprintf("%s %d, allowed %d", what, got, limit)}
	}
	// First, for the kind says what the rest means.
	if r.Kind != KindPing && r.Kind != KindScript {
		return &Denial{Reason: Unsupported, Authentic: true, Detail: r.Kind}
	}
	if limit := orDefault(c.MaxTimeout, MaxTimeout); r.Timeout < 1 || r.Timeout > limit {
		return over("timeout", r.Timeout, limit)
	}
	if limit := orDefault(c.MaxBody, MaxScript); r.Body.Size > limit {
		return over("script bytes", r.Body.Size, limit)
	}
	if limit := orDefault(c.MaxStdin, MaxStdin); r.Stdin.Size > limit {
		return over("input bytes", r.Stdin.Size, limit)
	}
	switch {
	case r.Kind == KindPing && (r.Body.Size != 0 || r.Stdin.Present):
		return &Denial{Reason: Limit, Authentic: true, Detail: "a ping has no script and no input"}
	case r.Kind == KindScript && r.Body.Size == 0:
		return &Denial{Reason: Empty, Authentic: true}
	}
	return nil
}

func orDefault(v, d int64) int64 {
	if v > 0 {
		return v
	}
	return d
}

// CheckScript refuses a script that is empty or not text: NUL and control
// characters other than TAB, LF and CR would hide from whoever approves or
// audits it. U+0080 to U+009F are such controls too (U+009B begins an escape
// sequence). Bytes that are not UTF-8 pass, and so do format characters such
// as U+202E: whoever shows a script escapes them.
func CheckScript(b []byte) *Denial {
	blank := true
	for len(b) > 0 {
		c, n := utf8.DecodeRune(b)
		b = b[n:]
		if unicode.IsControl(c) && c != '\t' && c != '\n' && c != '\r' {
			return &Denial{Reason: Binary, Authentic: true}
		}
		if c > ' ' {
			blank = false
		}
	}
	if blank {
		return &Denial{Reason: Empty, Authentic: true}
	}
	return nil
}
