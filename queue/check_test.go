package queue

import (
	"math"
	"strings"
	"testing"
	"time"
)

const (
	now = int64(1795444970) // goldenCheck's clock
	day = int64(24 * 60 * 60)
)

// TestCheckRequest goes through every reason a header can be refused for, and
// through both sides of every boundary. The want "" is accepted.
func TestCheckRequest(t *testing.T) {
	t.Parallel()
	k := testKey(t)
	for _, c := range []struct {
		name  string
		edit  func(*Request)
		check func(*Check)
		want  Reason
	}{
		{name: "as it should be"},
		{name: "issued at now + 60", edit: func(r *Request) { r.Issued = now + 60; r.Expires = now + 61 }},
		{name: "issued at now + 61", edit: func(r *Request) { r.Issued = now + 61; r.Expires = now + 62 }, want: Future},
		{name: "issued at the end of time", edit: func(r *Request) { r.Issued = maxTime; r.Expires = maxTime }, want: Future},
		{name: "issued at the floor", check: floorAt(goldenRequest().Issued)},
		{name: "issued below the floor", check: floorAt(goldenRequest().Issued + 1), want: Stale},
		{name: "a floor in the future", check: floorAt(now + 60), want: Stale},
		{name: "stale before future", edit: func(r *Request) { r.Issued = now + 61 }, check: floorAt(now + 100), want: Stale},
		{name: "stale before expired", edit: func(r *Request) { r.Issued, r.Expires = 1, 2 }, check: floorAt(now - 60), want: Stale},
		{name: "expires now", edit: func(r *Request) { r.Expires = now }},
		{name: "expired a second ago", edit: func(r *Request) { r.Expires = now - 1 }, want: Expired},
		{name: "expires within the last second", edit: func(r *Request) { r.Expires = now }, check: func(c *Check) { c.Now = time.Unix(now, 999999999) }},
		{name: "expires a second after issued", edit: func(r *Request) { r.Issued = now; r.Expires = now + 1 }},
		{name: "expires as issued", edit: func(r *Request) { r.Issued = now; r.Expires = now }, want: Limit},
		{name: "expires before issued", edit: func(r *Request) { r.Issued = now; r.Expires = 0 }, want: Limit},
		{name: "expires 24 h after issued", edit: func(r *Request) { r.Expires = r.Issued + day }},
		{name: "expires 24 h and a second after issued", edit: func(r *Request) { r.Expires = r.Issued + day + 1 }, want: Limit},
		{name: "expires at the end of time", edit: func(r *Request) { r.Issued, r.Expires = 0, maxTime }, want: Limit},
		{name: "any qube", edit: func(r *Request) { r.Qube = AnyQube }},
		{name: "another qube", edit: func(r *Request) { r.Qube = "vault" }, want: WrongQube},
		{name: "the qube in other case", edit: func(r *Request) { r.Qube = "Work" }, want: WrongQube},
		{name: "another file's name", check: func(c *Check) { c.ID = "another" }, want: WrongID},
		{name: "wrong id before wrong qube", edit: func(r *Request) { r.Qube = "vault"; r.ID = "x" }, want: WrongID},
		{name: "wrong qube before times", edit: func(r *Request) { r.Qube = "vault"; r.Issued = 0 }, want: WrongQube},
		{name: "timeout 0", edit: func(r *Request) { r.Timeout = 0 }, want: Limit},
		{name: "timeout 1", edit: func(r *Request) { r.Timeout = 1 }},
		{name: "the longest timeout", edit: func(r *Request) { r.Timeout = MaxTimeout }},
		{name: "a longer timeout", edit: func(r *Request) { r.Timeout = MaxTimeout + 1 }, want: Limit},
		{name: "dom0's own timeout", edit: func(r *Request) { r.Timeout = 10 }, check: func(c *Check) { c.MaxTimeout = 10 }},
		{name: "above dom0's own timeout", edit: func(r *Request) { r.Timeout = 11 }, check: func(c *Check) { c.MaxTimeout = 10 }, want: Limit},
		{name: "the largest script", edit: func(r *Request) { r.Body.Size = MaxScript }},
		{name: "a larger script", edit: func(r *Request) { r.Body.Size = MaxScript + 1 }, want: Limit},
		{name: "dom0's own script limit", edit: func(r *Request) { r.Body.Size = 11 }, check: func(c *Check) { c.MaxBody = 10 }, want: Limit},
		{name: "an empty script", edit: func(r *Request) { r.Body = SumOf(nil) }, want: Empty},
		{name: "the largest input", edit: func(r *Request) { r.Stdin = Sum{Size: MaxStdin, Present: true} }},
		{name: "a larger input", edit: func(r *Request) { r.Stdin = Sum{Size: MaxStdin + 1, Present: true} }, want: Limit},
		{name: "dom0's own input limit", edit: func(r *Request) { r.Stdin = SumOf([]byte("ab")) }, check: func(c *Check) { c.MaxStdin = 1 }, want: Limit},
		{name: "empty input", edit: func(r *Request) { r.Stdin = SumOf(nil) }},
		{name: "a ping", edit: func(r *Request) { r.Kind = KindPing; r.Body = SumOf(nil) }},
		{name: "a ping with a script", edit: func(r *Request) { r.Kind = KindPing }, want: Limit},
		{name: "a ping with input", edit: func(r *Request) { r.Kind = KindPing; r.Body = SumOf(nil); r.Stdin = SumOf(nil) }, want: Limit},
		{name: "an unknown kind", edit: func(r *Request) { r.Kind = "plan" }, want: Unsupported},
		{name: "an unknown kind without limits", edit: func(r *Request) { r.Kind = "plan"; r.Timeout = 0; r.Body.Size = math.MaxInt64 }, want: Unsupported},
		{name: "no script at all", edit: func(r *Request) { r.Body = Sum{} }, want: Malformed},
		{name: "issued after the end of time", edit: func(r *Request) { r.Issued = maxTime + 1 }, want: Malformed},
		{name: "expires after the end of time", edit: func(r *Request) { r.Expires = math.MaxInt64 }, want: Malformed},
		{name: "no id", edit: func(r *Request) { r.ID = "" }, want: Malformed},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r, check := goldenRequest(), goldenCheck()
			if c.edit != nil {
				c.edit(&r)
			}
			if c.check != nil {
				c.check(&check)
			}
			got, used, d := check.Request(r.Sign(k.RequestKey()), k)
			if c.want == Malformed {
				if d == nil || d.Reason != Malformed || d.Authentic || got != (Request{}) || !used.IsZero() {
					t.Fatalf("got %+v, %v", got, d)
				}
				return
			}
			if got != r || !used.Equal(k) {
				t.Errorf("read as %+v with key %v", got, used)
			}
			expect(t, d, c.want)
		})
	}
}

