package dbus

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	godbus "github.com/godbus/dbus/v5"

	"qvmremote/queue"
)

// Request is a request that waits for somebody to approve it: the properties of
// org.qvmremote1.Request, which its XML describes.
type Request struct {
	Number     uint64
	Qube       string
	Received   time.Time
	Expires    time.Time
	Sha256     string // of script and input, as Approve takes it
	ScriptSize uint64 // bytes
	StdinSize  int64  // bytes; -1 for none
	Rule       string // file and line
	Waiting    uint32 // of the same qube, behind it
}

func (r *Request) field(name string) any {
	switch name {
	case "Number":
		return &r.Number
	case "Qube":
		return &r.Qube
	case "Received":
		return &r.Received
	case "Expires":
		return &r.Expires
	case "Sha256":
		return &r.Sha256
	case "ScriptSize":
		return &r.ScriptSize
	case "StdinSize":
		return &r.StdinSize
	case "Rule":
		return &r.Rule
	case "Waiting":
		return &r.Waiting
	}
	return nil
}

// Requests lists what waits for approval, the oldest first.
func (c *Client) Requests(ctx context.Context) ([]Request, error) {
	all, err := c.objects(ctx, "")
	if err != nil {
		return nil, err
	}
	requests, err := all.requests()
	return inOrder(requests), err
}

func inOrder(requests map[uint64]Request) []Request {
	return slices.SortedFunc(maps.Values(requests), func(a, b Request) int { return cmp.Compare(a.Number, b.Number) })
}

// ReadRequest reads what is told of one request that waits for approval.
func (c *Client) ReadRequest(ctx context.Context, number uint64) (Request, error) {
	var r Request
	err := c.readAll(ctx, "", RequestPath(number), RequestInterface, &r)
	r.Number = number
	return r, err
}

// RequestBytes reads the whole script and input of a request that waits for
// approval, and the hash that names them, reckoned here: what is shown is what
// [Client.Approve] is told. stdin is nil where there is none.
func (c *Client) RequestBytes(ctx context.Context, r Request) (script, stdin []byte, hash string, err error) {
	if err := c.call(ctx, onRequest(r.Number, "GetScript"), &script); err != nil {
		return nil, nil, "", err
	}
	var sum queue.Sum
	if r.StdinSize >= 0 {
		stdin = []byte{}
		for int64(len(stdin)) < r.StdinSize {
			var piece []byte
			if err := c.call(ctx, onRequest(r.Number, "GetStdin", uint64(len(stdin))), &piece); err != nil {
				return nil, nil, "", err
			}
			if len(piece) == 0 || int64(len(stdin)+len(piece)) > min(r.StdinSize, queue.MaxStdin) {
				return nil, nil, "", incompatible("the input of request " + fmt.Sprint(r.Number))
			}
			stdin = append(stdin, piece...)
		}
		sum = queue.SumOf(stdin)
	}
	return script, bytes.Clone(stdin), queue.HashOf(queue.SumOf(script), sum), nil
}

// Difference is how script and input of a request differ from those of its qube
// that were last approved, as diff -u, fit to be shown, "" for the same bytes;
// known is false where none were since the executor started.
func (c *Client) Difference(ctx context.Context, number uint64) (difference string, known bool, err error) {
	err = c.call(ctx, onRequest(number, "GetDifference"), &known, &difference)
	return difference, known, err
}

// Scope is what an approval is good for, beside the request that it answers; the
// zero Scope is that request alone.
type Scope struct {
	Qube        bool // whatever the qube asks, not these bytes alone
	For         time.Duration
	Count       uint64 // requests
	UntilReboot bool
}

// Approve lets a request run whose bytes have this hash.
func (c *Client) Approve(ctx context.Context, number uint64, hash string, s Scope) error {
	scope := map[string]godbus.Variant{}
	flag(scope, "qube", s.Qube)
	flag(scope, "until-reboot", s.UntilReboot)
	amount(scope, "for", wholeSeconds(s.For))
	amount(scope, "count", s.Count)
	return c.call(ctx, onRequest(number, "Approve", hash, scope))
}

// Deny denies a request; the same bytes are denied for a while, or until dom0
// reboots.
func (c *Client) Deny(ctx context.Context, number uint64, untilReboot bool) error {
	scope := map[string]godbus.Variant{}
	flag(scope, "until-reboot", untilReboot)
	return c.call(ctx, onRequest(number, "Deny", scope))
}

// wholeSeconds never makes of a time none, which would be without an end: it is
// rounded up, and a negative one is longer than the service takes.
func wholeSeconds(d time.Duration) uint64 {
	if d < 0 {
		return math.MaxUint64
	}
	return (uint64(d) + uint64(time.Second) - 1) / uint64(time.Second)
}

func flag(values map[string]godbus.Variant, name string, yes bool) {
	if yes {
		values[name] = godbus.MakeVariant(true)
	}
}

func amount(values map[string]godbus.Variant, name string, n uint64) {
	if n > 0 {
		values[name] = godbus.MakeVariant(n)
	}
}

func text(values map[string]godbus.Variant, name, value string) {
	if value != "" {
		values[name] = godbus.MakeVariant(value)
	}
}

func onRequest(number uint64, method string, args ...any) request {
	return request{path: RequestPath(number), iface: RequestInterface, method: method, args: args}
}

// requests are those among objects, by number.
func (o objects) requests() (map[uint64]Request, error) {
	requests := map[uint64]Request{}
	for path, interfaces := range o {
		number, ok := RequestNumber(path)
		properties, has := interfaces[RequestInterface]
		if !ok || !has {
			continue
		}
		var r Request
		if err := setAll(&r, RequestInterface, properties); err != nil {
			return nil, err
		}
		r.Number = number
		requests[number] = r
	}
	return requests, nil
}
