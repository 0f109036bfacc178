package guest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"qvmremote/test/sim/proctree"
)

// Descriptors of a qube's first process.
const (
	listenFd = 3 // the qrexec socket
	readyFd  = 4 // gets "ready" or what is wrong
	leashFd  = 5 // ends when the power manager does
)

// Names of this program's own processes, as its first argument.
const (
	InitName  = "qube-init"
	FloodName = "qube-flood"
)

// Ready is what a qube's first process says when it can be called.
const Ready = "ready"

// Config is what a qube's first process must know.
type Config struct {
	World, Qube string
	User        string // default account
	How         string // User, Mount or Plain
	Home        string // as seen inside
	Share, Env  []string
	HomeSize    int64 // bytes; 0 for the folder outside
	Apart       bool  // namespaces are set up
}

// NewConfig fills in what follows from the rest.
func NewConfig(world, qube, user, how string, share, env []string) Config {
	return Config{World: world, Qube: qube, User: user, How: how,
		Home: homeInside(world, qube, user, how), Share: share, Env: env}
}

// Argv are the arguments of the first process of the qube.
func (c Config) Argv() ([]string, error) {
	b, err := json.Marshal(c)
	return []string{InitName, string(b)}, err
}

// Init is the main function of a qube's first process.
func Init(argv []string) int {
	ready := os.NewFile(readyFd, "ready")
	err := initialise(argv, ready)
	fmt.Fprint(ready, err)
	return 1
}

func initialise(argv []string, ready *os.File) error {
	var c Config
	if len(argv) != 2 {
		return errors.New("qube-init is started by the simulator only")
	}
	if err := json.Unmarshal([]byte(argv[1]), &c); err != nil {
		return fmt.Errorf("qube-init: %w", err)
	}
	if c.How != Plain && !c.Apart {
		if err := isolate(c); err != nil {
			return err
		}
		c.Apart = true
		again, err := c.Argv()
		if err != nil {
			return err
		}
		return shed(again)
	}
	unix.Umask(0o022)
	return serve(c, ready)
}

// serve answers calls until the leash ends, and takes every process along.
func serve(c Config, ready *os.File) error {
	for _, fd := range []int{listenFd, readyFd, leashFd} {
		unix.CloseOnExec(fd)
	}
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("become the reaper: %w", err)
	}
	ln, err := net.FileListener(os.NewFile(listenFd, "qrexec"))
	if err != nil {
		return fmt.Errorf("qrexec socket: %w", err)
	}
	agent := newAgent(c)
	if _, err := fmt.Fprint(ready, Ready); err != nil {
		return err
	}
	ready.Close()
	go func() {
		io.Copy(io.Discard, os.NewFile(leashFd, "leash"))
		if c.How == Plain {
			proctree.KillBelow(os.Getpid(), time.Now().Add(10*time.Second))
		}
		os.Exit(0)
	}()
	for {
		conn, err := ln.Accept()
		if err != nil {
			return fmt.Errorf("qrexec socket: %w", err)
		}
		go agent.handle(conn.(*net.UnixConn))
	}
}
