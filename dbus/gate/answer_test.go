package gate

import (
	"bytes"
	"encoding/binary"
	"testing"

	godbus "github.com/godbus/dbus/v5"
)

type reply struct {
	Yes, Challenge bool
	Details        map[string]string
}

var none = map[string]string{}

func TestJudge(t *testing.T) {
	t.Parallel()
	yes := []any{true, false, none}
	for name, c := range map[string]struct {
		body []any
		want error
	}{
		"yes":               {[]any{yes}, nil},
		"yes and challenge": {[]any{[]any{true, true, none}}, nil},
		"no":                {[]any{[]any{false, false, none}}, ErrRefused},
		"challenge":         {[]any{[]any{false, true, none}}, ErrPasswordNeeded},
		"dismissed":         {[]any{[]any{false, false, map[string]string{"polkit.dismissed": "true"}}}, ErrPasswordNeeded},
		"nothing":           {nil, ErrNoPolkit},
		"bare":              {yes, ErrNoPolkit},
		"twice":             {[]any{yes, yes}, ErrNoPolkit},
		"short":             {[]any{[]any{true}}, ErrNoPolkit},
		"long":              {[]any{[]any{true, false, none, none}}, ErrNoPolkit},
		"a true of text":    {[]any{[]any{"true", false, none}}, ErrNoPolkit},
		"a true of numbers": {[]any{[]any{uint32(1), uint32(0), none}}, ErrNoPolkit},
		"wrong challenge":   {[]any{[]any{true, "no", none}}, ErrNoPolkit},
		"wrong details":     {[]any{[]any{true, false, "none"}}, ErrNoPolkit},
		"in a variant":      {[]any{godbus.MakeVariant(reply{true, false, none})}, ErrNoPolkit},
		"array of variants": {[]any{[]godbus.Variant{godbus.MakeVariant(true), godbus.MakeVariant(false), godbus.MakeVariant(none)}}, ErrNoPolkit},
	} {
		t.Run(name, func(t *testing.T) { check(t, judge(View, Caller{}, c.body), c.want) })
	}
}

// encoded is a message with such a body, as it comes from the bus.
func encoded(f *testing.F, body ...any) []byte {
	m := &godbus.Message{Type: godbus.TypeMethodReply, Body: body, Headers: map[godbus.HeaderField]godbus.Variant{
		godbus.FieldReplySerial: godbus.MakeVariant(uint32(1)),
		godbus.FieldSignature:   godbus.MakeVariant(godbus.SignatureOf(body...)),
	}}
	var b bytes.Buffer
	if err := m.EncodeTo(&b, binary.LittleEndian); err != nil {
		f.Fatal(err)
	}
	return b.Bytes()
}

// FuzzAnswer: only a message of polkit's own signature can be a yes, and only
// if it says so.
func FuzzAnswer(f *testing.F) {
	f.Add(encoded(f, reply{true, false, none}))
	f.Add(encoded(f, reply{false, true, map[string]string{"polkit.dismissed": "true"}}))
	f.Add(encoded(f, true, false, none))
	f.Add(encoded(f, []godbus.Variant{godbus.MakeVariant(true)}))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := godbus.DecodeMessage(bytes.NewReader(data))
		if err != nil || judge(View, Caller{}, m.Body) != nil {
			return
		}
		signature, _ := m.Headers[godbus.FieldSignature].Value().(godbus.Signature)
		var r reply
		if err := godbus.Store(m.Body, &r); err != nil || !r.Yes || signature.String() != "(bba{ss})" {
			t.Errorf("a yes of %q: %+v, %v", signature, m.Body, err)
		}
	})
}
