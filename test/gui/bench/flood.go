package main

import (
	"context"
	"fmt"
	"time"

	"qvmremote/test/bus"
)

const (
	floodTime = 10 * time.Second
	floodRate = 1000 // signals a second
	floodKeys = 200 * time.Millisecond

	answerLimit = 100 * time.Millisecond

	downKey = 0xff54 // what a key is called in the log
)

// floodRows has signals come faster than anybody reads, and presses keys.
func floodRows(ctx context.Context, l *lab) ([]row, error) {
	b, err := bus.New(bus.Options{})
	if err != nil {
		return nil, err
	}
	defer b.Close()
	f, err := serveFlood(b)
	if err != nil {
		return nil, err
	}
	defer f.conn.Close()
	s, err := newStage()
	if err != nil {
		return nil, err
	}
	defer s.Close()
	r := l.launch(s, b.Address, "activity")
	r.await("the timeline", 0, rowsShown)
	r.press("Down")
	r.settle()

	began := now()
	over := make(chan error, 1)
	go func() { over <- f.flood(ctx) }()
	var pressed []moment
	beat := time.NewTicker(floodKeys)
	defer beat.Stop()
	for flowing := true; flowing; {
		select {
		case <-beat.C:
			pressed = append(pressed, r.press("Down"))
		case err := <-over:
			if err != nil {
				return nil, err
			}
			flowing = false
		}
	}
	took := now().since(began)
	sent := f.head.Load() - past
	rows, newest := int(f.head.Load()/4), f.head.Load()-2 // a final record, and the one delivered after it
	r.await("all rows", began, func(f frame) bool { return f.rows == rows })
	r.press("Home") // before, what comes would move it out of sight again
	end := r.await("the newest row", began, func(f frame) bool { return f.top == newest && f.rows == rows && rowsShown(f) })
	answered, missing := r.answersTo(pressed, downKey)
	longestFrame, work := longest(r.record().after(began))
	rate := fmt.Sprintf("%d signals a second for %.0f s", int(float64(sent)/took.Seconds()), took.Seconds())
	return []row{
		{rate, fmt.Sprintf("%d signals", sent), fmt.Sprintf("≥ %d a second", floodRate*95/100), float64(sent) >= floodRate*0.95*took.Seconds()},
		atMost("meanwhile: from a key to the frame that shows its answer", answerLimit, answered...),
		none("keys without an answer, of "+fmt.Sprint(len(pressed)), missing),
		told("longest frame meanwhile, and most work of the main thread in one", ms(longestFrame)+", "+ms(work)),
		{"rows of these commands after that, and the newest", fmt.Sprintf("%d, record %d", end.rows, end.top),
			fmt.Sprintf("%d, record %d", rows, newest), true}, // or it was not found
	}, nil
}

// flood tells of records, as many each moment as are due.
func (f *flooding) flood(ctx context.Context) error {
	beat := time.NewTicker(time.Millisecond)
	defer beat.Stop()
	began, sent, touched := time.Now(), 0, 0
	for all := int(floodTime.Seconds() * floodRate); sent < all; {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-beat.C:
		}
		for due := min(all, int(time.Since(began).Seconds()*floodRate)); sent < due; sent++ {
			if err := f.add(); err != nil {
				return fmt.Errorf("tell of a record: %w", err)
			}
		}
		if tenth := int(time.Since(began) / (100 * time.Millisecond)); tenth > touched {
			touched = tenth
			if err := f.touch(); err != nil {
				return fmt.Errorf("tell what changed: %w", err)
			}
		}
	}
	return f.touch()
}

// answersTo are how long the keys that were pressed at these moments, all the
// same one, waited for the frame in which something else has the focus.
func (r *run) answersTo(pressed []moment, sym uint) (took []time.Duration, missing int) {
	got := r.record()
	var came []key
	for _, k := range got.keys {
		if len(pressed) > 0 && k.at >= pressed[0] && k.sym == sym {
			came = append(came, k)
		}
	}
	for i, at := range pressed {
		if i < len(came) {
			if end, ok := got.answered(came[i]); ok {
				took = append(took, end.since(at))
				continue
			}
		}
		missing++
	}
	return took, missing
}
