package i18n

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

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
			if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
				continue
			}
			return c, err
		}
	}
	return Catalogue{}, nil
}

func open(language, file string) (Catalogue, error) {
	data, err := read(file)
	if err != nil {
		return Catalogue{}, fmt.Errorf("cannot read the translations: %w", err)
	}
	if !whole(data) {
		return Catalogue{}, fmt.Errorf("cannot read the translations: %s is no compiled catalogue, or only a part of one", file)
	}
	messages := gotext.NewMo()
	messages.Parse(data)
	return Catalogue{language, messages}, nil
}

// maxCatalogue bounds a catalogue, in bytes.
const maxCatalogue = 8 << 20

func read(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxCatalogue+1))
	if err == nil && len(data) > maxCatalogue {
		err = fmt.Errorf("%s is larger than %d bytes", file, maxCatalogue)
	}
	return data, err
}

// whole reports whether a compiled catalogue has all the texts that its index
// names (GNU gettext's manual, "The Format of GNU MO Files"). The library stops at
// the first that is not there, without a word, and believes any count.
func whole(data []byte) bool {
	const header, entry = 28, 8
	if len(data) < header {
		return false
	}
	var order binary.ByteOrder = binary.LittleEndian
	switch order.Uint32(data) {
	case gotext.MoMagicLittleEndian:
	case gotext.MoMagicBigEndian:
		order = binary.BigEndian
	default:
		return false
	}
	size, count := uint64(len(data)), uint64(order.Uint32(data[8:]))
	for _, field := range []int{12, 16} { // the index of what is said, then of how
		start := uint64(order.Uint32(data[field:]))
		if start+count*entry > size {
			return false
		}
		for i := range count {
			at := data[start+i*entry:]
			if uint64(order.Uint32(at))+uint64(order.Uint32(at[4:])) >= size { // a zero ends each
				return false
			}
		}
	}
	return count > 0
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
	if locale == "" || noLanguage(locale) || strings.HasPrefix(locale, "C.") {
		return nil
	}
	wanted := []string{locale}
	if list := getenv("LANGUAGE"); list != "" {
		wanted = strings.SplitN(list, ":", maxLanguages+1)
		wanted = wanted[:min(len(wanted), maxLanguages)]
	}
	var found []string
	for _, name := range wanted {
		if noLanguage(name) {
			break
		}
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

// noLanguage reports whether a locale is that of programs, which is English and
// asks for no other.
func noLanguage(locale string) bool { return locale == "C" || locale == "POSIX" }
