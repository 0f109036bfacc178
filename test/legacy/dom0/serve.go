package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"qvmremote/queue"
	"qvmremote/test/legacy"
)

// The time limits of P-14.
const (
	ioLimit    = 30 * time.Second
	listLimit  = 10 * time.Second
	checkLimit = 5 * time.Second
	checkEvery = 15 * time.Second // 3-12
	atOnce     = 8                // 3-11, for all qubes together
)

// call is one qvm-run. The order of its arguments is the original's.
func (d *daemon) call(vm, command string, stdin io.Reader, limit time.Duration) (string, error) {
	ctx, stop := context.WithTimeout(context.Background(), limit)
	defer stop()
	cmd := exec.CommandContext(ctx, "qvm-run", "--no-gui", "--no-autostart", "--pass-io", vm, command)
	cmd.WaitDelay = time.Second
	cmd.Stdin = stdin
	var out bytes.Buffer // D5, 3-7: without a bound
	cmd.Stdout = &out
	err := cmd.Run()
	return out.String(), err
}

// fire ignores how it ends (3-5).
func (d *daemon) fire(vm, command string) { _, _ = d.call(vm, command, nil, listLimit) }

// at is a path in the queue of a qube, quoted as the original did: an id or a
// home with a quote in it would break out (D4).
func (d *daemon) at(p ...string) string {
	return "'" + filepath.Join(append([]string{d.home, ".qvm-remote"}, p...)...) + "'"
}

// prepare is the call before the first look, with the migration of P-2.
func (d *daemon) prepare(vm string) {
	old := filepath.Join(d.home, ".qubes-remote")
	d.fire(vm, fmt.Sprintf("if [ -d '%s' ] && [ ! -e %s ]; then mv '%s' %s; fi; mkdir -p %s %s %s",
		old, d.at(), old, d.at(), d.at("queue/pending"), d.at("queue/running"), d.at("queue/results")))
}

// list is P-6: what ls shows, without the tokens and the client's copies.
func (d *daemon) list(vm string) []string {
	out, err := d.call(vm, "ls -1 "+d.at("queue/pending")+"/", nil, listLimit)
	if err != nil {
		return nil
	}
	var ids []string
	for line := range strings.SplitSeq(out, "\n") {
		id := strings.TrimRight(line, "\r")
		// The original took any name (D4, 3-6).
		if queue.ValidID(id) && !strings.HasSuffix(id, ".auth") && !strings.HasSuffix(id, ".cmd") {
			ids = append(ids, id)
		}
	}
	return ids
}

// serve looks at each qube in turn until it is told to stop.
func (d *daemon) serve() int {
	work := d.path("var/run/qvm-remote")
	if err := os.MkdirAll(work, 0o700); err != nil {
		return fail(err.Error())
	}
	defer os.RemoveAll(work) // 3-4: another daemon's too
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	d.log("INFO", "started vms="+strings.Join(d.vms, ","))
	for _, vm := range d.vms {
		d.prepare(vm)
	}
	var mu sync.Mutex
	var threads sync.WaitGroup
	open := map[string]bool{} // 3-11
	checked := map[string]time.Time{}
	for {
		for _, vm := range d.vms {
			if !d.running(vm, checked) {
				continue
			}
			for _, id := range d.list(vm) {
				mu.Lock()
				name := vm + ":" + id
				if skip := open[name] || len(open) >= atOnce; skip {
					mu.Unlock()
					continue // 3-11: with --once it is not looked at again
				}
				open[name] = true
				mu.Unlock()
				threads.Add(1)
				go func() {
					defer threads.Done()
					d.process(vm, id)
					mu.Lock()
					delete(open, name)
					mu.Unlock()
				}()
			}
		}
		if d.once {
			threads.Wait()
			return 0
		}
		select {
		case <-stop: // 3-18: results of what runs are lost
			d.log("INFO", "Shutting down")
			return 0
		case <-time.After(legacy.Poll(time.Second)):
		}
	}
}

// running asks at most every 15 s while the answer is yes (3-12).
func (d *daemon) running(vm string, checked map[string]time.Time) bool {
	if time.Since(checked[vm]) < checkEvery {
		return true
	}
	ctx, stop := context.WithTimeout(context.Background(), checkLimit)
	defer stop()
	if exec.CommandContext(ctx, "qvm-check", "--quiet", "--running", vm).Run() != nil {
		return false
	}
	checked[vm] = time.Now()
	return true
}

// log is P-13, D10: whatever the qube sends, to a file that all can read.
func (d *daemon) log(category, text string) {
	path := d.path("var/log/qubes/qvm-remote.log")
	_ = os.MkdirAll(filepath.Dir(path), 0o755)
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return
	}
	defer f.Close()
	fmt.Fprintf(f, "[%s] %s %s\n", time.Now().Format("2006-01-02T15:04:05"), category, text)
}
