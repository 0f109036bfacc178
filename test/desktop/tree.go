package desktop

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/godbus/dbus/v5"
)

// item is one object of a program as its cache tells it. GTK takes an object
// into the cache when somebody first asked about it.
type item struct {
	Ref, App, Parent ref
	Index, Count     int32
	Interfaces       []string
	Name             string
	Role             uint32 // GTK has more roles than numbers
	Description      string
	States           []uint32
}

const cachePath = dbus.ObjectPath("/org/a11y/atspi/cache")

// cached is what a program's cache has: one call for all that is known, where a
// long page has hundreds of nodes and each would take four.
func (d *Desktop) cached(ctx context.Context, program string) (map[ref]item, error) {
	var items []item
	if err := d.conn.Object(program, cachePath).CallWithContext(ctx, "org.a11y.atspi.Cache.GetItems", 0).Store(&items); err != nil {
		return nil, fmt.Errorf("ask for what is known of the program: %w", err)
	}
	all := make(map[ref]item, len(items))
	for _, i := range items {
		all[i.Ref] = i
	}
	return all, nil
}

func (n *Node) note(name, description string, states []uint32) {
	n.Name, n.Description = name, description
	for at, word := range states[:min(len(states), 2)] {
		n.states |= uint64(word) << (32 * at)
	}
}

// atOnce is how many nodes are asked about together. Each takes at most four
// calls, and a bus allows no more than 128 of one connection to wait.
const atOnce = 30

// below asks about nodes, together because the answers come from the program's
// main loop, one by one. It drops those that have gone meanwhile and returns
// what is in the others.
func (d *Desktop) below(ctx context.Context, root *Node, nodes []*Node, cached map[ref]item) (next []*Node, err error) {
	for _, q := range d.ask(ctx, nodes, cached) {
		kids, err := q.answer()
		var refused dbus.Error
		switch {
		case err == nil:
			d.roles[q.node.ref] = q.node.Role
		case q.node != root && errors.As(err, &refused) && refused.Name != limitsExceeded:
			q.node.leave()
			continue
		default:
			return nil, fmt.Errorf("ask about %v: %w", q.node, err)
		}
		if !q.node.Has(Visible) && q.node != root {
			continue
		}
		for _, k := range kids {
			q.node.Children = append(q.node.Children, &Node{d: d, ref: k, Parent: q.node})
		}
		next = append(next, q.node.Children...)
	}
	return next, nil
}

const limitsExceeded = "org.freedesktop.DBus.Error.LimitsExceeded"

func (n *Node) leave() {
	n.Parent.Children = slices.DeleteFunc(slices.Clone(n.Parent.Children), func(c *Node) bool { return c == n })
}

// asked are the questions about one node, on their way: what is in it, and what
// is not known from the cache, or from before in the case of its role, which
// never changes.
type asked struct {
	node                          *Node
	kids, properties, role, state *dbus.Call
}

func (d *Desktop) ask(ctx context.Context, nodes []*Node, cached map[ref]item) []asked {
	all := make([]asked, len(nodes))
	for i, n := range nodes {
		o := d.object(n.ref)
		ask := func(method string, args ...any) *dbus.Call {
			return o.GoWithContext(ctx, method, 0, make(chan *dbus.Call, 1), args...)
		}
		all[i] = asked{node: n, kids: ask(accessible + ".GetChildren")}
		if known, ok := cached[n.ref]; ok {
			n.note(known.Name, known.Description, known.States)
		} else {
			all[i].properties, all[i].state = ask("org.freedesktop.DBus.Properties.GetAll", accessible), ask(accessible+".GetState")
		}
		if n.Role = d.roles[n.ref]; n.Role == "" {
			all[i].role = ask(accessible + ".GetRoleName")
		}
	}
	return all
}

// answer waits for the answers, notes them in the node and returns what is
// below it.
func (q asked) answer() (kids []ref, err error) {
	var properties map[string]dbus.Variant
	var states []uint32
	for call, into := range map[*dbus.Call]any{q.kids: &kids, q.properties: &properties, q.role: &q.node.Role, q.state: &states} {
		if call == nil {
			continue
		}
		if err := (<-call.Done).Store(into); err != nil {
			return nil, err
		}
	}
	if q.state != nil {
		name, _ := properties["Name"].Value().(string)
		description, _ := properties["Description"].Value().(string)
		q.node.note(name, description, states)
	}
	return kids, nil
}
