package queue

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

const goldenID = "20261123-144232-18674-0b95ebc0"

func goldenRequest() Request {
	return Request{
		Kind: KindScript, ID: goldenID, Qube: "work", Issued: 1795444952, Expires: 1795445252, Timeout: 300,
		Body: SumOf([]byte("hostname\n")),
	}
}

// The three headers as a second implementation (sha256sum, openssl) spells
// them with the key of keyText.
const (
	goldenRequestText = `qvm-remote/2
kind script
id 20261123-144232-18674-0b95ebc0
qube work
issued 1795444952
expires 1795445252
timeout 300
body sha256:b381ceb8eeba1a24a20f555807180a7f793697fcd11dbf016857e15c48da3f77 9
stdin none
mac b182980af26c8164a4adc794f7972c922e87cdf2d04bc8fd5036bfea8fc4b724
`
	goldenCancelText = `qvm-remote/2 cancel
id 20261123-144232-18674-0b95ebc0
qube work
issued 1795444960
expires 1795445252
request sha256:942d495c4af2abe213d2e457ed75da372a189d9c2d542945d3dff314ad65f396
mac f9ac9202c7ad52e06bbf4567d9cdda7b403b99f324ff3a65e69e24a3765f6a52
`
	goldenResultText = `qvm-remote/2 result
id 20261123-144232-18674-0b95ebc0
qube work
request sha256:942d495c4af2abe213d2e457ed75da372a189d9c2d542945d3dff314ad65f396
state exit
reason none
exit 0
started 1795444953
duration_ms 12
out sha256:3b37167be60b86289d619cf9b8e1dc309de8bf2e95b3d96600089811b5145ad1 5
err sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 0
checkpoint sha256:942d495c4af2abe213d2e457ed75da372a189d9c2d542945d3dff314ad65f396
mac ba44333f80b93655d48268c8018d287f65ade1a251a717ced59062e351edaddd
`
)

func goldenCancel() Cancel {
	return Cancel{ID: goldenID, Qube: "work", Issued: 1795444960, Expires: 1795445252, Request: DigestOf([]byte(goldenRequestText))}
}

func goldenResult() Result {
	d := DigestOf([]byte(goldenRequestText))
	return Result{
		ID: goldenID, Qube: "work", Request: d, State: StateExit, Started: 1795444953, DurationMS: 12,
		Out: SumOf([]byte("dom0\n")), Err: SumOf(nil), Checkpoint: d.String(),
	}
}

func goldenCheck() Check {
	return Check{ID: goldenID, Qube: "work", Now: time.Unix(1795444970, 0)}
}

func TestHeaderVectors(t *testing.T) {
	t.Parallel()
	k := testKey(t)
	req, can, res := goldenRequest(), goldenCancel(), goldenResult()
	for name, c := range map[string]struct {
		got  []byte
		want string
	}{
		"request": {req.Sign(k.RequestKey()), goldenRequestText},
		"cancel":  {can.Sign(k.RequestKey()), goldenCancelText},
		"result":  {res.Sign(k.ResultKey()), goldenResultText},
	} {
		if string(c.got) != c.want {
			t.Errorf("the %s is\n%swant\n%s", name, c.got, c.want)
		}
	}
	if r, used, d := goldenCheck().Request([]byte(goldenRequestText), k); d != nil || r != req || !used.Equal(k) {
		t.Errorf("request: %+v, %v", r, d)
	}
	if c, used, d := goldenCheck().Cancel([]byte(goldenCancelText), k); d != nil || c != can || !used.Equal(k) {
		t.Errorf("cancel: %+v, %v", c, d)
	}
	if r, err := OpenResult([]byte(goldenResultText), k.ResultKey()); err != nil || r != res {
		t.Errorf("result: %+v, %v", r, err)
	}
	if r, err := ReadOwnRequest([]byte(goldenRequestText)); err != nil || r != req {
		t.Errorf("own request: %+v, %v", r, err)
	}
}

// opened reports what the right reader makes of a header of one of the three
// types: nil, ErrMalformed or ErrMAC.
type opener func(b []byte) error

