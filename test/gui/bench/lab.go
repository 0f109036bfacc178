package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"qvmremote/test/desktop"
	"qvmremote/test/life"
)

// patience bounds every wait for something that the program should do at once.
const patience = 30 * time.Second

// lab is where all is measured: the programs and a dom0, made when the first
// group needs it.
type lab struct {
	o       options
	dir     string
	measure string // dom0's program that logs its frames
	client  string // the qube's
	made    *life.House
	runs    int
}

func newLab(ctx context.Context, o options) (*lab, error) {
	dir, err := os.MkdirTemp("", "qvm-remote-bench-")
	if err != nil {
		return nil, err
	}
	// The name by which assistive technology knows it stays.
	l := &lab{o: o, dir: dir, measure: filepath.Join(dir, "frames", "qvm-remote-admin"), client: filepath.Join(dir, "frames", "qvm-remote-gui")}
	for _, program := range []string{l.measure, l.client} {
		if err := compile(ctx, "gtk,frames", program, filepath.Base(program)); err != nil {
			l.close()
			return nil, err
		}
	}
	return l, nil
}

func (l *lab) close() {
	if l.made != nil {
		if err := l.made.Close(); err != nil {
			fmt.Fprintln(os.Stderr, "bench: close the simulated dom0:", err)
		}
	}
	_ = os.RemoveAll(l.dir)
}

// compile builds a desktop program with the one set of flags, see
// docs/gotk4.md.
func compile(ctx context.Context, tags, out, program string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-tags", tags, "-trimpath", "-buildvcs=false", "-o", out, "qvmremote/cmd/"+program)
	cmd.Env = append(os.Environ(), "CC=clang")
	if said, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s with the tags %s: %w\n%s", program, tags, err, said)
	}
	return nil
}

// buildRows times building the program once more though nothing has changed.
func buildRows(ctx context.Context, l *lab) ([]row, error) {
	var took time.Duration
	for range 2 {
		began := now()
		if err := compile(ctx, "gtk", filepath.Join(l.dir, "admin"), "qvm-remote-admin"); err != nil {
			return nil, err
		}
		took = now().since(began)
	}
	return []row{atMost("`cmd/qvm-remote-admin` built again, unchanged", 10*time.Second, took)}, nil
}

// house is the simulated dom0. Its executor is stopped: nothing happens in it
// by itself.
func (l *lab) house(ctx context.Context) (*life.House, error) {
	if l.made != nil {
		return l.made, nil
	}
	began := now()
	programs, err := life.Build(ctx, l.dir)
	if err != nil {
		return nil, err
	}
	l.made, err = life.New(ctx, life.Options{Programs: programs, Qubes: l.o.qubes, Records: l.o.records, Stopped: true})
	if err != nil {
		return nil, fmt.Errorf("make a simulated dom0: %w", err)
	}
	fmt.Fprintf(os.Stderr, "a dom0 of %d qubes and %d records was made in %.0f s\n", l.o.qubes, l.o.records, now().since(began).Seconds())
	return l.made, nil
}

// failure is what Fatalf panics with, for caught to catch.
type failure string

// stage is a desktop whose user gives up where something is not there.
type stage struct{ *desktop.Desktop }

func (stage) Helper() {}

func (stage) Fatalf(format string, args ...any) { panic(failure(fmt.Sprintf(format, args...))) }

// caught makes an error of what gave up in f.
func caught(f func() ([]row, error)) (rows []row, err error) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case failure:
			err = fmt.Errorf("%s", string(r))
		default:
			panic(r)
		}
	}()
	return f()
}

// newStage is a desktop as a new user has it: what moves by itself and blinks
// does so, other than in tests.
func newStage() (stage, error) {
	d, err := desktop.New(desktop.Options{Env: []string{"GDK_DEBUG=gl-disable"}})
	if err != nil {
		return stage{}, fmt.Errorf("start a desktop: %w", err)
	}
	if err := os.WriteFile(filepath.Join(d.Config(), "gtk-4.0", "settings.ini"), []byte("[Settings]\n"), 0o600); err != nil {
		d.Close()
		return stage{}, err
	}
	return stage{d}, nil
}

// run is the program, running.
type run struct {
	stage
	program *desktop.Program
	log     string
	started moment
}

// launch starts dom0's program on a page.
func (l *lab) launch(s stage, bus, page string) *run {
	return l.start(s, "QVM_REMOTE_BUS="+bus, l.measure, page)
}

// start starts one of the programs on a page, with one variable more.
func (l *lab) start(s stage, variable, program, page string) *run {
	l.runs++
	r := &run{stage: s, log: filepath.Join(l.dir, fmt.Sprintf("frames-%d", l.runs)), started: now()}
	r.program = s.Launch(s, []string{variable, "QVM_REMOTE_FRAMES=" + r.log}, program, "--page", page)
	return r
}

// record is what the program drew so far.
func (r *run) record() record {
	got, err := readRecord(r.log)
	if err != nil {
		r.Fatalf("%v", err)
	}
	return got
}

// await waits for a frame that began after a moment and is as wanted, and
// returns it.
func (r *run) await(what string, after moment, wanted func(frame) bool) frame {
	var last frame
	for late := time.Now().Add(patience); time.Now().Before(late); time.Sleep(10 * time.Millisecond) {
		for _, last = range r.record().after(after) {
			if wanted(last) {
				return last
			}
		}
		if !r.program.Running() {
			r.Fatalf("the program ended before %s; it said:\n%s", what, r.program.Said())
		}
	}
	r.Fatalf("%s did not come within %v; the last frame is %+v; the program said:\n%s", what, patience, last, r.program.Said())
	return last
}

// press presses a key; it returns when that was.
func (r *run) press(combination string) moment {
	at := now()
	r.Key(r, combination)
	return at
}

// serviceShown is a frame with what the service says.
func serviceShown(f frame) bool { return f.told }

// rowsShown is a frame of the timeline in which no row waits for its record.
func rowsShown(f frame) bool { return f.page == "activity" && f.seen > 0 && f.blank == 0 }
