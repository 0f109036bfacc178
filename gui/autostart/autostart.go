// Package autostart has a person's desktop start a program at login, or no more.
//
// It guarantees that the one file which says so is written whole or not at all,
// and that nothing else in the person's autostart folder is touched.
package autostart

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Entry is what is started.
type Entry struct {
	ID      string // of the program's desktop file, and of its icon
	Name    string // that the desktop's settings show
	Comment string
	Exec    string // as desktop files write commands
}

// Path is the entry's file, below the person's configuration folder.
func (e Entry) Path() (string, error) {
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("cannot tell what is started at login: %w", err)
	}
	return filepath.Join(dir, "autostart", e.ID+".Background.desktop"), nil
}

// String is the file's text.
func (e Entry) String() string {
	return "[Desktop Entry]\nType=Application\nName=" + e.Name + "\nComment=" + e.Comment + "\nIcon=" + e.ID +
		"\nExec=" + e.Exec + "\nTerminal=false\nStartupNotify=false\nNoDisplay=true\n"
}

// On reports whether the entry is started at login. One that the desktop's own
// settings have turned off is not.
func (e Entry) On() (bool, error) {
	path, err := e.Path()
	if err != nil {
		return false, err
	}
	text, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("cannot tell what is started at login: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		off := name == "Hidden" && value == "true" || name == "X-GNOME-Autostart-enabled" && value == "false"
		if off {
			return false, nil
		}
	}
	return true, nil
}

// Set has the entry started at login from now on, or no more.
func (e Entry) Set(on bool) error {
	path, err := e.Path()
	if err != nil {
		return err
	}
	if !on {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("cannot end the start at login: %w", err)
		}
		return nil
	}
	if err := e.write(path); err != nil {
		return fmt.Errorf("cannot have it started at login: %w", err)
	}
	return nil
}

func (e Entry) write(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".autostart-")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString(e.String())
	err = errors.Join(err, f.Chmod(0o644), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	return err
}
