// Package prefs keeps how a person left a desktop program: the window's size,
// its page, light or dark. Nothing in it decides anything.
//
// It guarantees that a file which is missing, too long, or written by somebody
// else's program costs nothing but the defaults for what it does not say, and
// that a half-written one is never left.
package prefs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// maxSize bounds the file, in bytes.
const maxSize = 4096

// Prefs is what is kept.
type Prefs struct {
	Width, Height int // of the window, in pixels
	Maximized     bool
	Page          string // the one that was shown
	Style         string // "system", "light" or "dark"
	HighContrast  bool
	Notify        bool // of commands that run
	Ask           bool // notify of requests that wait
}

// Default is for whoever starts the program the first time.
func Default() Prefs { return Prefs{Width: 1040, Height: 760, Style: "system", Ask: true} }

// Path is the file of the program of that name, below the person's
// configuration folder.
func Path(program string) (string, error) {
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("cannot tell where settings are kept: %w", err)
	}
	return filepath.Join(dir, "qvm-remote", program+".conf"), nil
}

// Load reads a file; what it does not say, or not well, is as in p. That there
// is none is no error.
func Load(path string, p Prefs) (Prefs, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return p, nil
	}
	if err != nil {
		return p, fmt.Errorf("cannot read how the window was left: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxSize))
	if err != nil {
		return p, fmt.Errorf("cannot read how the window was left: %w", err)
	}
	if len(text) == maxSize {
		text = text[:bytes.LastIndexByte(text, '\n')+1] // a part of a line says something else
	}
	p.parse(string(text))
	return p, nil
}

func (p *Prefs) parse(text string) {
	for _, line := range strings.Split(text, "\n") {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch name {
		case "width":
			pixels(&p.Width, value)
		case "height":
			pixels(&p.Height, value)
		case "maximized":
			p.Maximized = value == "yes"
		case "page":
			if len(value) <= 20 {
				p.Page = value
			}
		case "style":
			if value == "system" || value == "light" || value == "dark" {
				p.Style = value
			}
		case "high-contrast":
			p.HighContrast = value == "yes"
		case "notify":
			p.Notify = value == "yes"
		case "ask":
			p.Ask = value != "no"
		}
	}
}

// pixels takes a size that a window can have.
func pixels(to *int, value string) {
	if n, err := strconv.Atoi(value); err == nil && n >= 200 && n <= 20_000 {
		*to = n
	}
}

// String is the file's text.
func (p Prefs) String() string {
	return fmt.Sprintf("width %d\nheight %d\nmaximized %s\npage %s\nstyle %s\nhigh-contrast %s\nnotify %s\nask %s\n",
		p.Width, p.Height, yes(p.Maximized), p.Page, p.Style, yes(p.HighContrast), yes(p.Notify), yes(p.Ask))
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// Save writes the file whole, and makes its folder where there is none. A link
// stays one, and the file's mode is left.
func (p Prefs) Save(path string) error {
	if to, err := filepath.EvalSymlinks(path); err == nil {
		path = to
	}
	mode := fs.FileMode(0o600)
	if info, err := os.Stat(path); err == nil {
		mode = info.Mode().Perm()
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("cannot keep how the window was left: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".prefs-")
	if err != nil {
		return fmt.Errorf("cannot keep how the window was left: %w", err)
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString(p.String())
	err = errors.Join(err, f.Chmod(mode), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("cannot keep how the window was left: %w", err)
	}
	return nil
}
