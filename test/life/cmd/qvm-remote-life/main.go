// Command qvm-remote-life makes a simulated dom0 with life in it, prints the
// variables by which programs find it, one NAME=value a line and an empty line
// after them, and keeps it until its standard input closes or a signal comes.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"qvmremote/test/life"
)

func main() {
	if err := keep(); err != nil {
		fmt.Fprintln(os.Stderr, "qvm-remote-life:", err)
		os.Exit(1)
	}
}

// keep makes the house and closes it at the end.
func keep() error {
	var o life.Options
	var programs string
	flag.IntVar(&o.Qubes, "qubes", 3, "how many qubes are authorised")
	flag.IntVar(&o.Records, "records", 0, "how many records the audit log has from the last 395 days")
	flag.BoolVar(&o.History, "history", false, "run one command of each outcome")
	flag.BoolVar(&o.Running, "running", false, "begin one command that goes on")
	flag.BoolVar(&o.Stopped, "stopped", false, "leave the executor stopped")
	flag.StringVar(&programs, "programs", "", "folder with qvm-remote and qvm-remote-dom0 (built where it is not given)")
	flag.StringVar(&o.Dir, "dir", "", "folder to make (a temporary one where it is not given)")
	flag.Parse()
	if flag.NArg() > 0 {
		return fmt.Errorf("no arguments are expected beside options; see --help")
	}
	if programs != "" {
		dir, err := filepath.Abs(programs) // dom0's programs start elsewhere
		if err != nil {
			return err
		}
		o.Programs = life.In(dir)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	h, err := life.New(ctx, o)
	if err != nil {
		return err
	}
	for _, v := range h.Environ() {
		fmt.Println(v)
	}
	fmt.Println()
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		_, _ = io.Copy(io.Discard, os.Stdin) // an end is an end, whatever its cause
	}()
	select {
	case <-ctx.Done():
	case <-closed:
	}
	return h.Close()
}
