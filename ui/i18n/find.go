package i18n

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/leonelquinteros/gotext"
)

// A Place is where catalogues are: in folders, the first that has one, by the
// name that gettext calls a domain.
type Place struct {
	Folders []string
	Domain  string
}

// maxLanguages bounds how many languages of LANGUAGE are looked for.
const maxLanguages = 16

// here is where this program's are: where it was installed, then where a
// distribution has them, by the program's own name.
func here() Place {
	p := Place{Folders: []string{"/usr/share/locale"}}
	if program, err := os.Executable(); err == nil {
		p.Folders = append([]string{filepath.Join(filepath.Dir(program), "..", "share", "locale")}, p.Folders...)
		p.Domain = filepath.Base(program)
	}
	return p
}

// Find opens the catalogue of the language that the environment asks for. None
// is no error: it is English then. One that cannot be read is.
func Find(getenv func(string) string, place Place) (Catalogue, error) {
	for _, language := range languages(getenv) {
		if language == "en" || strings.HasPrefix(language, "en_") {
			return Catalogue{}, nil
		}
		for _, folder := range place.Folders {
			file := filepath.Join(folder, language, "LC_MESSAGES", place.Domain+".mo")
			c, err := open(language, file)
			if err == nil || !errors.Is(err, fs.ErrNotExist) {
				return c, err
			}
		}
	}
	return Catalogue{}, nil
}

func open(language, file string) (Catalogue, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return Catalogue{}, fmt.Errorf("cannot read the translations: %w", err)
	}
	messages := gotext.NewMo()
	if messages.Parse(data); len(messages.GetDomain().GetTranslations()) == 0 { // it has no other way to say so
		return Catalogue{}, fmt.Errorf("cannot read the translations: %s is no compiled catalogue", file)
	}
	return Catalogue{language, messages}, nil
}

// languages are those that the environment asks for, the first the most wanted,
// as GNU gettext reads it (its manual, "Locale Environment Variables"): LANGUAGE
// is a list and counts only where the locale is not C.
func languages(getenv func(string) string) []string {
	locale := ""
	for _, name := range []string{"LC_ALL", "LC_MESSAGES", "LANG"} {
		if locale = getenv(name); locale != "" {
			break
		}
	}
	if locale == "" || locale == "C" || locale == "POSIX" {
		return nil
	}
	wanted := []string{locale}
	if list := getenv("LANGUAGE"); list != "" {
		wanted = strings.SplitN(list, ":", maxLanguages+1)
		wanted = wanted[:min(len(wanted), maxLanguages)]
	}
	var found []string
	for _, name := range wanted {
		name, _, _ = strings.Cut(name, "@")
		name, _, _ = strings.Cut(name, ".")
		if name == "" || strings.ContainsAny(name, `/\`) { // it becomes the name of a folder
			continue
		}
		found = append(found, name)
		if short, _, territory := strings.Cut(name, "_"); territory && short != "" {
			found = append(found, short)
		}
	}
	return found
}
