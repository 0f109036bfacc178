package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"qvmremote/client"
	"qvmremote/client/archive"
	"qvmremote/client/dom0test"
	"qvmremote/queue"
)

const (
	pastCount = 100_000
	pastDays  = 90
)

// historyRows measures what the desktop program of a qube does with a history of
// 100,000 commands, by the package that it does it with.
func historyRows(ctx context.Context, l *lab) ([]row, error) {
	c, err := dom0test.Fill(filepath.Join(l.dir, "history", queue.FolderName), pastCount, pastDays)
	if err != nil {
		return nil, err
	}
	names, err := readNames(c)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	view, err := followHistory(ctx, c, archive.Filter{})
	if err != nil {
		return nil, err
	}
	defer view.stop()
	first, err := view.lines(ctx, c)
	if err != nil {
		return nil, err
	}
	open := time.Since(began)
	if err := view.until(ctx, func(ch archive.Change) bool { return view.rows.Len() == pastCount }); err != nil {
		return nil, err
	}
	whole := time.Since(began)
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	came, err := view.seen(ctx, c)
	if err != nil {
		return nil, err
	}
	began = time.Now()
	found, err := followHistory(ctx, c, archive.Filter{Text: "needle"})
	if err != nil {
		return nil, err
	}
	defer found.stop()
	if err := found.until(ctx, func(ch archive.Change) bool { return ch.Done() && ch.Of > 0 }); err != nil {
		return nil, err
	}
	search := time.Since(began)
	if found.rows.Len() != 1 {
		return nil, fmt.Errorf("the search found %d", found.rows.Len())
	}
	return []row{
		{fmt.Sprintf("history of %d commands: its first %d rows, outcome and command", pastCount, first), ms(open), times(open, names) + " reading all folder names", "≤ 300 ms", open <= 300*time.Millisecond},
		{"all of it listed", ms(whole), times(whole, names), "", true},
		{"the heap then", fmt.Sprintf("%.1f MiB", float64(m.HeapAlloc)/(1<<20)), "", "", true},
		{"a command that is added or deleted, until the list has it, worst of 20", ms(came), times(came, names), "", true},
		{"all of it searched for a text", ms(search), times(search, names), "", true},
	}, nil
}

// readNames is how long it takes to read the names alone.
func readNames(c *client.Client) (time.Duration, error) {
	began := time.Now()
	days, err := os.ReadDir(c.Layout.History())
	for _, d := range days {
		if d.IsDir() && err == nil {
			_, err = os.ReadDir(filepath.Join(c.Layout.History(), d.Name()))
		}
	}
	return time.Since(began), err
}

type historyView struct {
	rows *archive.Rows
	news chan archive.Change
	end  chan error
	stop func()
}

func followHistory(ctx context.Context, c *client.Client, f archive.Filter) (*historyView, error) {
	ctx, stop := context.WithCancel(ctx)
	v := &historyView{rows: archive.NewRows(), news: make(chan archive.Change), end: make(chan error, 1), stop: stop}
	go func() {
		v.end <- archive.Follow(ctx, c, f, nil, func(ch archive.Change) {
			select {
			case v.news <- ch:
			case <-ctx.Done():
			}
		})
	}()
	return v, nil
}

func (v *historyView) until(ctx context.Context, is func(archive.Change) bool) error {
	for {
		select {
		case ch := <-v.news:
			v.rows.Apply(ch)
			if is(ch) {
				return nil
			}
		case err := <-v.end:
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// lines waits for the first rows and reads what they say.
func (v *historyView) lines(ctx context.Context, c *client.Client) (int, error) {
	if err := v.until(ctx, func(archive.Change) bool { return v.rows.Len() > 0 }); err != nil {
		return 0, err
	}
	want := v.rows.Next(0, 100)
	list, err := c.Past(ctx, want)
	if err == nil && len(list) == 0 {
		err = errors.New("no rows")
	}
	v.rows.Take(want, list, 0, 100)
	return len(list), err
}

// seen adds and deletes one some times.
func (v *historyView) seen(ctx context.Context, c *client.Client) (worst time.Duration, err error) {
	key, err := c.Key()
	if err != nil {
		return 0, err
	}
	bin, err := c.OpenBin(ctx)
	if err != nil {
		return 0, err
	}
	defer bin.Close(ctx)
	for n := range 10 {
		began := time.Now()
		day, id, err := dom0test.Past{At: time.Now().Add(-time.Minute), Number: pastCount + n, Script: "true", State: queue.StateExit}.File(c.Layout, key)
		if err != nil {
			return 0, err
		}
		if err := v.until(ctx, func(archive.Change) bool { return v.rows.Len() == pastCount+1 }); err != nil {
			return 0, err
		}
		worst = max(worst, time.Since(began))
		began = time.Now()
		if _, err := bin.Delete(ctx, []client.Entry{{Day: day, ID: id}}); err != nil {
			return 0, err
		}
		if err := v.until(ctx, func(archive.Change) bool { return v.rows.Len() == pastCount }); err != nil {
			return 0, err
		}
		worst = max(worst, time.Since(began))
	}
	return worst, nil
}
