package assets

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

const (
	resources = "../../resources"
	icons     = resources + "/icons/hicolor"
)

// places are where the icon theme specification and GTK look, with what is
// drawn there and how large, in pixels.
var places = []struct {
	pattern string
	size    int
	faults  func(size int, svg []byte) []string
}{
	{"scalable/apps/org.qvmremote.*.svg", 128, pictureFaults},
	{"symbolic/apps/org.qvmremote.*-symbolic.svg", 16, symbolicFaults},
	{"scalable/actions/qr-*-symbolic.svg", 16, symbolicFaults},
}

// iconFiles maps the name by which GTK finds each icon to its path below icons.
func iconFiles(t *testing.T) map[string]string {
	t.Helper()
	names := map[string]string{}
	err := filepath.WalkDir(icons, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name := strings.TrimSuffix(d.Name(), ".svg")
		if other, twice := names[name]; twice {
			t.Errorf("%s is there twice: %s and %s", name, other, p)
		}
		rel, err := filepath.Rel(icons, p)
		names[name] = filepath.ToSlash(rel)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestIconsAreWhatTheirPlacesAreFor(t *testing.T) {
	t.Parallel()
	for name, path := range iconFiles(t) {
		placed := false
		for _, place := range places {
			if ok, err := filepath.Match(place.pattern, path); err != nil || !ok {
				continue
			}
			placed = true
			for _, fault := range place.faults(place.size, []byte(read(t, filepath.Join(icons, path)))) {
				t.Errorf("%s: %s", path, fault)
			}
		}
		if !placed {
			t.Errorf("%s is in %s, where no icon of ours belongs", name, path)
		}
	}
}

// elements lists what an SVG file draws, the root first, or says what is wrong
// with it as XML.
func elements(svg []byte) ([]xml.StartElement, error) {
	var list []xml.StartElement
	d := xml.NewDecoder(bytes.NewReader(svg))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) && len(list) > 0 {
			return list, nil
		}
		if err != nil {
			return nil, fmt.Errorf("not well-formed: %w", err)
		}
		if start, ok := token.(xml.StartElement); ok {
			list = append(list, start.Copy())
		}
	}
}

func attribute(e xml.StartElement, name string) string {
	for _, a := range e.Attr {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

func sizeFaults(size int, root xml.StartElement) (faults []string) {
	n := strconv.Itoa(size)
	for name, want := range map[string]string{"width": n, "height": n, "viewBox": "0 0 " + n + " " + n} {
		if got := attribute(root, name); got != want {
			faults = append(faults, fmt.Sprintf("%s is %q, not %q", name, got, want))
		}
	}
	return faults
}

// pictureFaults: a picture of the right size which needs nothing but itself.
func pictureFaults(size int, svg []byte) []string {
	list, err := elements(svg)
	if err != nil {
		return []string{err.Error()}
	}
	faults := sizeFaults(size, list[0])
	for _, e := range list {
		switch e.Name.Local {
		case "text", "image", "use", "script", "style", "foreignObject":
			faults = append(faults, "<"+e.Name.Local+">: fonts, other files and scripts are not there for an icon")
		}
	}
	return faults
}

// ink is the one colour of a symbolic icon: the one that GTK replaces.
const ink = "#2e3436"

var number = regexp.MustCompile(`[0-9]*\.?[0-9]+`)

// symbolicFaults: filled paths of one colour. GTK fills every path with the
// colour of the text, also one that was meant as a stroke or as a hole.
func symbolicFaults(size int, svg []byte) []string {
	list, err := elements(svg)
	if err != nil {
		return []string{err.Error()}
	}
	faults := sizeFaults(size, list[0])
	if len(list) == 1 {
		faults = append(faults, "nothing is drawn")
	}
	for _, e := range list[1:] {
		if e.Name.Local != "path" {
			faults = append(faults, "<"+e.Name.Local+"> is no path")
			continue
		}
		for _, a := range e.Attr {
			if a.Name.Local != "d" && a.Name.Local != "fill" {
				faults = append(faults, "a path has "+a.Name.Local)
			}
		}
		if fill := attribute(e, "fill"); fill != ink {
			faults = append(faults, fmt.Sprintf("a path has the colour %q, not %s", fill, ink))
		}
		faults = append(faults, outlineFaults(size, attribute(e, "d"))...)
	}
	return faults
}

// outlineFaults: absolute commands only, so that what lies outside of the
// picture, and would be cut off, can be seen from the numbers.
func outlineFaults(size int, d string) (faults []string) {
	if d == "" {
		faults = append(faults, "a path has no outline")
	}
	if strings.Trim(d, "MLHVACQZ0123456789. ") != "" || strings.ContainsAny(d, "-+") || d != strings.ToUpper(d) {
		faults = append(faults, "an outline has other than absolute commands and numbers that are not negative")
	}
	for _, word := range number.FindAllString(d, -1) {
		if v, err := strconv.ParseFloat(word, 64); err != nil || v > float64(size) {
			faults = append(faults, "an outline goes as far as "+word)
		}
	}
	return faults
}

func TestIconFaultsAreFound(t *testing.T) {
	t.Parallel()
	const head = `<svg xmlns="http://www.w3.org/2000/svg" width="16" height="16" viewBox="0 0 16 16">`
	for name, c := range map[string]struct {
		svg  string
		want int
	}{
		"fine":      {head + `<path fill="#2e3436" d="M1 1H15V15Z"/></svg>`, 0},
		"unclosed":  {head + `<path fill="#2e3436" d="M1 1H15V15Z"></svg>`, 1},
		"empty":     {"", 1},
		"no path":   {head + `</svg>`, 1},
		"coloured":  {head + `<path fill="red" d="M1 1H15V15Z"/></svg>`, 1},
		"no colour": {head + `<path d="M1 1H15V15Z"/></svg>`, 1},
		"stroke":    {head + `<path fill="#2e3436" stroke="#2e3436" d="M1 1H15V15Z"/></svg>`, 1},
		"text":      {head + `<text>A</text></svg>`, 1},
		"relative":  {head + `<path fill="#2e3436" d="M1 1h14v14z"/></svg>`, 1},
		"outside":   {head + `<path fill="#2e3436" d="M1 1H16.5V15Z"/></svg>`, 1},
		"before":    {head + `<path fill="#2e3436" d="M-1 1H15V15Z"/></svg>`, 1},
		"size":      {strings.Replace(head, `width="16"`, `width="24"`, 1) + `<path fill="#2e3436" d="M1 1H15V15Z"/></svg>`, 1},
	} {
		if got := symbolicFaults(16, []byte(c.svg)); len(got) != c.want {
			t.Errorf("%s: found %q, want %d faults", name, got, c.want)
		}
	}
	if got := pictureFaults(16, []byte(head+`<image href="/etc/passwd"/><g/></svg>`)); len(got) != 1 {
		t.Errorf("a picture with another file in it: found %q", got)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
