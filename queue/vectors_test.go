package queue

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// vectors are testdata/vectors.json: what any implementation of the protocol
// must make of these bytes. They were written once and are changed with the
// protocol only. testdata/vectors.sh checks the same with openssl alone.
type vectors struct {
	Keys         []vectorKey
	Headers      []vectorHeader
	Frames       []vectorFrame
	LegacyTokens []vectorLegacyToken `json:"legacy_tokens"`
}

type vectorKey struct {
	Key         string `json:"key"`
	RequestKey  string `json:"request_key"` // hex
	ResultKey   string `json:"result_key"`
	Fingerprint string `json:"fingerprint"`
}

type vectorHeader struct {
	Name    string `json:"name"`
	Type    string `json:"type"` // request, cancel or result
	Key     string `json:"key"`
	Header  string `json:"header"`
	Digest  string `json:"digest"`
	Verdict string `json:"verdict"` // good, malformed or mac
}

type vectorFrame struct {
	Name    string `json:"name"`
	Frame   string `json:"frame"` // hex
	Type    uint8  `json:"type"`
	Tag     uint32 `json:"tag"`
	Payload string `json:"payload"` // hex
	Verdict string `json:"verdict"` // good, broken or cut
}

type vectorLegacyToken struct {
	Name    string `json:"name"`
	Key     string `json:"key"`
	ID      string `json:"id"`
	Token   string `json:"token"`   // the .auth file
	Verdict string `json:"verdict"` // good, short or wrong
}

func readVectors(t *testing.T) (v vectors) {
	t.Helper()
	text, err := os.ReadFile("testdata/vectors.json")
	if err == nil {
		d := json.NewDecoder(bytes.NewReader(text))
		d.DisallowUnknownFields()
		err = d.Decode(&v)
	}
	if err != nil || len(v.Keys) == 0 || len(v.Headers) == 0 || len(v.Frames) == 0 || len(v.LegacyTokens) == 0 {
		t.Fatalf("read the vectors: %+v, %v", v, err)
	}
	return v
}

func TestVectorsOfKeys(t *testing.T) {
	t.Parallel()
	for _, v := range readVectors(t).Keys {
		k, err := ParseKey([]byte(v.Key))
		if err != nil {
			t.Fatal(err)
		}
		got := vectorKey{v.Key, hex.EncodeToString(k.RequestKey().Bytes()), hex.EncodeToString(k.ResultKey().Bytes()), k.Fingerprint()}
		if got != v {
			t.Errorf("%s:\n got %+v\nwant %+v", v.Key, got, v)
		}
	}
}

// signedAgain reads a header of a type and signs it anew.
func signedAgain(kind string, h []byte, k Key) []byte {
	switch kind {
	case "request":
		r, _, _ := parseRequest(h)
		return r.Sign(k.RequestKey())
	case "cancel":
		c, _, _ := parseCancel(h)
		return c.Sign(k.RequestKey())
	}
	r, _, _ := parseResult(h)
	return r.Sign(k.ResultKey())
}

// authenticated is what the header's reader says of it, apart from what dom0
// knows besides: the clock, the qube, the file's name.
func authenticated(kind string, h []byte, k Key) error {
	var e envelope
	var err error
	mac := k.RequestKey()
	switch kind {
	case "request":
		_, e, err = parseRequest(h)
	case "cancel":
		_, e, err = parseCancel(h)
	default:
		_, err = OpenResult(h, k.ResultKey())
		return err
	}
	if err == nil && !e.authentic(mac) {
		err = ErrMAC
	}
	return err
}

func TestVectorsOfHeaders(t *testing.T) {
	t.Parallel()
	verdicts := map[string]error{"good": nil, "malformed": ErrMalformed, "mac": ErrMAC}
	for _, v := range readVectors(t).Headers {
		k, err := ParseKey([]byte(v.Key))
		if err != nil {
			t.Fatal(err)
		}
		want, known := verdicts[v.Verdict]
		if got := authenticated(v.Type, []byte(v.Header), k); !known || !errors.Is(got, want) {
			t.Errorf("%s %q: %v, want %q", v.Type, v.Name, got, v.Verdict)
		}
		if got := DigestOf([]byte(v.Header)).String(); got != v.Digest {
			t.Errorf("%s %q has the digest %s, want %s", v.Type, v.Name, got, v.Digest)
		}
		if again := signedAgain(v.Type, []byte(v.Header), k); v.Verdict == "good" && string(again) != v.Header {
			t.Errorf("%s %q signed again:\n%s", v.Type, v.Name, again)
		}
	}
}

func TestVectorsOfFrames(t *testing.T) {
	t.Parallel()
	verdicts := map[string]error{"good": nil, "broken": ErrFrame, "cut": io.ErrUnexpectedEOF}
	for _, v := range readVectors(t).Frames {
		b, err := hex.DecodeString(v.Frame)
		if err != nil {
			t.Fatal(err)
		}
		f, err := ReadFrame(bufio.NewReader(bytes.NewReader(b)))
		if want, known := verdicts[v.Verdict]; !known || !errors.Is(err, want) {
			t.Errorf("%q: %v, want %q", v.Name, err, v.Verdict)
		}
		if v.Verdict != "good" {
			continue
		}
		if uint8(f.Type) != v.Type || f.Tag != v.Tag || hex.EncodeToString(f.Payload) != v.Payload {
			t.Errorf("%q reads as %+v", v.Name, f)
		}
		var again bytes.Buffer
		if err := WriteFrame(&again, f); err != nil || hex.EncodeToString(again.Bytes()) != v.Frame {
			t.Errorf("%q written again: %x, %v", v.Name, again.Bytes(), err)
		}
	}
}

func TestVectorsOfLegacyTokens(t *testing.T) {
	t.Parallel()
	verdicts := map[string]error{"good": nil, "short": ErrLegacyShort, "wrong": ErrLegacyToken}
	for _, v := range readVectors(t).LegacyTokens {
		k, err := ParseKey([]byte(v.Key))
		if err != nil {
			t.Fatal(err)
		}
		want, known := verdicts[v.Verdict]
		if got := CheckLegacyToken(k, v.ID, []byte(v.Token)); !known || !errors.Is(got, want) {
			t.Errorf("%q: %v, want %q", v.Name, got, v.Verdict)
		}
		if v.Verdict == "good" && LegacyToken(k, v.ID) != strings.TrimSuffix(v.Token, "\n") {
			t.Errorf("%q: the token is %s", v.Name, LegacyToken(k, v.ID))
		}
	}
}

// TestVectorsByOpenSSL has somebody else's HMAC and SHA-256 agree.
func TestVectorsByOpenSSL(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Fatalf("%v; `make setup-test` installs it", err)
	}
	out, err := exec.CommandContext(t.Context(), "testdata/vectors.sh").CombinedOutput()
	if err != nil {
		t.Errorf("testdata/vectors.sh: %v\n%s", err, out)
	}
}
