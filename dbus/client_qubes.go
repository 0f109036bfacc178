package dbus

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	godbus "github.com/godbus/dbus/v5"

	"qvmremote/queue"
)

// Status reads everything that the service says of itself and of its qubes,
// those by name.
func (c *Client) Status(ctx context.Context) (Manager, []Qube, error) {
	m, all, err := c.status(ctx, "")
	if err != nil {
		return m, nil, err
	}
	qubes, err := all.qubes()
	return m, sorted(qubes), err
}

// status asks one owner of the name, "" for whoever is it.
func (c *Client) status(ctx context.Context, dest string) (m Manager, all objects, err error) {
	if all, err = c.objects(ctx, dest); err != nil {
		return m, nil, err
	}
	err = c.readAll(ctx, dest, ManagerPath, ManagerInterface, &m)
	return m, all, err
}

// objects reads all that is below the manager's object.
func (c *Client) objects(ctx context.Context, dest string) (objects, error) {
	var all objects
	r := request{dest: dest, path: ManagerPath, iface: ObjectManager, method: "GetManagedObjects", silent: true}
	err := c.call(ctx, r, &all)
	return all, err
}

func sorted(qubes map[string]Qube) []Qube {
	return slices.SortedFunc(maps.Values(qubes), func(a, b Qube) int { return cmp.Compare(a.Name, b.Name) })
}

// ReadManager reads what the service says of itself.
func (c *Client) ReadManager(ctx context.Context) (Manager, error) {
	var m Manager
	err := c.readAll(ctx, "", ManagerPath, ManagerInterface, &m)
	return m, err
}

// ReadQube reads what the service says of one qube.
func (c *Client) ReadQube(ctx context.Context, qube string) (Qube, error) {
	r, err := qubeCall(qube, "")
	if err != nil {
		return Qube{}, err
	}
	var q Qube
	err = c.readAll(ctx, "", r.path, QubeInterface, &q)
	return q, err
}

func (c *Client) readAll(ctx context.Context, dest string, path godbus.ObjectPath, iface string, to fields) error {
	var all map[string]godbus.Variant
	r := request{dest: dest, path: path, iface: Properties, method: "GetAll", args: []any{iface}, silent: true}
	if err := c.call(ctx, r, &all); err != nil {
		return err
	}
	return setAll(to, iface, all)
}

// ListQubes names the qubes that have a key or are configured.
func (c *Client) ListQubes(ctx context.Context) ([]string, error) {
	var paths []godbus.ObjectPath
	if err := c.call(ctx, manager("ListQubes"), &paths); err != nil {
		return nil, err
	}
	var names []string
	for _, p := range paths {
		if name, ok := QubeName(p); ok {
			names = append(names, name)
		}
	}
	return names, nil
}

// AvailableQube is a qube that could be authorised.
type AvailableQube struct {
	Name       string
	Class      string // "AppVM", "DispVM", …
	Label      string
	PowerState string
	UUID       string
	HasKey     bool // here, in dom0
}

// AvailableQubes asks dom0's tools for every qube that could be authorised.
func (c *Client) AvailableQubes(ctx context.Context) (qubes []AvailableQube, err error) {
	err = c.call(ctx, manager("AvailableQubes").slowly(), &qubes)
	return qubes, err
}

// StartQube starts a qube and returns when it is up.
func (c *Client) StartQube(ctx context.Context, qube string) error {
	return c.power(ctx, qube, "Start")
}

// ShutDownQube shuts a qube down and returns when it is halted. One that takes
// more than 90 seconds is killed.
func (c *Client) ShutDownQube(ctx context.Context, qube string) error {
	return c.power(ctx, qube, "ShutDown")
}

func (c *Client) power(ctx context.Context, qube, method string) error {
	r, err := qubeCall(qube, method)
	if err != nil {
		return err
	}
	return c.call(ctx, r.slowly())
}

// QueueStatus is what lies in a qube's queue.
type QueueStatus struct {
	Pending uint32 // not taken
	Running uint32 // taken, without an answer
	Results uint32 // answers not fetched
	Note    string // why it could not be asked, "" if it was
}

// QueueStatus counts what lies in the qube's queue.
func (c *Client) QueueStatus(ctx context.Context, qube string) (s QueueStatus, err error) {
	r, err := qubeCall(qube, "QueueStatus")
	if err != nil {
		return s, err
	}
	err = c.call(ctx, r.slowly(), &s.Pending, &s.Running, &s.Results, &s.Note)
	return s, err
}

// QueueEntry is a file in a qube's queue.
type QueueEntry struct {
	Folder string
	Name   string
	Size   uint64 // bytes
	Age    time.Duration
	Word   string // the first one of a result, escaped
}

// QueueEntries lists the files in the qube's queue; more is how many are left
// out, note why it could not be asked.
func (c *Client) QueueEntries(ctx context.Context, qube string) (entries []QueueEntry, more uint64, note string, err error) {
	r, err := qubeCall(qube, "QueueEntries")
	if err != nil {
		return nil, 0, "", err
	}
	var rows []struct {
		Folder, Name string
		Size, Age    uint64
		Word         string
	}
	if err := c.call(ctx, r.slowly(), &rows, &more, &note); err != nil {
		return nil, 0, "", err
	}
	for _, row := range rows {
		entries = append(entries, QueueEntry{row.Folder, row.Name, row.Size, seconds(row.Age), row.Word})
	}
	return entries, more, note, nil
}

// CleanQueue removes what is left over from the queue; all takes files younger
// than a day as well, and loses what nobody took or fetched. left is how many
// files stay, note why it could not be asked.
func (c *Client) CleanQueue(ctx context.Context, qube string, all bool) (removed []string, left uint32, note string, err error) {
	r, err := qubeCall(qube, "CleanQueue", all)
	if err != nil {
		return nil, 0, "", err
	}
	err = c.call(ctx, r.slowly(), &removed, &left, &note)
	return removed, left, note, err
}

// RecoverQueue answers, in the qube, what lies there as running although dom0
// does not work on it.
func (c *Client) RecoverQueue(ctx context.Context, qube string) (recovered []string, left uint32, note string, err error) {
	r, err := qubeCall(qube, "RecoverQueue")
	if err != nil {
		return nil, 0, "", err
	}
	err = c.call(ctx, r.slowly(), &recovered, &left, &note)
	return recovered, left, note, err
}

func qubeCall(qube, method string, args ...any) (request, error) {
	if !queue.ValidQube(qube) {
		return request{}, &Error{Code: InvalidArgument, Text: fmt.Sprintf("%s is not the name of a qube", queue.Quote(qube, 64))}
	}
	return request{path: QubePath(qube), iface: QubeInterface, method: method, args: args}, nil
}

// seconds is the bus's seconds as a Duration, bounded by what that holds.
func seconds(n uint64) time.Duration {
	return time.Duration(min(n, 1<<33)) * time.Second
}
