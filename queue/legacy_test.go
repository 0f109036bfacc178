package queue

import (
	"errors"
	"strings"
	"testing"
)

func TestLegacyToken(t *testing.T) {
	t.Parallel()
	k, other := testKey(t), GenerateKey()
	token := LegacyToken(k, "cmd-001")
	if len(token) != legacyTokenLen || token == LegacyToken(k, "cmd-002") || token == LegacyToken(other, "cmd-001") {
		t.Errorf("a token is %q, whatever the id or the key", token)
	}
	for name, c := range map[string]struct {
		key  Key
		id   string
		file string
		want error
	}{
		"the token":             {k, "cmd-001", token, nil},
		"with a newline":        {k, "cmd-001", token + "\n", nil},
		"two newlines":          {k, "cmd-001", token + "\n\n", ErrLegacyToken},
		"a carriage return":     {k, "cmd-001", token + "\r", ErrLegacyToken},
		"a blank before":        {k, "cmd-001", " " + token, ErrLegacyToken},
		"more behind":           {k, "cmd-001", token + "0", ErrLegacyToken},
		"nothing":               {k, "cmd-001", "", ErrLegacyShort},
		"one digit less":        {k, "cmd-001", token[:63], ErrLegacyShort},
		"a newline too early":   {k, "cmd-001", token[:63] + "\n", ErrLegacyToken},
		"capital letters":       {k, "cmd-001", strings.ToUpper(token), ErrLegacyToken},
		"zeros":                 {k, "cmd-001", strings.Repeat("0", 64), ErrLegacyToken},
		"of another id":         {k, "cmd-002", token, ErrLegacyToken},
		"with another key":      {other, "cmd-001", token, ErrLegacyToken},
		"without a key":         {Key{}, "cmd-001", token, ErrLegacyToken},
		"no key and no token":   {Key{}, "cmd-001", strings.Repeat("\x00", 64), ErrLegacyToken},
		"a header of version 2": {k, "cmd-001", "qvm-remote/2\nkind script\n" + strings.Repeat("x", 64), ErrLegacyToken},
	} {
		if err := CheckLegacyToken(c.key, c.id, []byte(c.file)); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

// TestLegacyTokenSignsOnlyIDs: the token of the text that derives a key of
// version 2 would be that key, and tokens lie open in the queue.
func TestLegacyTokenSignsOnlyIDs(t *testing.T) {
	t.Parallel()
	for _, id := range []string{"qvm-remote/2 request", "qvm-remote/2 result", "", "../x", "a b", "x.auth"} {
		if token := LegacyToken(testKey(t), id); token != "" {
			t.Errorf("%q has the token %s", id, token)
		}
	}
}
