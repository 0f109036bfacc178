package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"qvmremote/client/dom0test"
	"qvmremote/queue"
)

// pastDays is over how many days the history of a qube goes.
const pastDays = 90

// qubeRows are those of the qube's program, with a long history and no dom0.
func qubeRows(_ context.Context, l *lab) ([]row, error) {
	home := filepath.Join(l.dir, "qube")
	if _, err := dom0test.Fill(filepath.Join(home, queue.FolderName), l.o.past, pastDays); err != nil {
		return nil, fmt.Errorf("make a history: %w", err)
	}
	s, err := newStage()
	if err != nil {
		return nil, err
	}
	defer s.Close()
	var before, first, opening, whole []time.Duration
	for i := range l.o.starts + 1 {
		r := l.start(s, "HOME="+home, l.client, "run")
		r.await("how the qube stands", 0, serviceShown)
		r.settle()
		at := r.press("ctrl+2")
		opened := r.await("the history", at, pastShown)
		all := r.await("all of the history", at, func(f frame) bool { return f.page == "history" && f.rows == l.o.past })
		got := r.record()
		r.program.End()
		if i == 0 {
			continue // it warmed the caches
		}
		before = append(before, got.began.since(r.started))
		first = append(first, got.frames[0].end().since(r.started))
		opening = append(opening, opened.end().since(at))
		whole = append(whole, all.end().since(at))
	}
	return []row{
		atMost("qube: first frame after a start", 600*time.Millisecond, first...),
		told("of that, before `main` began", spread(before)),
		atMost("qube: History opens over "+thousands(l.o.past)+" commands, from the key to its rows", 300*time.Millisecond, opening...),
		told("until all of it is listed", spread(whole)),
	}, nil
}

// pastShown is a frame of the history in which no row waits for what it shows.
func pastShown(f frame) bool { return f.page == "history" && f.seen > 0 && f.blank == 0 }
