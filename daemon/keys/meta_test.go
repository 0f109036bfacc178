package keys

import (
	"strings"
	"testing"
)

func TestMetaHasOneStrictGrammar(t *testing.T) {
	t.Parallel()
	m, err := ParseMeta([]byte("authorised 1795444952\nuuid " + testUUID + "\nlegacy yes\nuntil 7\ncount 3\ncolour light blue\n"))
	want := Meta{Authorised: 1795444952, UUID: testUUID, Legacy: true, Until: 7, Count: 3, Other: []Line{{"colour", "light blue"}}}
	if err != nil || !m.equal(want) {
		t.Fatalf("%+v, %v", m, err)
	}
	for _, bad := range []string{
		"legacy yes", "legacy maybe\n", "legacy YES\n", "legacy\n", "legacy \n", "legacy  yes\n", "legacy yes \n", "Legacy yes\n",
		"\n", "\nlegacy yes\n", "legacy yes\r\n", "legacy yes\nlegacy no\n", "until -1\n", "until 07\n", "until +7\n", "until 9223372036854775808\n",
		"count 1.5\n", "uuid work\n", "uuid 5F1C4D2A-0f0e-4c57-9d4c-9c2f7a3c1b11\n", "note a\x1b[0m\n", "note \u202e\n", "na me\n\n", "# note\n",
		"note " + strings.Repeat("x", maxMetaValue+1) + "\n", strings.Repeat("n", maxMetaName+1) + " x\n", strings.Repeat("a b\n", 2000),
	} {
		if m, err := ParseMeta([]byte(bad)); err == nil {
			t.Errorf("%.40q was read as %+v", bad, m)
		}
	}
	lines := ""
	for i := range maxMetaLines + 1 {
		lines += "n" + strings.Repeat("x", i%30) + strings.Repeat("y", i/30) + " v\n"
	}
	if _, err := ParseMeta([]byte(lines)); err == nil || !strings.Contains(err.Error(), "more than") {
		t.Errorf("too many lines: %v", err)
	}
}

func TestMetaCannotSmuggle(t *testing.T) {
	t.Parallel()
	for _, m := range []Meta{
		{UUID: "x\nlegacy yes"}, {Other: []Line{{"legacy", "yes"}}}, {Other: []Line{{"note", "a\nlegacy yes"}}},
		{Until: -1}, {Other: []Line{{"count", "7"}}},
	} {
		if b, err := m.Encode(); err == nil {
			t.Errorf("%+v was written as %q", m, b)
		}
	}
}

func FuzzParseMeta(f *testing.F) {
	f.Add([]byte("authorised 1795444952\nuuid " + testUUID + "\nlegacy no\n"))
	f.Add([]byte("legacy yes\nuntil 0\ncount 0\ncolour light blue\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := ParseMeta(b)
		if err != nil {
			return
		}
		out, err := m.Encode()
		if err != nil {
			// Defaults that were left out are written; only size can fail.
			if len(b) < maxMeta/2 && strings.Count(string(b), "\n") < maxMetaLines-5 {
				t.Fatalf("%q reads as %+v, which cannot be written: %v", b, m, err)
			}
			return
		}
		back, err := ParseMeta(out)
		if err != nil || !back.equal(m) {
			t.Fatalf("%q, written %q, reads as %+v: %v", b, out, back, err)
		}
	})
}
