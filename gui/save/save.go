// Package save writes what a person saves.
//
// It guarantees that a file is written whole, for its owner alone, or that what
// was there is left as it was.
package save

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"

	"qvmremote/ui/i18n"
)

// File makes the file at path of what write writes, which has to end with ctx, and
// returns what write did.
func File(ctx context.Context, path string, write func(context.Context, io.Writer) (int64, error)) (int64, error) {
	if info, err := os.Lstat(path); err == nil && !info.Mode().IsRegular() {
		return 0, errors.New(i18n.T("cannot write there: %s is not a file", path))
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".qvm-remote-")
	if err != nil {
		return 0, explain(path, fmt.Errorf("%s: %w", i18n.T("cannot write there"), err))
	}
	defer os.Remove(f.Name())
	n, err := write(ctx, f)
	if err = errors.Join(err, f.Sync(), f.Close(), ctx.Err()); err != nil {
		return n, explain(path, err)
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return n, fmt.Errorf("%s: %w", i18n.T("cannot put it in its place"), err)
	}
	return n, nil
}

// explain says of a full disk what can be done, and of which file it is: the one
// that is being written has a name that nobody knows.
func explain(path string, err error) error {
	for _, full := range []error{syscall.ENOSPC, syscall.EDQUOT} {
		if errors.Is(err, full) {
			return fmt.Errorf("%s (%w)", i18n.T("cannot write %s: its disk is full; make room there, or save it elsewhere", filepath.Base(path)), full)
		}
	}
	return err
}
