package main

import (
	"context"
	"debug/elf"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"
)

func buildRows(ctx context.Context, l *lab) ([]row, error) {
	cache, err := os.MkdirTemp(l.dir, "cache-")
	if err != nil {
		return nil, err
	}
	began := time.Now()
	if err := l.compile(ctx, []string{"GOCACHE=" + cache}); err != nil {
		return nil, err
	}
	took := time.Since(began)
	rows := []row{{"both programs, built from an empty cache", fmt.Sprintf("%.0f s", took.Seconds()), "", "≤ 90 s", took <= 90*time.Second}}
	for _, p := range []string{l.client, l.dom0} {
		info, err := os.Stat(p)
		if err != nil {
			return nil, err
		}
		static, err := isStatic(p)
		if err != nil {
			return nil, err
		}
		mib := float64(info.Size()) / (1 << 20)
		rows = append(rows, row{filepath.Base(p) + ", stripped, static", fmt.Sprintf("%.1f MiB, static: %t", mib, static), "", "≤ 12 MiB, static", mib <= 12 && static})
	}
	return rows, nil
}

func isStatic(path string) (bool, error) {
	f, err := elf.Open(path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			return false, nil
		}
	}
	return true, nil
}

const roundCount = 200

// roundRows times a whole command, from the client's start to its exit.
func roundRows(ctx context.Context, l *lab) ([]row, error) {
	p50, bash, calls, err := l.round(ctx)
	if err != nil {
		return nil, err
	}
	slow, _, _, err := l.round(ctx, "SIM_QVM_RUN_DELAY=200ms")
	if err != nil {
		return nil, err
	}
	diff := slow - p50
	return []row{
		{"round trip of `true`, client start to exit, p50", ms(p50), times(p50, bash) + " `bash -c true`", "≤ 15 ms", p50 <= 15*time.Millisecond},
		{"the same with 200 ms in every `qvm-run`", ms(slow), times(slow, p50), "within 5 ms", diff <= 5*time.Millisecond},
		{fmt.Sprintf("`qvm-run` calls for %d commands", roundCount), fmt.Sprint(calls), "", "0", calls == 0},
	}, nil
}

func (l *lab) round(ctx context.Context, env ...string) (p50, bash time.Duration, calls int, err error) {
	s, err := l.newScene(ctx, 1, env...)
	if err != nil {
		return 0, 0, 0, err
	}
	defer s.end()
	var warm, r, b report
	if err := s.ask(ctx, s.qubes[0], &warm, "exec", "20", "qvm-remote", "true"); err != nil {
		return 0, 0, 0, err
	}
	before := s.Calls("qvm-run")
	if err := s.ask(ctx, s.qubes[0], &r, "exec", fmt.Sprint(roundCount), "qvm-remote", "true"); err != nil {
		return 0, 0, 0, err
	}
	calls = s.Calls("qvm-run") - before
	if err := s.ask(ctx, s.qubes[0], &b, "exec", fmt.Sprint(roundCount), "bash", "-c", "true"); err != nil {
		return 0, 0, 0, err
	}
	return quantile(r.Rounds, 0.5), quantile(b.Rounds, 0.5), calls, nil
}

const idleTime = 60 * time.Second

// idleRows counts what one idle connected qube costs.
func idleRows(ctx context.Context, l *lab) ([]row, error) {
	s, err := l.newScene(ctx, 1)
	if err != nil {
		return nil, err
	}
	defer s.end()
	time.Sleep(3 * time.Second) // what follows a connection is over
	pid := s.daemon.Process.Pid
	switches := threadSwitches(pid)
	calls := s.toolCalls()
	time.Sleep(idleTime)
	woken := threadSwitches(pid) - switches
	started := s.toolCalls() - calls
	return []row{
		{"processes started for an idle connected qube in 60 s", fmt.Sprint(started), "", "0", started == 0},
		{"times a thread of the daemon slept and woke in those 60 s", fmt.Sprint(woken), "", "", true},
	}, nil
}

func (s *scene) toolCalls() int {
	n := 0
	for _, tool := range []string{"qvm-run", "qrexec-client", "qvm-ls", "qvm-check", "qvm-prefs"} {
		n += s.Calls(tool)
	}
	return n
}

