package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"qvmremote/daemon/audit"
	"qvmremote/queue"
)

const (
	polledCount  = 40
	refusedCount = 8 // each with a cancel after it: fewer than dom0 records singly in a minute
	activeLook   = 150 * time.Millisecond
)

// pollRows measures a qube that has no agent and that is active.
func pollRows(ctx context.Context, l *lab) ([]row, error) {
	s, err := l.newMixedScene(ctx, 1, func(int) bool { return true })
	if err != nil {
		return nil, err
	}
	defer s.end()
	var warm, r, crowd, wrong report
	q := s.qubes[0]
	if err := s.ask(ctx, q, &warm, "timed", "3", "true"); err != nil {
		return nil, err
	}
	if err := s.ask(ctx, q, &r, "timed", fmt.Sprint(polledCount), "true"); err != nil {
		return nil, err
	}
	before := s.toolCalls()
	if err := s.ask(ctx, q, &crowd, "submit", fmt.Sprint(perQube), "true"); err != nil {
		return nil, err
	}
	perCommand := float64(s.toolCalls()-before) / perQube
	if err := queue.Publish(queue.Layout{Root: filepath.Join(q.Home(), queue.FolderName)}.Key(), queue.GenerateKey().Reveal()); err != nil {
		return nil, err
	}
	if err := s.ask(ctx, q, &wrong, "timed", fmt.Sprint(refusedCount), "true"); err != nil {
		return nil, err
	}
	claimed, err := s.recorded(ctx, audit.Claim, r.Timed)
	if err != nil {
		return nil, err
	}
	refused, err := s.recorded(ctx, audit.Refused, wrong.Timed)
	if err != nil {
		return nil, err
	}
	var rounds, found, told []time.Duration
	for _, t := range r.Timed {
		rounds = append(rounds, t.Answered.Sub(t.Submitted))
		found = append(found, claimed[t.ID].Sub(t.Submitted))
	}
	for _, t := range wrong.Timed {
		told = append(told, t.Answered.Sub(refused[t.ID]))
	}
	round, worst, late := quantile(rounds, 0.5), quantile(found, 1), quantile(told, 1)
	return []row{
		{"by polling, active: `true` from its submission to its answer, p50", ms(round), times(round, activeLook) + " the time between two looks", "", true},
		{"by polling, active: from its submission to its claim, p50", ms(quantile(found, 0.5)), times(quantile(found, 0.5), activeLook) + " the same", "", true},
		{fmt.Sprintf("the worst of %d", polledCount), ms(worst), times(worst, activeLook) + " the same", "≤ 250 ms", worst <= 250*time.Millisecond},
		{fmt.Sprintf("calls a command, looks included, %d at once", perQube), fmt.Sprintf("%.2f", perCommand), "", "≤ 2", perCommand <= 2},
		{fmt.Sprintf("a refusal known in the qube after it was recorded, worst of %d", refusedCount), ms(late), "", "≤ 1 s", late <= time.Second},
	}, nil
}

// recorded tells when there was such a record of each request. A refusal is
// recorded after it was answered.
func (s *scene) recorded(ctx context.Context, event audit.Event, requests []timed) (map[string]time.Time, error) {
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		at, err := s.records(ctx, event)
		if err != nil {
			return nil, err
		}
		missing := slices.ContainsFunc(requests, func(t timed) bool { return at[t.ID].IsZero() })
		if !missing {
			return at, nil
		}
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("not each of %d requests has its record: %s", len(requests), event)
		}
	}
}

func (s *scene) records(ctx context.Context, event audit.Event) (map[string]time.Time, error) {
	at := map[string]time.Time{}
	dir := filepath.Join(s.Dir, "dom0", "var/lib/qvm-remote/audit")
	for before := int64(0); ; {
		lines, next, err := audit.Query(ctx, dir, audit.Filter{Events: []audit.Event{event}}, before, 1000, 0)
		if err != nil {
			return nil, err
		}
		for _, line := range lines {
			var r audit.Record
			if err := json.Unmarshal(line, &r); err != nil {
				return nil, err
			}
			at[r.ID] = r.Time
		}
		if next == 0 {
			return at, nil
		}
		before = next
	}
}

const mixedPer = 2

// mixedRows has 50 qubes, every other one without an agent, by either program.
func mixedRows(ctx context.Context, l *lab) ([]row, error) {
	var rows []row
	for _, program := range []string{"qvm-run", "qrexec-client"} {
		transport := "stream"
		if program == "qrexec-client" {
			transport = "qrexec"
		}
		r, err := l.mixed(ctx, program, transport)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", program, err)
		}
		rows = append(rows, r...)
	}
	return rows, nil
}

func (l *lab) mixed(ctx context.Context, program, transport string) ([]row, error) {
	polled := func(i int) bool { return i%2 == 1 }
	s, err := l.newMixedScene(ctx, 50, polled, "QVM_REMOTE_TRANSPORT="+transport)
	if err != nil {
		return nil, err
	}
	defer s.end()
	marks := filepath.Join(s.Dir, "dom0", "root", "ran")
	var all sync.WaitGroup
	reports, errs := make([]report, len(s.qubes)), make([]error, len(s.qubes))
	for i, q := range s.qubes {
		all.Add(1)
		go func() {
			defer all.Done()
			errs[i] = s.ask(ctx, q, &reports[i], "submit", fmt.Sprint(mixedPer), "echo $QVM_REMOTE_QUBE.$QVM_REMOTE_ID >>"+marks)
		}()
	}
	all.Wait()
	finished, slowest := 0, map[bool]float64{}
	for i, r := range reports {
		if errs[i] != nil {
			return nil, errs[i]
		}
		finished += r.Finished
		slowest[polled(i)] = max(slowest[polled(i)], r.Seconds)
	}
	out, err := exec.Command("sort", marks).Output()
	if err != nil {
		return nil, err
	}
	lines, distinct := count(out)
	rss := float64(statusField(s.daemon.Process.Pid, "VmRSS")) / 1024
	sent := mixedPer * len(s.qubes)
	name := "50 qubes by " + program + ", every other one polled: "
	half := mixedPer * len(s.qubes) / 2
	byAgent, byPolling := float64(half)/slowest[false], float64(half)/slowest[true]
	return []row{
		{name + fmt.Sprintf("%d commands at once, answered / run / run twice", sent), fmt.Sprintf("%d / %d / %d", finished, distinct, lines-distinct), "",
			fmt.Sprintf("%d / %d / 0", sent, sent), finished == sent && distinct == sent && lines == sent},
		{"those of the 25 with an agent, all 50 qubes asking", fmt.Sprintf("%.0f a second", byAgent), "", "", true},
		{"those of the 25 that are polled", fmt.Sprintf("%.0f a second", byPolling), fmt.Sprintf("%.2f × the ones with an agent", byPolling/byAgent), "", true},
		{"the daemon's resident memory then", fmt.Sprintf("%.1f MiB", rss), "", "≤ 30 MiB", rss <= 30},
	}, nil
}
