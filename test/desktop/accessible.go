package desktop

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/godbus/dbus/v5"
)

const (
	registryName  = "org.a11y.atspi.Registry"
	accessible    = "org.a11y.atspi.Accessible"
	rootPath      = dbus.ObjectPath("/org/a11y/atspi/accessible/root")
	oneCallLimit  = 10 * time.Second
	maxNodes      = 20000 // of one tree: a list shows no more rows than these
	maxTreeLevels = 100
)

// ref is where an object of assistive technology lives.
type ref struct {
	Bus  string
	Path dbus.ObjectPath
}

var registry = ref{registryName, rootPath}

// State is something that is so of a node, or not.
type State uint

// The states that tests ask for, by the numbers of AT-SPI.
const (
	Active    State = 1 // of a window: it has the focus
	Busy      State = 3
	Checked   State = 4
	Editable  State = 7
	Enabled   State = 8
	Expanded  State = 10
	Focusable State = 11
	Focused   State = 12
	Modal     State = 16
	Pressed   State = 20
	Selected  State = 23
	Sensitive State = 24
	Visible   State = 30
)

var stateNames = map[State]string{
	Active: "active", Busy: "busy", Checked: "checked", Editable: "editable", Enabled: "enabled", Expanded: "expanded",
	Focusable: "focusable", Focused: "focused", Modal: "modal", Pressed: "pressed", Selected: "selected",
	Sensitive: "sensitive", Visible: "visible",
}

// String is the name that a state has in a dump.
func (s State) String() string {
	if name, ok := stateNames[s]; ok {
		return name
	}
	return fmt.Sprintf("state %d", uint(s))
}

// Node is something on the screen, as a screen reader has it: a button, a row,
// a text. What its fields say was so when it was found; its methods ask again.
type Node struct {
	Role, Name, Description string
	Children                []*Node // empty below what is not visible
	Parent                  *Node   // nil for an application

	d      *Desktop
	ref    ref
	states uint64
}

func callTime() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), oneCallLimit)
}

func (d *Desktop) object(r ref) dbus.BusObject { return d.conn.Object(r.Bus, r.Path) }

func (d *Desktop) childrenOf(ctx context.Context, r ref) ([]ref, error) {
	var list []ref
	err := d.object(r).CallWithContext(ctx, accessible+".GetChildren", 0).Store(&list)
	return list, err
}

// Has reports whether the node was in a state when it was found.
func (n *Node) Has(s State) bool { return n.states&(1<<s) != 0 }

// asked are the questions about one node, on their way.
type asked struct {
	node                          *Node
	properties, role, state, kids *dbus.Call
}

// atOnce is how many nodes are asked about together. Each takes four calls, and
// a bus allows no more than 128 of one connection to wait.
const atOnce = 30

// tree reads a node with all that is visible below it. Those of a level are
// asked together, because the answers come from the program's main loop, one by
// one.
func (d *Desktop) tree(ctx context.Context, r ref) (*Node, error) {
	root := &Node{d: d, ref: r}
	level, seen := []*Node{root}, 0
	for depth := 0; len(level) > 0; depth++ {
		if seen += len(level); seen > maxNodes || depth > maxTreeLevels {
			return nil, fmt.Errorf("more than %d nodes, or %d levels of them", maxNodes, maxTreeLevels)
		}
		var next []*Node
		for some := range slices.Chunk(level, atOnce) {
			found, err := d.below(ctx, root, some)
			if err != nil {
				return nil, err
			}
			next = append(next, found...)
		}
		level = next
	}
	return root, nil
}

// below asks about nodes, drops those that have gone meanwhile, and returns what
// is in the others.
func (d *Desktop) below(ctx context.Context, root *Node, nodes []*Node) (next []*Node, err error) {
	for _, q := range d.ask(ctx, nodes) {
		kids, err := q.answer()
		var refused dbus.Error
		switch {
		case err == nil:
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
	for i, c := range n.Parent.Children {
		if c == n {
			n.Parent.Children = append(n.Parent.Children[:i:i], n.Parent.Children[i+1:]...)
			return
		}
	}
}

func (d *Desktop) ask(ctx context.Context, nodes []*Node) []asked {
	all := make([]asked, len(nodes))
	for i, n := range nodes {
		o := d.object(n.ref)
		ask := func(method string, args ...any) *dbus.Call {
			return o.GoWithContext(ctx, method, 0, make(chan *dbus.Call, 1), args...)
		}
		all[i] = asked{n, ask("org.freedesktop.DBus.Properties.GetAll", accessible), ask(accessible + ".GetRoleName"),
			ask(accessible + ".GetState"), ask(accessible + ".GetChildren")}
	}
	return all
}

// answer waits for the answers, notes them in the node and returns what is
// below it.
func (q asked) answer() (kids []ref, err error) {
	var properties map[string]dbus.Variant
	var states []uint32
	for call, into := range map[*dbus.Call]any{q.properties: &properties, q.role: &q.node.Role, q.state: &states, q.kids: &kids} {
		if err := (<-call.Done).Store(into); err != nil {
			return nil, err
		}
	}
	q.node.Name, _ = properties["Name"].Value().(string)
	q.node.Description, _ = properties["Description"].Value().(string)
	for i, word := range states[:min(len(states), 2)] {
		q.node.states |= uint64(word) << (32 * i)
	}
	return kids, nil
}