func floorAt(floor int64) func(*Check) {
	return func(c *Check) { c.Floor = func(string) int64 { return floor } }
}

// expect compares a denial that comes after a good MAC.
func expect(t *testing.T, d *Denial, want Reason) {
	t.Helper()
	switch {
	case d == nil && want == "":
	case d == nil:
		t.Errorf("accepted, want denied(%s)", want)
	case d.Reason != want:
		t.Errorf("%v, want denied(%s)", d, want)
	case !d.Authentic:
		t.Errorf("%v is not marked as authentic", d)
	}
}

func TestCheckKeys(t *testing.T) {
	t.Parallel()
	old, next, other := testKey(t), GenerateKey(), GenerateKey()
	byOld, byNext := goldenRequest(), goldenRequest()
	oldHeader, nextHeader := byOld.Sign(old.RequestKey()), byNext.Sign(next.RequestKey())
	for _, c := range []struct {
		name   string
		header []byte
		keys   []Key
		want   Key
	}{
		{"rotating, the old key", oldHeader, []Key{next, old}, old},
		{"rotating, the new key", nextHeader, []Key{next, old}, next},
		{"beside an empty slot", oldHeader, []Key{{}, old}, old},
		{"after rotation", oldHeader, []Key{next}, Key{}},
		{"another qube's key", oldHeader, []Key{other}, Key{}},
		{"no key", oldHeader, nil, Key{}},
		{"an empty slot only", oldHeader, []Key{{}}, Key{}},
	} {
		r, used, d := goldenCheck().Request(c.header, c.keys...)
		if !used.Equal(c.want) || (d == nil) == c.want.IsZero() {
			t.Errorf("%s: key %v, %v", c.name, used, d)
		}
		if d != nil && (d.Reason != BadMAC || d.Authentic || r != (Request{})) {
			t.Errorf("%s: %v, believed %+v", c.name, d, r)
		}
	}
}

// While a key is rotated each key has its own floor.
func TestCheckFloorIsTheKeys(t *testing.T) {
	t.Parallel()
	old, next := testKey(t), GenerateKey()
	check := goldenCheck()
	check.Floor = func(fingerprint string) int64 {
		if fingerprint == next.Fingerprint() {
			return now - 60
		}
		return now + 1
	}
	r := goldenRequest()
	if _, _, d := check.Request(r.Sign(next.RequestKey()), old, next); d != nil {
		t.Errorf("the new key: %v", d)
	}
	_, _, d := check.Request(r.Sign(old.RequestKey()), old, next)
	expect(t, d, Stale)
	c := goldenCancel()
	_, _, d = check.Cancel(c.Sign(old.RequestKey()), old, next)
	expect(t, d, Stale)
}

