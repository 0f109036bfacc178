package world

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"
)

// Call is one start of a tool in dom0.
type Call struct {
	Time time.Time
	Tool string // a client started by qvm-run is "qvm-run/qrexec-client"
	Argv []string
	Pid  int
}

func (w World) callLog() string { return w.path("dom0", "calls.log") }

// LogCall appends one line to dom0/calls.log: time, tool, quoted arguments,
// process id, separated by tabs. It is one write, so lines never mix.
func (w World) LogCall(tool string, argv []string) error {
	quoted := make([]string, len(argv))
	for i, a := range argv {
		quoted[i] = strconv.Quote(a)
	}
	f, err := os.OpenFile(w.callLog(), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("log of calls: %w", err)
	}
	_, err = fmt.Fprintf(f, "%s\t%s\t%s\t%d\n", time.Now().UTC().Format(time.RFC3339Nano), tool, strings.Join(quoted, " "), os.Getpid())
	return errors.Join(err, f.Close())
}

// Calls reads the log of calls, oldest first.
func (w World) Calls() ([]Call, error) {
	b, err := os.ReadFile(w.callLog())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("log of calls: %w", err)
	}
	var calls []Call
	for line := range strings.Lines(string(b)) {
		c, err := parseCall(strings.TrimSuffix(line, "\n"))
		if err != nil {
			return nil, fmt.Errorf("log of calls, line %d: %w", len(calls)+1, err)
		}
		calls = append(calls, c)
	}
	return calls, nil
}

func parseCall(line string) (Call, error) {
	f := strings.Split(line, "\t")
	if len(f) != 4 {
		return Call{}, fmt.Errorf("has %d fields, not 4", len(f))
	}
	at, err := time.Parse(time.RFC3339Nano, f[0])
	if err != nil {
		return Call{}, err
	}
	c := Call{Time: at, Tool: f[1]}
	for rest := f[2]; rest != ""; rest = strings.TrimPrefix(rest, " ") {
		q, err := strconv.QuotedPrefix(rest)
		if err != nil {
			return Call{}, err
		}
		a, err := strconv.Unquote(q)
		if err != nil {
			return Call{}, err
		}
		c.Argv, rest = append(c.Argv, a), rest[len(q):]
	}
	c.Pid, err = strconv.Atoi(f[3])
	return c, err
}
