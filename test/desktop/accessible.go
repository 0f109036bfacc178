package desktop

import (
	"context"
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

// tree reads a node with all that is visible below it, level by level.
func (d *Desktop) tree(ctx context.Context, r ref) (*Node, error) {
	cached, err := d.cached(ctx, r.Bus)
	if err != nil {
		return nil, err
	}
	root := &Node{d: d, ref: r}
	level, seen := []*Node{root}, 0
	for depth := 0; len(level) > 0; depth++ {
		if seen += len(level); seen > maxNodes || depth > maxTreeLevels {
			return nil, fmt.Errorf("more than %d nodes, or %d levels of them", maxNodes, maxTreeLevels)
		}
		var next []*Node
		for some := range slices.Chunk(level, atOnce) {
			found, err := d.below(ctx, root, some, cached)
			if err != nil {
				return nil, err
			}
			next = append(next, found...)
		}
		level = next
	}
	return root, nil
}