func openers(k Key) map[string]opener {
	denied := func(d *Denial) error {
		switch {
		case d == nil:
			return nil
		case d.Reason == Malformed && !d.Authentic:
			return ErrMalformed
		case d.Reason == BadMAC && !d.Authentic:
			return ErrMAC
		}
		return d
	}
	return map[string]opener{
		"request": func(b []byte) error { _, _, d := goldenCheck().Request(b, k); return denied(d) },
		"cancel":  func(b []byte) error { _, _, d := goldenCheck().Cancel(b, k); return denied(d) },
		"result":  func(b []byte) error { _, err := OpenResult(b, k.ResultKey()); return err },
	}
}

var goldenTexts = map[string]string{"request": goldenRequestText, "cancel": goldenCancelText, "result": goldenResultText}

func refused(err error) bool { return errors.Is(err, ErrMalformed) || errors.Is(err, ErrMAC) }

// Every bit of every header counts, and so does every byte's presence.
func TestEveryByteOfAHeaderCounts(t *testing.T) {
	t.Parallel()
	for name, open := range openers(testKey(t)) {
		text := goldenTexts[name]
		if err := open([]byte(text)); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for i := range text {
			for bit := range 8 {
				b := []byte(text)
				b[i] ^= 1 << bit
				if err := open(b); !refused(err) {
					t.Errorf("%s with bit %d of byte %d changed: %v", name, bit, i, err)
				}
			}
			for what, b := range map[string]string{
				"cut": text[:i], "without": text[:i] + text[i+1:], "doubled": text[:i+1] + text[i:],
			} {
				if text[i:i+1] == strings.TrimSuffix(b, text) && what == "doubled" {
					continue
				}
				if err := open([]byte(b)); !refused(err) {
					t.Errorf("%s %s at byte %d: %v", name, what, i, err)
				}
			}
		}
		for _, tail := range []string{"\n", " ", "\x00", "x", "mac x\n", text} {
			if err := open([]byte(text + tail)); !errors.Is(err, ErrMalformed) {
				t.Errorf("%s with %q after it: %v", name, tail, err)
			}
		}
	}
}

// A good MAC over another spelling is still malformed: even the key's holder
// has one way to say a thing.
func TestOneSpellingEvenWhenSigned(t *testing.T) {
	t.Parallel()
	k := testKey(t)
	keys := map[string]MACKey{"request": k.RequestKey(), "cancel": k.RequestKey(), "result": k.ResultKey()}
	edits := [][2]string{
		{"\n", "\r\n"}, {"qube work", "qube  work"}, {"qube work", "qube work "}, {"qube work", "qube\twork"}, {"qube work\n", ""},
		{"qube work\n", "qube work\nqube work\n"}, {"qube work", "qube "}, {"qube work", "qube"}, {"qube work", "Qube work"},
		{"qube work", "qube dom0"}, {"qube work", "qube a/b"}, {"id 2026", "id ../2026"}, {"id 2026", "id .2026"}, {goldenID, goldenID + ".auth"},
		{"issued 1795", "issued 01795"}, {"issued 1795", "issued +1795"}, {"issued 1795", "issued -1795"}, {"issued 1795", "issued 0x1795"},
		{"issued 1795", "issued 1_795"}, {"issued 1795444952", "issued 9223372036854775808"}, {"issued 1795444952", "issued 1e9"},
		{"issued 1795444952", "issued 253402300800"}, {"expires 1795445252", "expires 253402300800"}, {"started 1795444953", "started 253402300800"},
		{"issued 1795", "issued １795"}, {"qvm-remote/2", "qvm-remote/3"}, {"qvm-remote/2", "QVM-REMOTE/2"}, {"sha256:", "SHA256:"},
		{"sha256:b", "sha256:B"}, {"sha256:9", "sha256:"}, {"sha256:3b", "md5:3b"}, {" 9\nstdin", " 09\nstdin"}, {" 9\nstdin", " -9\nstdin"},
		{" 9\nstdin", "\nstdin"}, {"stdin none", "stdin None"}, {"stdin none", "stdin"}, {"stdin none\n", ""}, {"body sha256:", "body none\nx "},
		{"kind script", "kind Script"}, {"kind script", "kind "}, {"kind script", "kind -x"}, {"kind script", "kind " + strings.Repeat("k", 33)},
		{"expires 1795445252\ntimeout 300", "timeout 300\nexpires 1795445252"}, {"state exit", "state done"}, {"exit 0", "exit 256"},
		{"exit 0", "exit -1"}, {"exit 0", "exit none"}, {"reason none", "reason replayed"}, {"state exit", "state denied"},
		{"reason none", "reason No"}, {"checkpoint sha256:", "checkpoint "}, {"checkpoint sha256:9", "checkpoint sha256:"},
		{"request sha256:9", "request sha256:g"}, {"request sha256:", "request "}, {"started 1", "started a1"}, {"state exit", "state"},
	}
	for name, text := range goldenTexts {
		open := openers(k)[name]
		signed := text[:strings.LastIndex(text, "mac ")]
		for _, e := range edits {
			edited := strings.Replace(signed, e[0], e[1], 1)
			if edited == signed {
				continue
			}
			if err := open(keys[name].sign([]byte(edited))); !errors.Is(err, ErrMalformed) {
				t.Errorf("%s with %q for %q: %v, want malformed", name, e[1], e[0], err)
			}
		}
		mac := text[len(signed):]
		for _, m := range []string{strings.ToUpper(mac[4:]), mac[4:67] + "\n", mac[4:68], "0" + mac[4:], strings.Repeat("0", 64), "\n", ""} {
			if m == mac[4:] {
				continue
			}
			if err := open([]byte(signed + "mac " + m)); !refused(err) {
				t.Errorf("%s with the MAC %q: %v", name, m, err)
			}
		}
	}
}

