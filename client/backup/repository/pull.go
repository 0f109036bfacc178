package repository

import (
	"context"
	"errors"
	"fmt"

	"qvmremote/client/backup"
)

// ErrNoBranch says that nothing was ever pushed to a repository.
var ErrNoBranch = errors.New("this repository has no branch " + Branch + ": nothing was pushed to it")

// Pulled is what a pull did.
type Pulled struct {
	backup.Restored
	Address string
}

// Pull adds the requests that the branch has and this qube has not, after the
// checks and with the safety archive of a restore; with log also the lines of
// the log that was pushed from a qube of this name. It changes no key.
func (r *Repository) Pull(ctx context.Context, from string, log bool) (Pulled, error) {
	a, err := r.resolve(from)
	if err != nil {
		return Pulled{}, err
	}
	w, err := r.open(ctx)
	if err != nil {
		return Pulled{}, err
	}
	defer w.close()
	commit, err := w.fetch(ctx, a)
	if err != nil {
		return Pulled{}, fmt.Errorf("cannot pull: %w", err)
	}
	if commit == "" {
		return Pulled{}, ErrNoBranch
	}
	list, err := w.tree(ctx, commit)
	if err != nil {
		return Pulled{}, fmt.Errorf("cannot pull: %w", err)
	}
	done, err := r.Keeper.Merge(ctx, w.source(ctx, list, r.qube(ctx)), backup.Choice{Log: log})
	return Pulled{done, a.text}, err
}
