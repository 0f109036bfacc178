package queue

import (
	"bytes"
	"errors"
	"math"
	"testing"

	"pgregory.net/rapid"
)

func ids() *rapid.Generator[string] {
	return rapid.StringMatching(`[A-Za-z0-9][A-Za-z0-9._-]{0,20}`).Filter(ValidID)
}

func qubes() *rapid.Generator[string] {
	return rapid.OneOf(rapid.StringMatching(`[A-Za-z][A-Za-z0-9_-]{0,30}`).Filter(ValidQube), rapid.Just("work"))
}

func sums() *rapid.Generator[Sum] {
	return rapid.Custom(func(t *rapid.T) Sum {
		s := SumOf(rapid.SliceOfN(rapid.Byte(), 0, 4).Draw(t, "bytes"))
		s.Size = rapid.Int64Range(0, math.MaxInt64).Draw(t, "size")
		return s
	})
}

func maybe(g *rapid.Generator[Sum]) *rapid.Generator[Sum] { return rapid.OneOf(g, rapid.Just(Sum{})) }

func numbers() *rapid.Generator[int64] { return rapid.Int64Range(0, math.MaxInt64) }

func times() *rapid.Generator[int64] { return rapid.Int64Range(0, maxTime) }

func digests() *rapid.Generator[Digest] {
	return rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 4), DigestOf)
}

func requests() *rapid.Generator[Request] {
	return rapid.Custom(func(t *rapid.T) Request {
		return Request{
			Kind: rapid.OneOf(rapid.SampledFrom([]string{KindScript, KindPing}), rapid.StringMatching(`[a-z][a-z-]{0,31}`)).Draw(t, "kind"),
			ID:   ids().Draw(t, "id"), Qube: rapid.OneOf(qubes(), rapid.Just(AnyQube)).Draw(t, "qube"),
			Issued: times().Draw(t, "issued"), Expires: times().Draw(t, "expires"), Timeout: numbers().Draw(t, "timeout"),
			Body: sums().Draw(t, "body"), Stdin: maybe(sums()).Draw(t, "stdin"),
		}
	})
}

func cancels() *rapid.Generator[Cancel] {
	return rapid.Custom(func(t *rapid.T) Cancel {
		return Cancel{
			ID: ids().Draw(t, "id"), Qube: rapid.OneOf(qubes(), rapid.Just(AnyQube)).Draw(t, "qube"),
			Issued: times().Draw(t, "issued"), Expires: times().Draw(t, "expires"), Request: digests().Draw(t, "request"),
		}
	})
}

func results() *rapid.Generator[Result] {
	return rapid.Custom(func(t *rapid.T) Result {
		r := Result{
			ID: ids().Draw(t, "id"), Qube: qubes().Draw(t, "qube"), Request: digests().Draw(t, "request"),
			State:   rapid.SampledFrom([]State{StateExit, StateTimeout, StateCancelled, StateDenied, StateInterrupted}).Draw(t, "state"),
			Exit:    rapid.IntRange(0, 255).Draw(t, "exit"),
			Started: times().Draw(t, "started"), DurationMS: numbers().Draw(t, "duration"),
			Out: maybe(sums()).Draw(t, "out"), Err: maybe(sums()).Draw(t, "err"),
		}
		if rapid.Bool().Draw(t, "checkpoint") {
			r.Checkpoint = digests().Draw(t, "digest").String()
		}
		if r.State == StateDenied {
			r.Exit, r.Reason = NoExit, Reason(rapid.StringMatching(`[a-z][a-z-]{4,31}`).Draw(t, "reason"))
		}
		return r
	})
}

// Round trip: what is signed reads back as the same value, and it fits.
func TestHeadersRoundTrip(t *testing.T) {
	t.Parallel()
	k := testKey(t)
	rapid.Check(t, func(t *rapid.T) {
		r, c, x := requests().Draw(t, "request"), cancels().Draw(t, "cancel"), results().Draw(t, "result")
		header := r.Sign(k.RequestKey())
		if got, e, err := parseRequest(header); err != nil || got != r || !e.authentic(k.RequestKey()) || len(header) > MaxHeader {
			t.Fatalf("request %+v read as %+v, %v", r, got, err)
		}
		header = c.Sign(k.RequestKey())
		if got, e, err := parseCancel(header); err != nil || got != c || !e.authentic(k.RequestKey()) || len(header) > MaxHeader {
			t.Fatalf("cancel %+v read as %+v, %v", c, got, err)
		}
		header = x.Sign(k.ResultKey())
		if got, err := OpenResult(header, k.ResultKey()); err != nil || got != x || len(header) > MaxHeader {
			t.Fatalf("result %+v read as %+v, %v", x, got, err)
		}
	})
}

