package backup

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"qvmremote/client"
)

// mergeLog adds lines to the older part of the log, audit.log.1: to the newer
// one others append at any time. Lines that are in either of them stay once. It
// returns how many were added.
func mergeLog(root folder, texts ...[]byte) (int, error) {
	const part = "audit.log.1"
	for tries := 5; tries > 0; tries-- {
		now, err := root.text("audit.log", singles[LogName])
		if err != nil {
			return 0, err
		}
		old, err := root.text(part, singles[oldLogName])
		if err != nil {
			return 0, err
		}
		merged, added := joinLogs(old, now, texts)
		if added == 0 {
			return 0, nil
		}
		ok, err := root.exchange(part, old, merged)
		if err != nil || ok {
			return added, err
		}
	}
	return 0, errors.New("the log changes all the time; try again")
}

// exchange puts text in the place of a file, unless that is not as it was any
// more: then it stays.
func (d folder) exchange(name string, was, text []byte) (bool, error) {
	temp := scratch(scratchPrefix) + scratchEnding
	if err := d.write(temp, text); err != nil {
		return false, err
	}
	defer d.remove(temp)
	if was == nil {
		err := d.move(temp, d, name)
		if errors.Is(err, unix.EEXIST) {
			return false, nil
		}
		return err == nil, err
	}
	if err := d.swap(temp, name); err != nil {
		return false, err
	}
	there, err := d.text(temp, 2*singles[oldLogName])
	if err == nil && bytes.Equal(there, was) {
		return true, nil
	}
	return false, errors.Join(err, d.swap(temp, name))
}

// text reads a plain file, nil where there is none.
func (d folder) text(name string, most int64) ([]byte, error) {
	f, size, err := d.open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if size > most {
		return nil, fmt.Errorf("%s has more than %d bytes", d.path(name), most)
	}
	b, err := io.ReadAll(io.LimitReader(f, size))
	if b == nil {
		b = []byte{}
	}
	return b, err
}

// joinLogs puts lines of texts that are in neither part of the log into the
// older one, in the order of their times, and keeps the newest that have room.
func joinLogs(old, now []byte, texts [][]byte) (merged []byte, added int) {
	type line struct {
		at   time.Time
		text string
	}
	var lines []line
	have := map[string]bool{}
	collect := func(b []byte, foreign bool) {
		var at time.Time
		for text := range strings.Lines(string(b)) {
			text = strings.TrimSuffix(text, "\n")
			t, _, ok := client.SplitLine(text)
			if ok {
				at = t
			}
			// Of a backup only what a log can have; here all stays in its place.
			if text == "" || foreign && (!ok || have[text]) {
				continue
			}
			if have[text] = true; foreign {
				added++
			}
			lines = append(lines, line{at, text})
		}
	}
	for text := range strings.Lines(string(now)) {
		have[strings.TrimSuffix(text, "\n")] = true
	}
	collect(old, false)
	for _, b := range texts {
		collect(b, true)
	}
	slices.SortStableFunc(lines, func(a, b line) int { return a.at.Compare(b.at) })
	size := 0
	first := len(lines)
	for first > 0 && size+len(lines[first-1].text)+1 <= int(singles[oldLogName]) {
		first--
		size += len(lines[first].text) + 1
	}
	var b bytes.Buffer
	for _, l := range lines[first:] {
		b.WriteString(l.text + "\n")
	}
	return b.Bytes(), added
}
