// Command qvm-remote-dom0 is dom0's side of qvm-remote: the daemon that looks
// at qubes, and the administration of keys, settings and audit.
//
// It guarantees that nothing it prints to people holds an unescaped byte from a
// qube, and that it never prints a key.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"qvmremote/daemon/run"
)

func main() { os.Exit(program()) }

func program() int {
	// The daemon starts this same program as the supervisor of each command.
	run.Supervise()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	a := &app{in: os.Stdin, out: os.Stdout, err: os.Stderr, environ: os.Environ(), euid: os.Geteuid()}
	return a.execute(ctx, os.Args[1:])
}
