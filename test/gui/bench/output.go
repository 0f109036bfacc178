package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"qvmremote/client"
	"qvmremote/client/dom0test"
	"qvmremote/queue"
)

const (
	outputs    = 5        // commands, each in a tab of its own
	outputRate = 50 << 20 // bytes a second, of both streams together
	outputStep = 20 * time.Millisecond
	outputLine = 80 // bytes
	outputKeys = 40 * time.Millisecond

	tabKey = 0xff09
)

// outputRows has commands write as much as one may, as fast as 50 MB/s, into the
// files that dom0 writes, and moves the focus meanwhile.
func outputRows(ctx context.Context, l *lab) ([]row, error) {
	home := filepath.Join(l.dir, "output")
	c, err := dom0test.Fill(filepath.Join(home, queue.FolderName), 1, 1)
	if err != nil {
		return nil, fmt.Errorf("make a queue: %w", err)
	}
	s, err := newStage()
	if err != nil {
		return nil, err
	}
	defer s.Close()
	r := l.start(s, "HOME="+home, l.client, "run")
	r.await("how the qube stands", 0, serviceShown)
	began := now()
	var pressed []moment
	var pouring, shown []time.Duration
	for range outputs {
		r.await("a new tab", r.press("ctrl+t"), func(f frame) bool { return f.rows == 0 })
		r.Type(r, "true")
		r.press("ctrl+Return")
		id, err := submitted(ctx, c)
		if err != nil {
			return nil, err
		}
		from := now()
		over := make(chan error, 1)
		go func() { over <- pour(ctx, c.Layout, id) }()
		beat := time.NewTicker(outputKeys)
		for flowing := true; flowing; {
			select {
			case <-beat.C:
				pressed = append(pressed, r.press("Tab"))
			case err = <-over:
				flowing = false
			}
		}
		beat.Stop()
		if err != nil {
			return nil, err
		}
		pouring = append(pouring, now().since(from))
		all := r.await("all of the output", from, func(f frame) bool { return f.rows == 2*queue.MaxOutput/outputLine })
		shown = append(shown, all.end().since(from))
	}
	answered, missing := r.answersTo(pressed, tabKey)
	longestFrame, work := longest(r.record().after(began))
	return []row{
		told(fmt.Sprintf("qube: %d commands write %d MiB each, for", outputs, 2*queue.MaxOutput>>20), spread(pouring)),
		atMost("meanwhile: from a key to the frame that shows its answer", answerLimit, answered...),
		none("keys without an answer, of "+fmt.Sprint(len(pressed)), missing),
		told("longest frame meanwhile, and most work of the main thread in one", ms(longestFrame)+", "+ms(work)),
		told("from the first byte until all of it is listed", spread(shown)),
	}, nil
}

// submitted waits for a request and takes it out of the queue, as dom0 does.
func submitted(ctx context.Context, c *client.Client) (id string, err error) {
	for late := time.Now().Add(patience); time.Now().Before(late); {
		names, err := filepath.Glob(filepath.Join(c.Layout.PendingDir(), "*"+queue.Auth))
		if err != nil {
			return "", err
		}
		for _, name := range names {
			id := strings.TrimSuffix(filepath.Base(name), queue.Auth)
			if err := os.Rename(c.Layout.Body(id), c.Layout.Running(id)); err != nil {
				return "", err
			}
			return id, os.Remove(name)
		}
		if err := sleep(ctx, outputStep); err != nil {
			return "", err
		}
	}
	return "", fmt.Errorf("no request came within %v", patience)
}

// pour writes a command's output.
func pour(ctx context.Context, l queue.Layout, id string) error {
	line := append(bytes.Repeat([]byte("x"), outputLine-1), '\n')
	var files [2]*os.File
	for i, ending := range []string{queue.Out, queue.Err} {
		f, err := os.OpenFile(l.Result(id, ending), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
		if err != nil {
			return err
		}
		defer f.Close()
		files[i] = f
	}
	const lines = queue.MaxOutput / outputLine
	for began, sent := time.Now(), 0; sent < lines; {
		due := min(lines, int(time.Since(began).Seconds()*outputRate/2/outputLine))
		for _, f := range files {
			if _, err := f.Write(bytes.Repeat(line, due-sent)); err != nil {
				return err
			}
		}
		sent = due
		if err := sleep(ctx, outputStep); err != nil {
			return err
		}
	}
	return nil
}