// Injectivity: requests that differ in anything have headers that differ.
func TestDifferentRequestsDifferentHeaders(t *testing.T) {
	t.Parallel()
	k := testKey(t)
	rapid.Check(t, func(t *rapid.T) {
		a, b := requests().Draw(t, "a"), requests().Draw(t, "b")
		// Share most fields, so that a pair differs in little.
		mixed := a
		for i, take := range []func(){
			func() { mixed.Kind = b.Kind }, func() { mixed.ID = b.ID }, func() { mixed.Qube = b.Qube },
			func() { mixed.Issued = b.Issued }, func() { mixed.Expires = b.Expires }, func() { mixed.Timeout = b.Timeout },
			func() { mixed.Body.Size = b.Body.Size }, func() { mixed.Body.SHA256 = b.Body.SHA256 }, func() { mixed.Stdin = b.Stdin },
		} {
			if rapid.IntRange(0, 8).Draw(t, "field") == i {
				take()
			}
		}
		if same := bytes.Equal(a.Sign(k.RequestKey()), mixed.Sign(k.RequestKey())); same != (a == mixed) {
			t.Fatalf("%+v and %+v: headers equal is %v", a, mixed, same)
		}
	})
}

// Any other byte string near a valid header is malformed or has a bad MAC.
func TestMutatedHeadersAreRefused(t *testing.T) {
	t.Parallel()
	k := testKey(t)
	rapid.Check(t, func(t *rapid.T) {
		r, x := requests().Draw(t, "request"), results().Draw(t, "result")
		for _, header := range [][]byte{r.Sign(k.RequestKey()), x.Sign(k.ResultKey())} {
			i := rapid.IntRange(0, len(header)-1).Draw(t, "at")
			c := rapid.Byte().Draw(t, "byte")
			b := bytes.Clone(header)
			switch rapid.IntRange(0, 2).Draw(t, "how") {
			case 0:
				b[i] = c
			case 1:
				b = append(b[:i:i], append([]byte{c}, header[i:]...)...)
			default:
				b = append(b[:i:i], header[i+1:]...)
			}
			if bytes.Equal(b, header) {
				continue
			}
			_, e, err := parseRequest(b)
			if !errors.Is(err, ErrMalformed) && e.authentic(k.RequestKey()) {
				t.Fatalf("a changed request is believed: %q", b)
			}
			if _, err := OpenResult(b, k.ResultKey()); !refused(err) {
				t.Fatalf("a changed result is believed: %q", b)
			}
		}
	})
}

func TestLongestHeadersFit(t *testing.T) {
	t.Parallel()
	k := testKey(t)
	id := string(bytes.Repeat([]byte("i"), MaxID))
	qube := string(bytes.Repeat([]byte("q"), 31))
	word := string(bytes.Repeat([]byte("w"), 32))
	most := Sum{Size: math.MaxInt64, Present: true}
	r := Request{Kind: word, ID: id, Qube: qube, Issued: maxTime, Expires: maxTime, Timeout: math.MaxInt64, Body: most, Stdin: most}
	if _, _, err := parseRequest(r.Sign(k.RequestKey())); err != nil {
		t.Errorf("the longest request: %v", err)
	}
	x := Result{
		ID: id, Qube: qube, State: StateDenied, Reason: Reason(word), Exit: NoExit, Started: maxTime, DurationMS: math.MaxInt64,
		Out: most, Err: most, Checkpoint: Digest{}.String(),
	}
	if _, err := OpenResult(x.Sign(k.ResultKey()), k.ResultKey()); err != nil {
		t.Errorf("the longest result: %v", err)
	}
}

// The parsers agree with the encoders on every input: what parses is its own
// encoding.
func FuzzRequest(f *testing.F) {
	f.Add([]byte(goldenRequestText))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, e, err := parseRequest(b)
		if err != nil {
			if r != (Request{}) || e.mac != nil {
				t.Errorf("a malformed request left %+v", r)
			}
			return
		}
		if !bytes.HasPrefix(b, r.encode()) || !bytes.Equal(e.signed, r.encode()) || !ValidID(r.ID) || len(b) > MaxHeader {
			t.Errorf("%q read as %+v", b, r)
		}
		if _, _, d := goldenCheck().Request(b, Key{}); d == nil || d.Reason != BadMAC {
			t.Errorf("without a key: %v", d)
		}
	})
}

func FuzzCancel(f *testing.F) {
	f.Add([]byte(goldenCancelText))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, e, err := parseCancel(b)
		if err == nil && (!bytes.Equal(e.signed, c.encode()) || !ValidID(c.ID) || len(b) > MaxHeader) {
			t.Errorf("%q read as %+v", b, c)
		}
		if err != nil && c != (Cancel{}) {
			t.Errorf("a malformed cancel left %+v", c)
		}
	})
}

func FuzzResult(f *testing.F) {
	f.Add([]byte(goldenResultText))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, e, err := parseResult(b)
		if err == nil && (!bytes.Equal(e.signed, r.encode()) || !ValidID(r.ID) || r.Exit < NoExit || r.Exit > 255 || len(b) > MaxHeader) {
			t.Errorf("%q read as %+v", b, r)
		}
		if err != nil && r != (Result{}) {
			t.Errorf("a malformed result left %+v", r)
		}
	})
}
