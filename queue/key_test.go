package queue

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"
)

const keyText = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789ABCDEF"

func testKey(t testing.TB) Key {
	t.Helper()
	k, err := ParseKey([]byte(keyText))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestParseKey(t *testing.T) {
	t.Parallel()
	for _, s := range []string{keyText, keyText + "\n", " \t" + keyText + "\r\n"} {
		k, err := ParseKey([]byte(s))
		if err != nil || string(k.Reveal()) != keyText {
			t.Errorf("ParseKey(%q) = %q, %v", s, k.Reveal(), err)
		}
	}
	for _, s := range []string{
		"", "\n", keyText[:63], keyText + "0", "0x" + keyText[2:], "+" + keyText[1:], keyText[:32] + "\n" + keyText[32:],
		keyText[:32] + " " + keyText[33:], strings.Repeat("g", 64), keyText[:31] + "_" + keyText[32:],
		keyText[:61] + "１", keyText[:63] + "\x00", keyText + "\x00", keyText[:62] + "\u0661",
	} {
		k, err := ParseKey([]byte(s))
		if !errors.Is(err, ErrKey) || !k.IsZero() {
			t.Errorf("ParseKey(%q) = %v, %v, want ErrKey", s, k, err)
		}
		if len(s) > 8 && strings.Contains(fmt.Sprint(err), s[8:24]) {
			t.Errorf("the error quotes the key: %v", err)
		}
	}
}

func TestGenerateKey(t *testing.T) {
	t.Parallel()
	a, b := GenerateKey(), GenerateKey()
	if a.Equal(b) {
		t.Error("two new keys are equal")
	}
	back, err := ParseKey(a.Reveal())
	if err != nil || !back.Equal(a) {
		t.Errorf("a new key does not read back: %v", err)
	}
	text := a.Reveal()
	text[0] ^= 1
	if !back.Equal(a) {
		t.Error("changing what Reveal returned changed the key")
	}
}

func TestKeyCaseCounts(t *testing.T) {
	t.Parallel()
	lower, err := ParseKey([]byte(strings.ToLower(keyText)))
	if err != nil {
		t.Fatal(err)
	}
	k := testKey(t)
	if k.Equal(lower) || k.Fingerprint() == lower.Fingerprint() {
		t.Error("keys that differ in case are taken for one")
	}
}

// The expected values were computed with sha256sum and openssl dgst.
func TestKeyVectors(t *testing.T) {
	t.Parallel()
	k := testKey(t)
	if got, want := k.Fingerprint(), "7450 e905 ec81 18bc eec7 4fc2 153a c912"; got != want {
		t.Errorf("Fingerprint = %s, want %s", got, want)
	}
	for name, c := range map[string]struct {
		key  MACKey
		want string
	}{
		"request": {k.RequestKey(), "5a0f5697ba60716431fafe46fcc912e4342556600f8dab52fd1719363f92165d"},
		"result":  {k.ResultKey(), "6241af868839a8f5d886455bda892feb84f10432589c1b85377322e5739c3176"},
	} {
		if got := hex.EncodeToString(c.key.Bytes()); got != c.want {
			t.Errorf("the %s key is %s, want %s", name, got, c.want)
		}
	}
}

// openssl is a second opinion on the derivation and on the MAC itself.
func TestMACAgainstOpenSSL(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("no openssl here; TestKeyVectors has its answers")
	}
	openssl := func(message []byte, args ...string) string {
		cmd := exec.Command("openssl", append([]string{"dgst", "-sha256", "-r"}, args...)...)
		cmd.Stdin = bytes.NewReader(message)
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("openssl: %v", err)
		}
		sum, _, _ := strings.Cut(string(out), " ")
		return sum
	}
	k := GenerateKey()
	derived := openssl([]byte("qvm-remote/2 request"), "-hmac", string(k.Reveal()))
	if got := hex.EncodeToString(k.RequestKey().Bytes()); got != derived {
		t.Fatalf("the request key is %s, openssl says %s", got, derived)
	}
	r := Request{Kind: KindPing, ID: "p", Qube: AnyQube, Issued: 1, Expires: 2, Timeout: 3, Body: SumOf(nil)}
	header := r.Sign(k.RequestKey())
	i := bytes.LastIndex(header, []byte("mac "))
	want := "mac " + openssl(header[:i], "-mac", "HMAC", "-macopt", "hexkey:"+derived) + "\n"
	if got := string(header[i:]); got != want {
		t.Errorf("the MAC line is %q, openssl says %q", got, want)
	}
}

