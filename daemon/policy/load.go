package policy

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"qvmremote/daemon/trusted"
	"qvmremote/queue"
)

// Where the files are.
const (
	suffix     = ".policy"
	includeDir = "include"                      // in the folder of the policies
	shipped    = "/usr/share/qvm-remote/policy" // sets that the package brings
)

// Load reads the policy of a qube: VM.policy in dir, with the sets it includes,
// each from include/ in dir, else from those that the package brings. Where
// there is no file the error is [fs.ErrNotExist]; what is wrong in one is an
// [*Error].
func Load(dir, vm string) (*Policy, error) { return load(dir, shipped, vm) }

func load(dir, shipped, vm string) (*Policy, error) {
	if !queue.ValidQube(vm) {
		return nil, fmt.Errorf("%s is not a qube's name", queue.Quote(vm, 40))
	}
	text, err := read(filepath.Join(dir, vm+suffix))
	if err != nil {
		return nil, err
	}
	return Parse(vm+suffix, text, Includes(dir, shipped))
}

// Includes reads sets: from include/ in dir, else from the folder of shipped
// ones, "" for that of the package.
func Includes(dir, fallback string) func(name string) ([]byte, error) {
	if fallback == "" {
		fallback = shipped
	}
	return func(name string) ([]byte, error) {
		text, err := read(filepath.Join(dir, includeDir, name))
		if errors.Is(err, fs.ErrNotExist) {
			text, err = read(filepath.Join(fallback, name))
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("it is neither in %s nor in %s", filepath.Join(dir, includeDir), fallback)
		}
		return text, err
	}
}

// read reads a file that only root could have written.
func read(path string) ([]byte, error) {
	text, err := trusted.Read(path, maxFile)
	var bad *trusted.Error
	if errors.As(err, &bad) {
		return nil, &Error{File: bad.Path, Text: bad.Text}
	}
	return text, err
}
