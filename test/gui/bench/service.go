package main

import (
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	godbus "github.com/godbus/dbus/v5"

	"qvmremote/dbus"
	"qvmremote/test/bus"
)

// flooding is a service that tells of records faster than the real one, which
// gathers them for a tenth of a second. Its log is all commands that ended
// well: claim, run, final, delivered.
type flooding struct {
	conn *godbus.Conn
	head atomic.Uint64
	from time.Time // of the first record
}

// past is how many records the log has before the flood.
const past = 4000

const floodQube = "work"

var events = []string{"claim", "run", "final", "delivered"}

func serveFlood(b *bus.Bus) (*flooding, error) {
	conn, err := b.Dial()
	if err != nil {
		return nil, fmt.Errorf("connect the flooding service: %w", err)
	}
	f := &flooding{conn: conn, from: time.Now().Add(-time.Hour)}
	f.head.Store(past)
	for iface, methods := range map[string]map[string]any{
		dbus.Properties:    {"GetAll": f.getAll, "Get": f.get},
		dbus.ObjectManager: {"GetManagedObjects": f.objects},
		dbus.ManagerInterface: {
			"Subscribe": done, "Unsubscribe": done, "QueryAudit": f.query,
			"CountCommands": func(uint64, uint64, uint32, string) ([]count, *godbus.Error) { return []count{}, nil },
			"ListSettings":  func() ([]four, string, *godbus.Error) { return []four{}, "", nil },
		},
	} {
		if err := conn.ExportMethodTable(methods, dbus.ManagerPath, iface); err != nil {
			return nil, fmt.Errorf("serve %s: %w", iface, err)
		}
	}
	reply, err := conn.RequestName(dbus.Name, godbus.NameFlagDoNotQueue)
	if err == nil && reply != godbus.RequestNameReplyPrimaryOwner {
		err = fmt.Errorf("reply %v", reply)
	}
	if err != nil {
		return nil, fmt.Errorf("own %s: %w", dbus.Name, err)
	}
	return f, nil
}

func done() *godbus.Error { return nil }

type (
	four  struct{ A, B, C, D string }
	count struct {
		Begin uint64
		Ended map[string]uint32
	}
	values = map[string]godbus.Variant
)

func variants(of map[string]any) values {
	v := values{}
	for name, value := range of {
		v[name] = godbus.MakeVariant(value)
	}
	return v
}

func (f *flooding) getAll(string) (values, *godbus.Error) {
	return variants(map[string]any{
		"Version": "1", "Features": []string{}, "State": dbus.Running, "Since": uint64(f.from.Unix()), "Pid": uint32(1),
		"DryRun": false, "StartsAtBoot": false, "Running": uint32(0), "Waiting": uint32(0), "Health": []four{}, "AuditHead": f.head.Load(),
	}), nil
}

func (f *flooding) get(iface, name string) (godbus.Variant, *godbus.Error) {
	all, err := f.getAll(iface)
	return all[name], err
}

func (f *flooding) objects() (map[godbus.ObjectPath]map[string]values, *godbus.Error) {
	return map[godbus.ObjectPath]map[string]values{dbus.QubePath(floodQube): {dbus.QubeInterface: variants(map[string]any{
		"Name": floodQube, "Label": "red", "PowerState": "Running", "Connection": "connected", "Transport": "stream", "KeyState": "active",
		"Fingerprint": "aaaa bbbb cccc dddd eeee ffff 0000 1111", "NextFingerprint": "", "AuthorizedAt": uint64(f.from.Unix()),
		"Configured": true, "Legacy": false, "Rules": "good", "SuspendedAt": uint64(0),
		"GrantUntil": uint64(0), "GrantUntilReboot": false, "GrantCount": uint64(0), "GrantLeft": uint64(0), "GrantEnded": false,
		"Running": uint32(0), "Open": uint32(0),
		"Completed": f.head.Load() / 4, "Failed": uint64(0), "Refused": uint64(0), "LastSeq": f.head.Load() - 1,
	})}}, nil
}

// query answers with any filter of events and of a request's number.
func (f *flooding) query(filter values, before uint64, limit uint32) (lines []string, next uint64, e *godbus.Error) {
	lines = []string{}
	head := f.head.Load()
	if before == 0 || before > head {
		before = head
	}
	low := uint64(0)
	if number, ok := filter["number"].Value().(uint64); ok && number > 0 {
		low, before = (number-1)*4, min(before, number*4)
	}
	wanted, _ := filter["events"].Value().([]string)
	for before > low && len(lines) < int(limit) {
		before--
		if event := events[before%4]; len(wanted) == 0 || slices.Contains(wanted, event) {
			lines = append(lines, f.line(before))
		}
	}
	if before <= low {
		before = 0
	}
	return lines, before, nil
}

func (f *flooding) time(seq uint64) time.Time {
	return f.from.Add(time.Duration(seq) * time.Millisecond)
}

func (f *flooding) line(seq uint64) string {
	event, more := events[seq%4], ""
	switch event {
	case "run":
		more = `,"command":"qvm-ls --raw-data"`
	case "final":
		more = `,"state":"exit","exit":0,"duration_ms":12`
	}
	return fmt.Sprintf(`{"seq":%d,"time":"%s","event":"%s","qube":"%s","number":%d%s}`,
		seq, f.time(seq).UTC().Format(time.RFC3339Nano), event, floodQube, seq/4+1, more)
}

// add tells of one more record.
func (f *flooding) add() error {
	type notice struct {
		Seq         uint64
		Time        int64
		Event, Qube string
		Number      uint64
		State       string
	}
	seq := f.head.Load()
	n := notice{Seq: seq, Time: f.time(seq).UnixMicro(), Event: events[seq%4], Qube: floodQube, Number: seq/4 + 1}
	if n.Event == "final" {
		n.State = "exit"
	}
	f.head.Add(1)
	return f.conn.Emit(dbus.ManagerPath, dbus.ManagerInterface+".RecordsAdded", []notice{n})
}

// touch tells what has changed besides, as the real service does ten times a
// second.
func (f *flooding) touch() error {
	head := f.head.Load()
	err := f.conn.Emit(dbus.ManagerPath, dbus.Properties+".PropertiesChanged", dbus.ManagerInterface, variants(map[string]any{"AuditHead": head}), []string{})
	if err != nil {
		return err
	}
	return f.conn.Emit(dbus.QubePath(floodQube), dbus.Properties+".PropertiesChanged", dbus.QubeInterface,
		variants(map[string]any{"Completed": head / 4, "LastSeq": head - 1}), []string{})
}
