package main

import (
	"context"
	"fmt"
	"time"
)

// startRows times starts of the program, after one that warms the caches.
func startRows(ctx context.Context, l *lab) ([]row, error) {
	house, err := l.house(ctx)
	if err != nil {
		return nil, err
	}
	s, err := newStage()
	if err != nil {
		return nil, err
	}
	defer s.Close()
	var before, first, full []time.Duration
	for i := range l.o.starts + 1 {
		r := l.launch(s, house.BusAddress, "overview")
		shown := r.await("what the service says", 0, serviceShown)
		got := r.record()
		r.program.End()
		if i == 0 {
			continue
		}
		before = append(before, got.began.since(r.started))
		first = append(first, got.frames[0].end().since(r.started))
		full = append(full, shown.end().since(r.started))
	}
	return []row{
		atMost(fmt.Sprintf("first frame after a start, %d qubes", l.o.qubes), 700*time.Millisecond, first...),
		told("of that, before `main` began", spread(before)),
		told("first frame with what the service says", spread(full)),
	}, nil
}
