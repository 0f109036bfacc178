package tools

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"qvmremote/test/sim/guest"
	"qvmremote/test/sim/world"
)

// clientOptions are qrexec-client's arguments.
type clientOptions struct {
	domain, local, prefix string
	wait                  time.Duration // for the connection
	filterOut, filterErr  bool
	command               string
}

const clientUsage = "[-w timeout] [-W] [-t] [-T] [-p prefix-data] [-l local_prog] -d target_vmname {user:}command"

func parseClient(argv []string) (clientOptions, parser, error) {
	o := clientOptions{wait: 5 * time.Second}
	p := parser{prog: "qrexec-client", usage: clientUsage, anywhere: true, options: []option{
		text(&o.domain, "-d"), text(&o.local, "-l"), text(&o.prefix, "-p", "--prefix-data"),
		flag(&o.filterOut, true, "-t"), flag(&o.filterErr, true, "-T"),
		ignored(false, "-E"), ignored(false, "-e"), ignored(false, "-W"), ignored(false, "-k"),
		ignored(true, "--socket-dir"),
		{names: []string{"-w"}, value: true, set: func(v string) error {
			n, err := strconv.Atoi(v)
			if err != nil || n < 0 {
				return fmt.Errorf("bad timeout %q", v)
			}
			o.wait = time.Duration(n) * time.Second
			return nil
		}},
	}}
	rest, err := p.parse(argv[1:])
	if err == nil && (o.domain == "" || len(rest) != 1) {
		err = errors.New("-d DOMAIN and one command are needed")
	}
	if err == nil {
		o.command = rest[0]
	}
	return o, p, err
}

// request takes a command line of the form user:[nogui:]COMMAND or
// user:QUBESRPC service+argument source apart.
func (o clientOptions) request(w world.World) (guest.Request, error) {
	user, command, ok := strings.Cut(o.command, ":")
	if !ok {
		return guest.Request{}, errors.New("command must be user:command")
	}
	command = strings.TrimPrefix(command, "nogui:")
	r := guest.Request{User: user, Command: command, ExecLimit: -1}
	if user == "DEFAULT" {
		r.User = ""
	}
	if service, found := strings.CutPrefix(command, "QUBESRPC "); found {
		name, _, found := strings.Cut(service, " ")
		if !found || name == "" {
			return guest.Request{}, errors.New("service call must be QUBESRPC service source")
		}
		r.Service, r.Command = name, ""
	}
	r.Noise = []byte(w.Knob(o.domain, world.Noise))
	r.Flood = w.Knob(o.domain, world.Flood)
	r.Hang = w.On(o.domain, world.Hang, false)
	if n, ok := w.Count(o.domain, world.ExecLimit); ok {
		r.ExecLimit = n
	}
	return r, nil
}

// qrexecClient is qrexec-client: one call of one qube that is up.
func qrexecClient(p place, argv []string) int {
	o, parser, err := parseClient(argv)
	if err != nil {
		parser.fail(err)
		return 1
	}
	signal.Ignore(syscall.SIGPIPE)
	interrupt := make(chan os.Signal, 1)
	signal.Notify(interrupt, syscall.SIGINT)
	go func() {
		<-interrupt
		os.Exit(130)
	}()
	if code, ok := p.Count(o.domain, world.Refuse); ok {
		fmt.Fprintf(os.Stderr, "Request refused (simulated, %d)\n", code)
		return int(code)
	}
	conn, streams, code, err := o.connect(p.World)
	if err != nil {
		fmt.Fprintf(os.Stderr, "qrexec-client: %v\n", err)
		return code
	}
	time.Sleep(p.Duration(o.domain, world.Hold))
	return o.relay(p.World, conn, streams)
}

// connect reaches the agent and returns the dom0 ends of stdin, stdout and
// stderr, or the exit code for why not.
func (o clientOptions) connect(w world.World) (*net.UnixConn, []*os.File, int, error) {
	request, err := o.request(w)
	if err != nil {
		return nil, nil, 1, err
	}
	deadline := time.Now().Add(o.wait)
	if !w.Exists(o.domain) {
		return nil, nil, 1, fmt.Errorf("connect to %q: no such domain", o.domain)
	}
	conn, err := world.Dial(w.Qrexec(o.domain), o.wait)
	if err != nil {
		return nil, nil, 1, err
	}
	conn.SetDeadline(deadline)
	var reply guest.Reply
	var streams []*os.File
	if err = guest.Send(conn, request); err == nil {
		streams, err = guest.Receive(conn, &reply)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return nil, nil, 1, fmt.Errorf("vchan connection timeout after %s", o.wait)
	}
	if err != nil {
		return nil, nil, 1, fmt.Errorf("vchan connection: %w", err)
	}
	if len(streams) != 3 {
		return nil, nil, reply.Code, errors.New(reply.Problem)
	}
	conn.SetDeadline(time.Time{})
	return conn, streams, 0, nil
}

// relay moves the data until the process in the qube ended and all that it
// left behind closed stdout and stderr.
func (o clientOptions) relay(w world.World, conn *net.UnixConn, streams []*os.File) int {
	sock := make([]*net.UnixConn, len(streams))
	for i, f := range streams {
		c, err := net.FileConn(f)
		f.Close()
		if err != nil {
			return complain("qrexec-client", err)
		}
		sock[i] = c.(*net.UnixConn)
	}
	in, out := os.Stdin, os.Stdout
	if o.local != "" {
		local, err := startLocal(o.local)
		if err != nil {
			return complain("qrexec-client", err)
		}
		in, out = local.from, local.to
		defer local.end()
	}
	v := &vchan{stalled: make(chan struct{}), lost: make(chan struct{})}
	v.stallAt, v.stalls = w.Count(o.domain, world.Stall)
	v.loseAt, v.loses = w.Count(o.domain, world.CloseAfter)
	go v.toQube(sock[0], in, o.prefix)
	v.copies.Add(2)
	go v.fromQube(out, sock[1], o.filterOut)
	go v.fromQube(os.Stderr, sock[2], o.filterErr)
	code := v.finish(conn)
	if o.local == "" {
		swallow(in)
	}
	return code
}

// local is the program of -l, wired to the remote's stdin and stdout.
type local struct {
	cmd      *exec.Cmd
	from, to *os.File
}

func startLocal(command string) (*local, error) {
	inRead, inWrite, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	outRead, outWrite, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command("/bin/sh", "-c", command)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = inRead, outWrite, os.Stderr
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("local program: %w", err)
	}
	inRead.Close()
	outWrite.Close()
	return &local{cmd, outRead, inWrite}, nil
}

// end lets the local program see the end of its input and finish.
func (l *local) end() {
	l.to.Close()
	l.cmd.Wait()
}