func TestMACKeyBytes(t *testing.T) {
	t.Parallel()
	d := testKey(t).ResultKey()
	back, err := MACKeyFromBytes(d.Bytes())
	if err != nil || !bytes.Equal(back.Bytes(), d.Bytes()) {
		t.Errorf("a derived key does not read back: %v", err)
	}
	raw := d.Bytes()
	copied, err := MACKeyFromBytes(raw)
	raw[0] ^= 1
	if err != nil || !bytes.Equal(copied.Bytes(), d.Bytes()) {
		t.Error("a derived key changed with the bytes it was read from")
	}
	for _, n := range []int{0, 31, 33, 64} {
		if _, err := MACKeyFromBytes(make([]byte, n)); err == nil {
			t.Errorf("%d bytes were taken for a derived key", n)
		}
	}
}

// No key, no authentication: a caller that forgot to look must not end up
// with a key that everybody knows.
func TestZeroKeyAuthenticatesNothing(t *testing.T) {
	t.Parallel()
	var none Key
	if !none.IsZero() || none.Reveal() != nil || none.Fingerprint() != "no key" || none.RequestKey().Bytes() != nil {
		t.Errorf("the zero key is %q, reveals %q", none, none.Reveal())
	}
	if !none.Equal(Key{}) || none.Equal(testKey(t)) || testKey(t).Equal(none) {
		t.Error("Equal is wrong about the zero key")
	}
	nuls, err := MACKeyFromBytes(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	res := goldenResult()
	for name, signed := range map[string][]byte{
		"no key": res.Sign(none.ResultKey()), "32 NULs": res.Sign(nuls), "a key": res.Sign(testKey(t).ResultKey()),
	} {
		if _, err := OpenResult(signed, none.ResultKey()); err == nil {
			t.Errorf("a result signed with %s was believed without a key", name)
		}
	}
	req := goldenRequest()
	if _, _, d := goldenCheck().Request(req.Sign(none.RequestKey()), none); d == nil {
		t.Error("a request signed with no key was accepted")
	}
}

// Nothing that formats a value may show a key, not even where fmt cannot call
// its methods: in the unexported fields of another struct.
func TestKeysNeverPrint(t *testing.T) {
	t.Parallel()
	k := testKey(t)
	type holder struct {
		key  Key
		mac  MACKey
		Open Key
		list []Key
	}
	h := holder{k, k.RequestKey(), k, []Key{k}}
	check := goldenCheck()
	check.Floor = func(string) int64 { return 0 }
	values := []any{k, &k, []Key{k}, map[string]Key{"k": k}, k.RequestKey(), k.ResultKey(), &h.mac, h, &h, []holder{h}, check, &check}
	var secrets []string
	for _, b := range [][]byte{k.Reveal(), k.RequestKey().Bytes(), k.ResultKey().Bytes()} {
		b = b[:12]
		list := strings.Trim(fmt.Sprint(b), "[]")
		secrets = append(secrets, string(b), hex.EncodeToString(b), strings.ToUpper(hex.EncodeToString(b)), list,
			strings.Trim(fmt.Sprintf("%x", [][]byte{b}), "[]"), strings.ReplaceAll(list, " ", ", "),
			strings.TrimSuffix(strings.TrimPrefix(fmt.Sprintf("%#v", b), "[]byte{"), "}"))
	}
	for i, v := range values {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%o", "%c", "%U", "%t", "% x"} {
			shown := fmt.Sprintf(verb, v)
			for _, s := range secrets {
				if strings.Contains(shown, s) {
					t.Errorf("value %d (%T) shows a key with %s: %s", i, v, verb, shown)
				}
			}
		}
		if shown, err := json.Marshal(v); err == nil && bytes.Contains(shown, []byte(keyText[:12])) {
			t.Errorf("value %d shows a key as JSON: %s", i, shown)
		}
	}
	if got := fmt.Sprintf("%v %s %#v", k, k, k); got != strings.TrimSpace(strings.Repeat(k.Fingerprint()+" ", 3)) {
		t.Errorf("a key prints as %q, not as its fingerprint", got)
	}
	if got := fmt.Sprintf("%v %#v", k.RequestKey(), k.RequestKey()); got != "derived key derived key" {
		t.Errorf("a derived key prints as %q", got)
	}
}

func FuzzParseKey(f *testing.F) {
	f.Add([]byte(keyText))
	f.Add([]byte(" " + keyText + "\n"))
	f.Add([]byte("0x" + keyText[2:]))
	f.Fuzz(func(t *testing.T, b []byte) {
		k, err := ParseKey(b)
		if (err == nil) == k.IsZero() {
			t.Fatalf("ParseKey(%q): %v, zero key %v", b, err, k.IsZero())
		}
		if err != nil {
			return
		}
		text := k.Reveal()
		if !bytes.Contains(b, text) || len(text) != KeyLen {
			t.Errorf("ParseKey(%q) holds %q", b, text)
		}
		if raw, err := hex.DecodeString(string(text)); err != nil || len(raw) != 32 {
			t.Errorf("ParseKey took %q for hex", text)
		}
	})
}