func TestCheckCancel(t *testing.T) {
	t.Parallel()
	k := testKey(t)
	for _, c := range []struct {
		name  string
		edit  func(*Cancel)
		check func(*Check)
		want  Reason
	}{
		{name: "as it should be"},
		{name: "of a request that has expired", edit: func(c *Cancel) { c.Expires = now - 10 }},
		{name: "issued at now + 60", edit: func(c *Cancel) { c.Issued = now + 60 }},
		{name: "issued at now + 61", edit: func(c *Cancel) { c.Issued = now + 61 }, want: Future},
		{name: "issued at the floor", check: floorAt(goldenCancel().Issued)},
		{name: "issued below the floor", check: floorAt(goldenCancel().Issued + 1), want: Stale},
		{name: "expires in 24 h and 60 s", edit: func(c *Cancel) { c.Issued = now; c.Expires = now + day + 60 }},
		{name: "expires a second later", edit: func(c *Cancel) { c.Issued = now + 1; c.Expires = now + day + 61 }, want: Future},
		{name: "expires at the end of time", edit: func(c *Cancel) { c.Expires = maxTime }, want: Future},
		{name: "old, expires 24 h and 60 s after issued", edit: func(c *Cancel) { c.Issued = now - day; c.Expires = now + 60 }},
		{name: "old, expires a second later", edit: func(c *Cancel) { c.Issued = now - day; c.Expires = now + 61 }, want: Limit},
		{name: "any qube", edit: func(c *Cancel) { c.Qube = AnyQube }},
		{name: "another qube", edit: func(c *Cancel) { c.Qube = "vault" }, want: WrongQube},
		{name: "another file's name", check: func(c *Check) { c.ID = "another" }, want: WrongID},
	} {
		x, check := goldenCancel(), goldenCheck()
		if c.edit != nil {
			c.edit(&x)
		}
		if c.check != nil {
			c.check(&check)
		}
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, used, d := check.Cancel(x.Sign(k.RequestKey()), k)
			if got != x || !used.Equal(k) {
				t.Errorf("read as %+v with key %v", got, used)
			}
			expect(t, d, c.want)
		})
	}
	x := goldenCancel()
	if got, _, d := goldenCheck().Cancel(x.Sign(k.RequestKey()), GenerateKey()); d == nil || d.Reason != BadMAC || d.Authentic || got != (Cancel{}) {
		t.Errorf("with another key: %+v, %v", got, d)
	}
}

// What people are told: names both qubes, carries dom0's clock, names limits.
func TestDenialsTellWhatToCompare(t *testing.T) {
	t.Parallel()
	k := testKey(t)
	for _, c := range []struct {
		edit func(*Request)
		want []string
	}{
		{func(r *Request) { r.Qube = "vault" }, []string{"vault", "work"}},
		{func(r *Request) { r.Issued = now + 3600; r.Expires = now + 3700 }, []string{"2026-11-23 14:42:50 UTC"}},
		{func(r *Request) { r.Expires = now - 1 }, []string{"2026-11-23 14:42:50 UTC", "--within"}},
		{func(r *Request) { r.Timeout = 90000 }, []string{"timeout", "90000", "86400"}},
		{func(r *Request) { r.Kind = "plan" }, []string{"plan"}},
	} {
		r := goldenRequest()
		c.edit(&r)
		_, _, d := goldenCheck().Request(r.Sign(k.RequestKey()), k)
		if d == nil {
			t.Errorf("%+v was accepted", r)
			continue
		}
		for _, w := range c.want {
			if !strings.Contains(d.Sentence(), w) {
				t.Errorf("%v does not tell %q: %s", d, w, d.Sentence())
			}
		}
	}
}

func TestCheckScript(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"x", "hostname\n", "\ta\r\n", "echo é ✓\n", "echo \xff\x9b\n", "é", "a\u00a0b"} {
		if d := CheckScript([]byte(s)); d != nil {
			t.Errorf("CheckScript(%q) = %v", s, d)
		}
	}
	for _, s := range []string{"", " ", "\n", " \t\r\n "} {
		expect(t, CheckScript([]byte(s)), Empty)
	}
	for c := range rune(0xa0) {
		if c >= 0x20 && c < 0x7f || strings.ContainsRune("\t\n\r", c) {
			continue
		}
		expect(t, CheckScript([]byte("echo "+string(c)+"\n")), Binary)
		expect(t, CheckScript([]byte(string(c))), Binary)
	}
}
