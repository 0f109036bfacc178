package tools

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"qvmremote/test/sim/guest"
	"qvmremote/test/sim/world"
)

// forwarded are the caller's variables that a program run by "in" also has.
var forwarded = []string{"TERM=", "GOCOVERDIR=", "QVM_REMOTE_"}

// passedOn are the signals that reach the program run by "in".
var passedOn = []os.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2}

// inside runs a program in a qube on the caller's own stdin, stdout and stderr
// and returns its exit code. If the caller is killed, so is the program.
func inside(w world.World, qube string, argv []string) (int, error) {
	state, err := w.State(qube)
	if err != nil {
		return 0, err
	}
	conn, err := world.Dial(w.Qrexec(qube), 5*time.Second)
	if err != nil {
		return 0, fmt.Errorf("qube %s is %s: %w", qube, state, err)
	}
	request := guest.Request{Terminal: argv}
	for _, v := range os.Environ() {
		for _, f := range forwarded {
			if strings.HasPrefix(v, f) {
				request.Env = append(request.Env, v)
			}
		}
	}
	// before the program can run: a signal from now on is the program's
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, passedOn...)
	if err := guest.Send(conn, request, os.Stdin, os.Stdout, os.Stderr); err != nil {
		return 0, err
	}
	return follow(conn, qube, signals)
}

func follow(conn *net.UnixConn, qube string, signals <-chan os.Signal) (int, error) {
	var r guest.Reply
	if _, err := guest.Receive(conn, &r); err != nil {
		return 0, fmt.Errorf("qube %s went down: %w", qube, err)
	}
	if r.Problem != "" {
		fmt.Fprintf(os.Stderr, "qubes-sim: %s\n", r.Problem)
		return r.Code, nil
	}
	go func() {
		for s := range signals {
			conn.Write([]byte{byte(s.(syscall.Signal))})
		}
	}()
	if _, err := guest.Receive(conn, &r); err != nil || !r.Ended {
		return 255, errors.Join(fmt.Errorf("qube %s went down", qube), err)
	}
	return r.Code, nil
}
