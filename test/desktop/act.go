package desktop

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/godbus/dbus/v5"
)

// The interfaces of AT-SPI by which things are done and read.
const (
	actionInterface    = "org.a11y.atspi.Action"
	componentInterface = "org.a11y.atspi.Component"
	editableInterface  = "org.a11y.atspi.EditableText"
	selectionInterface = "org.a11y.atspi.Selection"
	textInterface      = "org.a11y.atspi.Text"
	valueInterface     = "org.a11y.atspi.Value"
)

// tabLimit is how many things a window has at most that can have the focus.
const tabLimit = 200

// maxText is how many characters are read of a text.
const maxText = 4 << 20

func (n *Node) call(method string, into any, args ...any) error {
	ctx, cancel := callTime()
	defer cancel()
	call := n.d.object(n.ref).CallWithContext(ctx, method, 0, args...)
	if into == nil {
		return call.Err
	}
	return call.Store(into)
}

// String is the node as messages name it.
func (n *Node) String() string { return described(n.Role, n.Name) }

// Is reports whether the node is in a state now; one that is gone is in none.
func (n *Node) Is(s State) bool {
	var words []uint32
	if err := n.call(accessible+".GetState", &words); err != nil || int(s/32) >= len(words) {
		return false
	}
	return words[s/32]&(1<<(s%32)) != 0
}

// AwaitState waits until the node is in a state, or is not.
func (n *Node) AwaitState(t T, s State, on bool) {
	t.Helper()
	what := fmt.Sprintf("%v is %v", n, s)
	if !on {
		what = fmt.Sprintf("%v is not %v", n, s)
	}
	Await(t, what, func() bool { return n.Is(s) == on })
}

// Attributes are what the program says of the node besides.
func (n *Node) Attributes(t T) map[string]string {
	t.Helper()
	var a map[string]string
	if err := n.call(accessible+".GetAttributes", &a); err != nil {
		t.Fatalf("attributes of %v: %v", n, err)
	}
	return a
}

// has reports whether the node has an interface.
func (n *Node) has(name string) bool {
	var all []string
	return n.call(accessible+".GetInterfaces", &all) == nil && slices.Contains(all, name)
}

// part is the node itself or, where it has no such interface, what it is made
// of that has: the field of a row.
func (n *Node) part(name string) (*Node, error) {
	if n.has(name) {
		return n, nil
	}
	ctx, cancel := callTime()
	defer cancel()
	fresh, err := n.look(ctx)
	if err != nil {
		return nil, err
	}
	var found *Node
	fresh.each(func(c *Node) bool {
		if c.Has(Visible) && c.has(name) {
			found = c
		}
		return found == nil
	})
	if found == nil {
		return nil, fmt.Errorf("neither it nor anything in it has the interface %s", name)
	}
	return found, nil
}

// Text is what stands in a text or a field.
func (n *Node) Text(t T) string {
	t.Helper()
	p, err := n.part(textInterface)
	if err != nil {
		t.Fatalf("read %v: %v", n, err)
	}
	var text string
	if err := p.call(textInterface+".GetText", &text, int32(0), int32(maxText)); err != nil {
		t.Fatalf("read %v: %v", n, err)
	}
	return text
}

// Value is that of a bar, a scale or a scroll bar.
func (n *Node) Value(t T) float64 {
	t.Helper()
	v, err := n.d.object(n.ref).GetProperty(valueInterface + ".CurrentValue")
	if err != nil {
		t.Fatalf("value of %v: %v", n, err)
	}
	value, _ := v.Value().(float64)
	return value
}

// SetValue moves a scale or a scroll bar.
func (n *Node) SetValue(t T, value float64) {
	t.Helper()
	if err := n.d.object(n.ref).SetProperty(valueInterface+".CurrentValue", dbus.MakeVariant(value)); err != nil {
		t.Fatalf("set the value of %v: %v", n, err)
	}
}

// Actions are the names of what can be done with the node at once.
func (n *Node) Actions() ([]string, error) {
	var all []struct{ Name, Description, Keys string }
	if err := n.call(actionInterface+".GetActions", &all); err != nil {
		return nil, err
	}
	var names []string
	for _, a := range all {
		names = append(names, a.Name)
	}
	return names, nil
}

// presses are the actions that stand for a press, the likeliest first.
var presses = []string{"click", "activate", "toggle", "press"}

// Press presses a button, flips a switch, opens a row: by its action where it
// has one, by the pointer otherwise. What a person could not press fails the
// test.
func (n *Node) Press(t T) {
	t.Helper()
	n.reachable(t)
	names, err := n.Actions()
	if err != nil {
		names = nil // the interface is not there
	}
	for _, p := range presses {
		i := slices.IndexFunc(names, func(name string) bool { return strings.EqualFold(name, p) })
		if i < 0 {
			continue
		}
		var done bool
		if err := n.call(actionInterface+".DoAction", &done, int32(i)); err != nil || !done {
			t.Fatalf("press %v: done is %v, error %v", n, done, err)
		}
		return
	}
	if err := n.click(); err != nil {
		t.Fatalf("press %v: %v", n, err)
	}
}

// Toggle presses what is checked or pressed, or not, and waits until that has
// changed.
func (n *Node) Toggle(t T) {
	t.Helper()
	checked, pressed := n.Is(Checked), n.Is(Pressed)
	n.Press(t)
	Await(t, fmt.Sprintf("%v is flipped", n), func() bool { return n.Is(Checked) != checked || n.Is(Pressed) != pressed })
}

// reachable fails the test where a person could not use the node.
func (n *Node) reachable(t T) {
	t.Helper()
	if !n.Is(Visible) || !n.Is(Sensitive) {
		t.Fatalf("%v cannot be used: visible is %v, sensitive is %v", n, n.Is(Visible), n.Is(Sensitive))
	}
}

// Focus gives the node the focus by the key that goes from one thing to the
// next.
func (n *Node) Focus(t T) {
	t.Helper()
	n.reachable(t)
	app := n
	for app.Parent != nil {
		app = app.Parent
	}
	for range tabLimit {
		if n.Is(Focused) {
			return
		}
		app.step(t, "Tab", func(at *Node) bool { return at.ref == n.ref })
	}
	t.Fatalf("%v does not get the focus by Tab, pressed %d times", n, tabLimit)
}

// SetText replaces what stands in a field.
func (n *Node) SetText(t T, text string) {
	t.Helper()
	n.reachable(t)
	p, err := n.part(editableInterface)
	var done bool
	if err == nil {
		err = p.call(editableInterface+".SetTextContents", &done, text)
	}
	if err == nil && !done {
		err = errors.New("the program refused")
	}
	if err != nil {
		t.Fatalf("write into %v: %v", n, err)
	}
}

// Select selects a row or a page in the list that it belongs to.
func (n *Node) Select(t T) {
	t.Helper()
	n.reachable(t)
	for list := n.Parent; list != nil; list = list.Parent {
		if !list.has(selectionInterface) {
			continue
		}
		kids, err := list.kids()
		i := slices.Index(kids, n.ref)
		if err == nil && i < 0 {
			continue
		}
		var done bool
		if err == nil {
			err = list.call(selectionInterface+".SelectChild", &done, int32(i))
		}
		if err != nil || !done {
			t.Fatalf("select %v: done is %v, error %v", n, done, err)
		}
		return
	}
	n.Press(t)
}

func (n *Node) kids() ([]ref, error) {
	ctx, cancel := callTime()
	defer cancel()
	return n.d.childrenOf(ctx, n.ref)
}
