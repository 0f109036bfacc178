//go:build system

package system

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// owners sees who owns which name on the bus.
type owners struct {
	machine *dom0
	cmd     *exec.Cmd
	end     context.CancelFunc
	mu      sync.Mutex
	text    bytes.Buffer
}

// watchOwners sees each change of a name's owner from now on.
func (d *dom0) watchOwners(t *testing.T) *owners {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	o := &owners{machine: d, end: cancel}
	o.cmd = d.Command(ctx, "", "stdbuf", "-oL", "busctl", "monitor", "--json=short",
		"--match=type='signal',sender='org.freedesktop.DBus',member='NameOwnerChanged'")
	o.cmd.Stdout = o
	if err := o.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cancel)
	o.mark(t)
	return o
}

func (o *owners) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(b)
}

func (o *owners) seen() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

var ownName = regexp.MustCompile(`destination=(:[0-9.]+)`)

// mark returns when all changes up to now were seen: a client comes to the bus,
// and its coming was.
func (o *owners) mark(t *testing.T) {
	t.Helper()
	o.machine.until(t, "the bus is watched", func() error {
		out := o.machine.Must(t, "dbus-send", "--system", "--print-reply", "--dest=org.freedesktop.DBus", "/",
			"org.freedesktop.DBus.GetId")
		name := ownName.FindStringSubmatch(out)
		if name == nil {
			t.Fatalf("dbus-send says nothing of itself: %s", out)
		}
		return poll(100*time.Millisecond, func() error {
			if !strings.Contains(o.seen(), `"`+name[1]+`"`) {
				return errors.New("a client came unseen")
			}
			return nil
		})
	})
}

// unbroken fails the test unless our name's owner changed, and at no time there
// was none.
func (o *owners) unbroken(t *testing.T) {
	t.Helper()
	if o.noGap(t) == 0 {
		t.Error("the name's owner did not change")
	}
}

// noGap fails the test if at any time nobody owned our name, and returns how
// often its owner changed.
func (o *owners) noGap(t *testing.T) int {
	t.Helper()
	o.mark(t)
	changes := o.changes(t)
	o.end()
	_ = o.cmd.Wait()
	for _, c := range changes {
		if c[2] == "" {
			t.Errorf("nobody owned the name for a while: %q", changes)
		}
	}
	return len(changes)
}

// changes are those of our name: name, old owner, new owner.
func (o *owners) changes(t *testing.T) [][]string {
	t.Helper()
	var found [][]string
	for line := range strings.Lines(o.seen()) {
		var signal struct {
			Payload struct{ Data []string }
		}
		if !strings.HasSuffix(line, "\n") {
			break // it is still being written
		}
		if err := json.Unmarshal([]byte(line), &signal); err != nil || len(signal.Payload.Data) != 3 {
			t.Fatalf("busctl monitor: %v: %s", err, line)
		}
		if signal.Payload.Data[0] == busName {
			found = append(found, signal.Payload.Data)
		}
	}
	return found
}
