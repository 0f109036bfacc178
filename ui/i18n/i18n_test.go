package i18n

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// compiled is a catalogue as msgfmt writes it (GNU gettext's manual, "The Format
// of GNU MO Files"); messages are pairs of what is said and how.
func compiled(messages ...string) []byte {
	const header = 28
	count := len(messages) / 2
	var index, text bytes.Buffer
	at := header + 16*count
	for side := range 2 {
		for i := side; i < len(messages); i += 2 {
			_ = binary.Write(&index, binary.LittleEndian, []uint32{uint32(len(messages[i])), uint32(at + text.Len())})
			text.WriteString(messages[i] + "\x00")
		}
	}
	var file bytes.Buffer
	_ = binary.Write(&file, binary.LittleEndian, []uint32{0x950412de, 0, uint32(count), header, uint32(header + 8*count), 0, 0})
	return append(append(file.Bytes(), index.Bytes()...), text.Bytes()...)
}

const plurals = "Content-Type: text/plain; charset=UTF-8\nPlural-Forms: nplurals=2; plural=(n != 1);\n"

// in is the place of one catalogue of German, and its file.
func in(t *testing.T, data []byte) (Place, string) {
	t.Helper()
	folder := t.TempDir()
	file := filepath.Join(folder, "de", "LC_MESSAGES", "program.mo")
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return Place{[]string{filepath.Join(folder, "absent"), folder}, "program"}, file
}

func german(t *testing.T) Catalogue {
	t.Helper()
	place, _ := in(t, compiled("", plurals, "%d file\x00%d files", "%d Datei\x00%d Dateien", "Open %s", "%s öffnen", "state\x04Open", "Offen", "a < b", "a < „b“"))
	c, err := Find(environment("LANG=de_DE.UTF-8"), place)
	if err != nil || c.Language() != "de" {
		t.Fatalf("%q, %v", c.Language(), err)
	}
	return c
}

func environment(list ...string) func(string) string {
	return func(name string) string {
		for _, entry := range list {
			if value, ok := strings.CutPrefix(entry, name+"="); ok {
				return value
			}
		}
		return ""
	}
}

func TestMessages(t *testing.T) {
	t.Parallel()
	c := german(t)
	for _, m := range []struct{ german, english, wantGerman, wantEnglish string }{
		{c.T("Open %s", "100%d"), Catalogue{}.T("Open %s", "100%d"), "100%d öffnen", "Open 100%d"},
		{c.C("state", "Open"), Catalogue{}.C("state", "Open"), "Offen", "Open"},
		{c.N(1, "%d file", "%d files", 1), Catalogue{}.N(1, "%d file", "%d files", 1), "1 Datei", "1 file"},
		{c.N(0, "%d file", "%d files", 0), Catalogue{}.N(0, "%d file", "%d files", 0), "0 Dateien", "0 files"},
		{c.T("Unknown %s", "x"), Catalogue{}.T("Unknown %s", "x"), "Unknown x", "Unknown x"},
		{c.T(""), Catalogue{}.T(""), "", ""},
	} {
		if m.german != m.wantGerman || m.english != m.wantEnglish {
			t.Errorf("%q and %q, want %q and %q", m.german, m.english, m.wantGerman, m.wantEnglish)
		}
	}
}

func TestViews(t *testing.T) {
	t.Parallel()
	const view = `<?xml version="1.0"?><interface><a><p name="x" translatable="yes" context="state">Open</p><p translatable="yes">a &lt; b</p><p name="y">Open</p></a></interface>`
	got, err := german(t).View([]byte(view))
	want := `<interface><a><p name="x" translatable="yes" context="state">Offen</p><p translatable="yes">a &lt; „b“</p><p name="y">Open</p></a></interface>`
	if err != nil || string(got) != want {
		t.Errorf("%s, %v; want %s", got, err, want)
	}
	if got, err := (Catalogue{}).View([]byte(view)); err != nil || string(got) != view {
		t.Errorf("in English %s, %v", got, err)
	}
	for _, half := range []string{"<a><b", "<a><b/>"} {
		if _, err := german(t).View([]byte(half)); err == nil {
			t.Errorf("half a view is translated: %s", half)
		}
	}
}

func TestLanguages(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]string{
		"":                                     nil,
		"LANG=de_DE.UTF-8":                     {"de_DE", "de"},
		"LANG=de":                              {"de"},
		"LANG=fr_FR LC_MESSAGES=de_AT@euro":    {"de_AT", "de"},
		"LC_ALL=C LANG=de_DE":                  nil,
		"LC_ALL=POSIX LANGUAGE=de":             nil,
		"LANG=en_US.UTF-8 LANGUAGE=nds:de::en": {"nds", "de", "en"},
		"LANGUAGE=de":                          nil,
		"LANG=C.UTF-8 LANGUAGE=de":             nil,
		"LANG=fr LANGUAGE=de:C:fr":             {"de"},
		"LANG=../../etc LANGUAGE=a/b:..:de":    {"de"},
		"LANG=x LANGUAGE=" + strings.Repeat("de:", 40): slices.Repeat([]string{"de"}, maxLanguages),
	} {
		if got := languages(environment(strings.Fields(text)...)); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}

func TestFind(t *testing.T) {
	t.Parallel()
	place, file := in(t, compiled("", plurals, "Open", "Öffnen"))
	for wanted, want := range map[string]string{"de": "de", "fr:de": "de", "en_GB:de": "en", "fr": "en"} {
		c, err := Find(environment("LANG=de_DE.UTF-8", "LANGUAGE="+wanted), place)
		if err != nil || c.Language() != want {
			t.Errorf("%s: %q, %v; want %q", wanted, c.Language(), err, want)
		}
	}
	full := compiled("", plurals, "Open", "Öffnen")
	for what, damaged := range map[string][]byte{"no catalogue": []byte("msgid"), "an empty file": nil, "half of an index": compiled("", plurals, "Open", "Öffnen")[:40],
		"all but the last byte": full[:len(full)-1], "a count beyond all bounds": slices.Concat(full[:8], []byte{255, 255, 255, 255}, full[12:])} {
		if err := os.WriteFile(file, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := Find(environment("LANG=de"), place)
		if err == nil || !strings.Contains(err.Error(), file) || c.T("Open") != "Open" {
			t.Errorf("%s: %v, and it says %q", what, err, c.T("Open"))
		}
	}
}