// threadSwitches is how often the threads of a process went to sleep.
func threadSwitches(pid int) int64 {
	var n int64
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pid))
	for _, t := range tasks {
		var id int
		if _, err := fmt.Sscan(filepath.Base(t), &id); err == nil {
			n += max(0, statusField(id, "voluntary_ctxt_switches"))
		}
	}
	return n
}

const perQube = 100

// manyRows submits 500 commands at once from 5 qubes.
func manyRows(ctx context.Context, l *lab) ([]row, error) {
	s, err := l.newScene(ctx, 5)
	if err != nil {
		return nil, err
	}
	defer s.end()
	marks := filepath.Join(s.Dir, "dom0", "root", "ran")
	var wg sync.WaitGroup
	reports := make([]report, len(s.qubes))
	errs := make([]error, len(s.qubes))
	began := time.Now()
	for i, q := range s.qubes {
		wg.Add(1)
		go func() {
			defer wg.Done()
			errs[i] = s.ask(ctx, q, &reports[i], "submit", fmt.Sprint(perQube), "echo $QVM_REMOTE_QUBE.$QVM_REMOTE_ID >>"+marks)
		}()
	}
	wg.Wait()
	took := time.Since(began)
	finished := 0
	for i := range reports {
		if errs[i] != nil {
			return nil, errs[i]
		}
		finished += reports[i].Finished
	}
	out, err := exec.Command("sort", marks).Output()
	if err != nil {
		return nil, err
	}
	lines, distinct := count(out)
	all := perQube * len(s.qubes)
	rate := float64(all) / took.Seconds()
	return []row{
		{fmt.Sprintf("%d commands at once from %d qubes", all, len(s.qubes)), fmt.Sprintf("%.0f a second", rate), "", "≥ 100 a second", rate >= 100},
		{"of them answered / run / run twice", fmt.Sprintf("%d / %d / %d", finished, distinct, lines-distinct), "", fmt.Sprintf("%d / %d / 0", all, all), finished == all && distinct == all && lines == all},
	}, nil
}

func count(sorted []byte) (lines, distinct int) {
	last := ""
	start := 0
	for i, c := range sorted {
		if c == '\n' {
			line := string(sorted[start:i])
			start = i + 1
			lines++
			if line != last {
				distinct++
			}
			last = line
		}
	}
	return lines, distinct
}

// fairRows lets one qube fill its slots and times another one.
func fairRows(ctx context.Context, l *lab) ([]row, error) {
	s, err := l.newScene(ctx, 2)
	if err != nil {
		return nil, err
	}
	defer s.end()
	var alone, busy, load report
	if err := s.ask(ctx, s.qubes[1], &alone, "exec", "30", "qvm-remote", "true"); err != nil {
		return nil, err
	}
	done := make(chan error, 1)
	go func() { done <- s.ask(ctx, s.qubes[0], &load, "submit", "8", "sleep 5") }()
	time.Sleep(time.Second) // the eight are there by now; four run
	if err := s.ask(ctx, s.qubes[1], &busy, "exec", "30", "qvm-remote", "true"); err != nil {
		return nil, err
	}
	if err := <-done; err != nil {
		return nil, err
	}
	a, b := quantile(alone.Rounds, 0.5), quantile(busy.Rounds, 0.5)
	worst := quantile(busy.Rounds, 1) - a
	return []row{{"`true` of a qube beside another's 8 × `sleep 5`: longer by (worst of 30)", ms(worst), times(b, a) + " (p50)", "≤ 100 ms", worst <= 100*time.Millisecond}}, nil
}

// fleetRows looks at the daemon's memory with 50 qubes connected.
func fleetRows(ctx context.Context, l *lab) ([]row, error) {
	s, err := l.newScene(ctx, 50)
	if err != nil {
		return nil, err
	}
	defer s.end()
	var r report
	if err := s.ask(ctx, s.qubes[0], &r, "exec", "20", "qvm-remote", "true"); err != nil {
		return nil, err
	}
	rss := float64(statusField(s.daemon.Process.Pid, "VmRSS")) / 1024
	return []row{{"daemon's resident memory, 50 qubes connected", fmt.Sprintf("%.1f MiB", rss), "", "≤ 30 MiB", rss <= 30}}, nil
}
