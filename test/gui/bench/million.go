package main

import (
	"context"
	"fmt"
	"time"
)

const (
	frameLimit = 50 * time.Millisecond
	heldLimit  = 2000 // rows in memory
	rssLimit   = 180  // MiB

	held    = 5 * time.Second       // how long a key is held
	repeat  = 33 * time.Millisecond // between two of a key that is held, as X does by itself
	jumps   = 12                    // of the scroll bar
	openers = 3                     // starts of the program that open the page
)

// millionRows goes through the whole audit log.
func millionRows(ctx context.Context, l *lab) ([]row, error) {
	house, err := l.house(ctx)
	if err != nil {
		return nil, err
	}
	s, err := newStage()
	if err != nil {
		return nil, err
	}
	defer s.Close()
	var r *run
	var opening []time.Duration
	for range openers {
		if r != nil {
			r.program.End()
		}
		r = l.launch(s, house.BusAddress, "overview")
		r.await("what the service says", 0, serviceShown)
		r.settle()
		at := r.press("ctrl+4")
		opening = append(opening, r.await("the timeline", at, rowsShown).end().since(at))
	}
	log := thousands(l.o.records) + " audit records"
	began := now()
	jumped := r.scroll()
	got := r.record()
	frames := got.after(began)
	longestFrame, work := longest(frames)
	most, over := 0, 0
	for _, f := range frames {
		most = max(most, f.held)
		if f.took > frameLimit {
			over++
		}
	}
	rss := float64(statusField(r.program.Pid(), r.program.Pid(), "VmRSS")) / 1024
	peak := float64(statusField(r.program.Pid(), r.program.Pid(), "VmHWM")) / 1024
	return []row{
		atMost("Activity opens over "+log+", from the key to its rows", 300*time.Millisecond, opening...),
		atMost(fmt.Sprintf("longest of %d frames while scrolling from end to end", len(frames)), frameLimit, longestFrame),
		told("of these, longer than that", fmt.Sprint(over)),
		told("most work of the main thread in one of them", ms(work)),
		told("key held: from each press to the end of the next frame", spread(answers(got, began))),
		told("jump to an end or by the scroll bar: until all rows are there", spread(jumped)),
		{"rows in memory at most, of " + thousands(frames[len(frames)-1].rows), thousands(most), "≤ " + thousands(heldLimit), most <= heldLimit},
		{"resident memory after that", fmt.Sprintf("%.0f MiB, at most %.0f MiB", rss, peak), fmt.Sprintf("≤ %d MiB", rssLimit), rss <= rssLimit},
	}, nil
}

// scroll goes up and down, by keys that are held and by the scroll bar, and
// returns how long jumps waited for their rows.
func (r *run) scroll() (jumped []time.Duration) {
	jump := func(what string, to func() moment, there func(frame) bool) {
		at := to()
		end := r.await("the rows after "+what, at, func(f frame) bool { return rowsShown(f) && there(f) }).end()
		jumped = append(jumped, end.since(at))
	}
	top := func(f frame) bool { return f.first == 0 }
	bottom := func(f frame) bool { return f.first > f.rows*9/10 } // how many there are is known once they are loaded
	anywhere := func(frame) bool { return true }

	r.press("Down") // the list has the focus, and now a row
	r.hold("Page_Down")
	jump("End", func() moment { return r.press("End") }, bottom)
	r.hold("Page_Up")
	jump("Home", func() moment { return r.press("Home") }, top)
	r.hold("Home")
	r.hold("End")
	width, height := r.Size(r)
	for i := range jumps {
		// Up and down in turn, into parts that were not shown.
		y := height/4 + (i*7%jumps)*height/2/jumps
		jump("a press on the scroll bar", func() moment {
			r.Point(r, width-5, y)
			at := now()
			r.Click(r, 1)
			return at
		}, anywhere)
	}
	jump("Home", func() moment { return r.press("Home") }, top)
	return jumped
}

// hold presses a key again and again.
func (r *run) hold(name string) {
	beat := time.NewTicker(repeat)
	defer beat.Stop()
	for end := time.Now().Add(held); time.Now().Before(end); <-beat.C {
		r.press(name)
	}
}

// answers are the times from each key to the end of the frame that came next.
func answers(r record, began moment) (all []time.Duration) {
	for _, k := range r.keys {
		if next := r.after(k.at); k.at >= began && len(next) > 0 {
			all = append(all, next[0].end().since(k.at))
		}
	}
	return all
}