// A header of one type is never one of another, whichever key signed it.
func TestHeaderTypesAreApart(t *testing.T) {
	t.Parallel()
	k := testKey(t)
	for as, open := range openers(k) {
		for name, text := range goldenTexts {
			signed := []byte(text[:strings.LastIndex(text, "mac ")])
			for _, mk := range []MACKey{k.RequestKey(), k.ResultKey()} {
				err := open(mk.sign(bytes.Clone(signed)))
				if as != name && !errors.Is(err, ErrMalformed) {
					t.Errorf("a %s read as a %s: %v", name, as, err)
				}
				if wrong := (as == "result") != bytes.Equal(mk.Bytes(), k.ResultKey().Bytes()); as == name && wrong && !errors.Is(err, ErrMAC) {
					t.Errorf("a %s signed in the other direction: %v", name, err)
				}
			}
		}
	}
}

// allocated returns how many bytes f allocates. Only for tests that do not run
// in parallel: the count is the whole process's.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func TestOversizedHeaderCostsNothing(t *testing.T) {
	big := []byte(strings.Repeat("x", 4<<20) + "\n")
	k := testKey(t)
	for name, open := range openers(k) {
		var err error
		if n := allocated(func() { err = open(big) }); n > 64<<10 || !errors.Is(err, ErrMalformed) {
			t.Errorf("an oversized %s: %v, at the cost of %d bytes", name, err, n)
		}
	}
}

// A line that ends in the signature's own word must not move the signature.
func TestInjectedLinesDoNotParse(t *testing.T) {
	t.Parallel()
	k := testKey(t)
	rapid.Check(t, func(t *rapid.T) {
		r := requests().Draw(t, "request")
		inject := rapid.SampledFrom([]string{"\n", "\nqube work", "\nmac " + strings.Repeat("0", 64) + "\n", "\x00", " ", "\nid x"}).Draw(t, "inject")
		switch rapid.IntRange(0, 2).Draw(t, "field") {
		case 0:
			r.Kind += inject
		case 1:
			r.ID += inject
		default:
			r.Qube += inject
		}
		if got, _, err := parseRequest(r.Sign(k.RequestKey())); !errors.Is(err, ErrMalformed) {
			t.Fatalf("%+v read as %+v, %v", r, got, err)
		}
	})
}

func TestSumSpelling(t *testing.T) {
	t.Parallel()
	if got := (Sum{}).String(); got != "none" {
		t.Errorf("no bytes there: %q", got)
	}
	if empty := SumOf(nil); empty == (Sum{}) || empty.String() != fmt.Sprintf("sha256:%s 0", goldenResultText[strings.Index(goldenResultText, "e3b0"):][:64]) {
		t.Errorf("zero bytes: %q", empty)
	}
}
