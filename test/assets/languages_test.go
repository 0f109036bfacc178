package assets

import (
	"encoding/xml"
	"errors"
	"io"
	"path/filepath"
	"strings"
	"testing"
)

// languages are those that the programs themselves speak besides English.
func languages(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(resources + "/po/*.po")
	if err != nil || len(files) == 0 {
		t.Fatalf("no catalogues: %v", err)
	}
	var names []string
	for _, file := range files {
		names = append(names, strings.TrimSuffix(filepath.Base(file), ".po"))
	}
	return names
}

// TestMenuEntriesSpeakEachLanguage: a menu and a software centre say of a
// program what it is in the language that it then speaks.
func TestMenuEntriesSpeakEachLanguage(t *testing.T) {
	t.Parallel()
	entries, err := filepath.Glob(resources + "/*.desktop")
	if err != nil || len(entries) == 0 {
		t.Fatalf("no menu entries: %v", err)
	}
	for _, entry := range entries {
		text := read(t, entry)
		for _, language := range languages(t) {
			for _, line := range untranslatedKeys(text, language) {
				t.Errorf("%s: in %s there is no %s", filepath.Base(entry), language, line)
			}
			for _, said := range untranslatedText(t, read(t, strings.TrimSuffix(entry, ".desktop")+".metainfo.xml"), language) {
				t.Errorf("%s's metainfo: not in %s: %s", filepath.Base(entry), language, said)
			}
		}
	}
}

func TestWhatSpeaksNoLanguageIsFound(t *testing.T) {
	t.Parallel()
	if got := untranslatedKeys("Name=Qubes Remote\nComment=a\nComment[de]=b\n[Desktop Action a]\nName=c\n", "de"); len(got) != 1 || got[0] != "Name=c" {
		t.Errorf("of a menu entry: %q", got)
	}
	text := `<c><summary>a</summary><summary xml:lang="de">b</summary><p>c</p><ul><li>d</li><li xml:lang="fr">e</li></ul></c>`
	if got := untranslatedText(t, text, "de"); len(got) != 2 || got[0] != "c" || got[1] != "d" {
		t.Errorf("of metainfo: %q", got)
	}
}

// untranslatedKeys are the lines of a menu entry that people read and that have
// no twin right after them in a language; the program's name is one in all.
func untranslatedKeys(text, language string) []string {
	var missing []string
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		key, value, _ := strings.Cut(line, "=")
		switch key {
		case "Name", "GenericName", "Comment", "Keywords":
			if value != title && !strings.Contains(text, line+"\n"+key+"["+language+"]=") {
				missing = append(missing, lines[i])
			}
		}
	}
	return missing
}

// untranslatedText is what metainfo says in English alone: what people read is
// followed by the same in each language.
func untranslatedText(t *testing.T, text, language string) []string {
	t.Helper()
	type said struct{ tag, language, text string }
	var all []said
	for d := xml.NewDecoder(strings.NewReader(text)); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		start, ok := token.(xml.StartElement)
		if !ok || !strings.Contains(" summary p li ", " "+start.Name.Local+" ") {
			continue
		}
		var content string
		found := said{tag: start.Name.Local}
		for _, a := range start.Attr {
			if a.Name.Local == "lang" {
				found.language = a.Value
			}
		}
		if err := d.DecodeElement(&content, &start); err != nil {
			t.Fatal(err)
		}
		found.text = strings.Join(strings.Fields(content), " ")
		all = append(all, found)
	}
	var missing []string
	for i, s := range all {
		if s.language != "" {
			continue
		}
		translated := false
		for _, next := range all[i+1:] {
			if next.language == "" || next.tag != s.tag {
				break
			}
			translated = translated || next.language == language
		}
		if !translated {
			missing = append(missing, s.text)
		}
	}
	return missing
}
