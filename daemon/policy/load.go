package policy

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"qvmremote/daemon/trusted"
	"qvmremote/queue"
)

// Where the files are.
const (
	suffix     = ".policy"
	includeDir = "include"                      // in the folder of the policies
	configured = "/etc/qubes/remote.d"          // that folder, below some root
	shipped    = "/usr/share/qvm-remote/policy" // below the same root
)

// Path is where the policy of a qube lies in dir.
func Path(dir, vm string) (string, error) {
	if !queue.ValidQube(vm) {
		return "", fmt.Errorf("%s is not a qube's name", queue.Quote(vm, 40))
	}
	return filepath.Join(dir, vm+suffix), nil
}

// Load reads the policy of a qube: VM.policy in dir, with the sets it includes,
// see [Includes]. Where there is no file the error is [fs.ErrNotExist]; what is
// wrong in one is an [*Error].
func Load(dir, vm string) (*Policy, error) {
	path, err := Path(dir, vm)
	if err != nil {
		return nil, err
	}
	text, err := read(path)
	if err != nil {
		return nil, err
	}
	return Parse(filepath.Base(path), text, Includes(dir))
}

// Includes reads the sets of rules that a policy in dir may include: from
// include/ there, where an administrator puts them, else from those that came
// with the package.
func Includes(dir string) func(name string) ([]byte, error) {
	folders := []string{filepath.Join(dir, includeDir)}
	if root, ok := strings.CutSuffix(filepath.Clean(dir), configured); ok {
		folders = append(folders, filepath.Join(root, "/", shipped))
	}
	return func(name string) ([]byte, error) {
		for _, folder := range folders {
			text, err := read(filepath.Join(folder, name))
			if !errors.Is(err, fs.ErrNotExist) {
				return text, err
			}
		}
		return nil, fmt.Errorf("there is no such file in %s", strings.Join(folders, " or "))
	}
}

// Names lists the qubes that have a policy in dir, by name.
func Names(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("cannot list the policies: %w", err)
	}
	var names []string
	for _, e := range entries {
		if vm, ok := strings.CutSuffix(e.Name(), suffix); ok && queue.ValidQube(vm) {
			names = append(names, vm)
		}
	}
	return names, nil
}

// read reads a file that only root could have written.
func read(path string) ([]byte, error) {
	text, _, err := trusted.Read(path, MaxFile)
	var bad *trusted.Error
	if errors.As(err, &bad) {
		return nil, &Error{File: bad.Path, Text: bad.Text}
	}
	return text, err
}
