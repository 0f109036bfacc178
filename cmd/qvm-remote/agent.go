package main

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"qvmremote/client"
	"qvmremote/client/agent"
	"qvmremote/queue"
)

// serveAgent answers dom0 from the queue in dir. dom0 names the home of the
// account it was told; in a qube without one the queue is this account's.
func serveAgent(dir string, in io.Reader, out io.Writer) error {
	if _, err := os.Stat(filepath.Dir(dir)); errors.Is(err, fs.ErrNotExist) {
		own, err := client.DefaultRoot()
		if err != nil {
			return err
		}
		dir = own
	}
	if err := queue.Migrate(filepath.Dir(dir)); err != nil {
		return err
	}
	signal.Ignore(syscall.SIGPIPE, syscall.SIGXFSZ)
	return agent.Run(context.Background(), queue.Layout{Root: dir}, in, out, agent.DefaultWaits())
}
