// Package executable puts programs of a test's own where what is tested starts
// them.
//
// It guarantees that a program can be started as soon as [Write] has returned,
// whatever else the test program starts meanwhile, and that whoever starts it
// while it is replaced gets the old one or the new one.
package executable

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// Write puts a program with that content at path, for every user to start.
//
// The kernel does not start a file that somebody has open for writing, and a
// process begun by another goroutine has whatever this one has open until it
// becomes its own program: "text file busy" (go.dev/issue/22315). So nothing is
// begun while the file is open.
func Write(path string, content []byte) error {
	fresh := fmt.Sprintf("%s.new-%d", path, os.Getpid())
	if err := write(fresh, content); err != nil {
		return errors.Join(fmt.Errorf("cannot write a program: %w", err), os.Remove(fresh))
	}
	if err := os.Rename(fresh, path); err != nil {
		return errors.Join(fmt.Errorf("cannot place a program: %w", err), os.Remove(fresh))
	}
	return nil
}

func write(path string, content []byte) error {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o755)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	return errors.Join(err, f.Chmod(0o755), f.Close()) // whatever the umask
}
