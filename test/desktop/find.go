package desktop

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"qvmremote/queue"
)

// App waits for a program's application, by the name that it gives itself: with
// GTK that is the name of the program's file.
func (d *Desktop) App(t T, name string) *Node {
	t.Helper()
	var found *Node
	var others []string
	err := wait(func(ctx context.Context) (bool, error) {
		apps, err := d.childrenOf(ctx, registry)
		if err != nil {
			return false, fmt.Errorf("ask which applications there are: %w", err)
		}
		others = nil
		for _, a := range apps {
			v, err := d.object(a).GetProperty(accessible + ".Name")
			if err != nil {
				continue // it has gone meanwhile
			}
			if v.Value() == name {
				found = &Node{d: d, ref: a, Name: name, Role: "application"}
				return true, nil
			}
			others = append(others, fmt.Sprint(v.Value()))
		}
		return false, nil
	})
	if err != nil {
		t.Fatalf("there is no application %q, but these: %q: %v", name, others, err)
	}
	return found
}

// look reads what is visible below n anew. A node keeps its place in the tree.
func (n *Node) look(ctx context.Context) (*Node, error) {
	fresh, err := n.d.tree(ctx, n.ref)
	if err == nil {
		fresh.Parent = n.Parent
	}
	return fresh, err
}

// each calls visit for all below n, as they are read, until it returns false.
func (n *Node) each(visit func(*Node) bool) bool {
	for _, c := range n.Children {
		if !visit(c) || !c.each(visit) {
			return false
		}
	}
	return true
}

// is reports whether a node is what a search is for: "" is anything, and an
// asterisk at either end of a name is whatever stands there.
func (n *Node) is(role, name string) bool {
	if !n.Has(Visible) || role != "" && n.Role != role {
		return false
	}
	part, after := strings.CutSuffix(name, "*")
	part, before := strings.CutPrefix(part, "*")
	switch {
	case name == "" || n.Name == name || twice(n.Name, name):
		return true
	case before && after:
		return strings.Contains(n.Name, part)
	case before:
		return strings.HasSuffix(n.Name, part)
	}
	return after && strings.HasPrefix(n.Name, part)
}

// twice reports whether GTK gave a node its name two times over, as it does
// with buttons: once from the property, in which an underscore marks a letter,
// and once from the label inside.
func twice(full, name string) bool {
	first, ok := strings.CutSuffix(full, " "+name)
	return ok && (first == name || strings.Replace(first, "_", "", 1) == name)
}

// all is what a search finds, the first ones up to a limit.
func (n *Node) all(ctx context.Context, role, name string, limit int) ([]*Node, error) {
	return n.such(ctx, func(c *Node) bool { return c.is(role, name) }, limit)
}

// such are the nodes that can be seen and are so.
func (n *Node) such(ctx context.Context, so func(*Node) bool, limit int) ([]*Node, error) {
	fresh, err := n.look(ctx)
	if err != nil {
		return nil, err
	}
	var found []*Node
	fresh.each(func(c *Node) bool {
		if so(c) {
			found = append(found, c)
		}
		return true
	})
	var seen []*Node
	for _, c := range found {
		if len(seen) == limit {
			break
		}
		// An error is a node that has gone meanwhile.
		if ok, err := c.uncovered(ctx); ok && err == nil {
			seen = append(seen, c)
		}
	}
	return seen, ctx.Err()
}

// FindAll is what is visible below n with that role and name, now, in the
// order of the tree. "" is any role, or any name; an asterisk at either end of
// a name is whatever stands there.
func (n *Node) FindAll(t T, role, name string) []*Node {
	t.Helper()
	return n.Such(t, func(c *Node) bool { return c.is(role, name) })
}

// Such is what is visible below n, now, and is so.
func (n *Node) Such(t T, so func(*Node) bool) []*Node {
	t.Helper()
	ctx, cancel := callTime()
	defer cancel()
	found, err := n.such(ctx, func(c *Node) bool { return c.Has(Visible) && so(c) }, maxNodes)
	if err != nil {
		t.Fatalf("look at what is below %v: %v", n, err)
	}
	return found
}

// Find waits for what [Node.FindAll] finds, and returns the first. Where it does
// not come the test fails with all that is there.
func (n *Node) Find(t T, role, name string) *Node {
	t.Helper()
	var found []*Node
	err := wait(func(ctx context.Context) (ok bool, err error) {
		found, err = n.all(ctx, role, name, 1)
		return len(found) > 0, err
	})
	if err != nil {
		t.Fatalf("there is no %s: %v\n%s", described(role, name), err, n.text())
	}
	return found[0]
}

// Gone waits until nothing is visible below n with that role and name; that n
// is gone will do.
func (n *Node) Gone(t T, role, name string) {
	t.Helper()
	err := wait(func(ctx context.Context) (bool, error) {
		found, err := n.all(ctx, role, name, 1)
		return len(found) == 0 && (err == nil || ctx.Err() == nil), err
	})
	if err != nil {
		t.Fatalf("there still is %s: %v\n%s", described(role, name), err, n.text())
	}
}

// Focused waits for what has the focus in its window.
func (n *Node) Focused(t T) *Node {
	t.Helper()
	var found *Node
	err := wait(func(context.Context) (ok bool, err error) {
		found, err = n.focused()
		return found != nil, err
	})
	if err != nil {
		t.Fatalf("nothing has the focus: %v\n%s", err, n.text())
	}
	return found
}

// focused is what has the focus now, nil for nothing.
func (n *Node) focused() (found *Node, err error) {
	ctx, cancel := callTime()
	defer cancel()
	fresh, err := n.look(ctx)
	if err != nil {
		return nil, err
	}
	fresh.each(func(c *Node) bool {
		if c.Has(Focused) {
			found = c
		}
		return true
	})
	return found, nil
}

// Walk presses a key, such as Tab, until the focus is on what a search for role
// and name finds, and returns that.
func (n *Node) Walk(t T, key, role, name string) *Node {
	t.Helper()
	var passed []string
	for range tabLimit {
		at := n.step(t, key, func(at *Node) bool { return at.is(role, name) })
		if at != nil && at.is(role, name) {
			return at
		}
		if at != nil {
			passed = append(passed, at.String())
		}
	}
	t.Fatalf("%s leads to no %s, but to %q", key, described(role, name), passed)
	return nil
}

// step returns what has the focus, if that is there already, or presses a key and
// waits until it led away: the next press is for where that leads.
func (n *Node) step(t T, key string, there func(*Node) bool) *Node {
	t.Helper()
	at, err := n.inFront(t).focused()
	if err != nil {
		t.Fatalf("look for what has the focus: %v", err)
	}
	if at != nil && there(at) {
		return at
	}
	n.d.Key(t, key)
	if at == nil { // nothing has had it yet
		n.inFront(t).Focused(t)
		return nil
	}
	Await(t, fmt.Sprintf("%s leads away from %v", key, at), func() bool { return !at.Is(Focused) })
	return at
}

// inFront is the application's window that keys go to: a dialog, where there is
// one. (GTK 4.8 does not say of dialogs that they are active.)
func (n *Node) inFront(t T) *Node {
	t.Helper()
	ctx, cancel := callTime()
	defer cancel()
	fresh, err := n.look(ctx)
	if err != nil || len(fresh.Children) == 0 {
		t.Fatalf("%v has no window: %v", n, err)
	}
	front := fresh.Children[0]
	for _, w := range fresh.Children {
		if w.Has(Modal) || w.Has(Active) && !front.Has(Modal) {
			front = w
		}
	}
	return front
}

// wait asks until the answer is yes; the last error says why it never was.
func wait(yes func(context.Context) (bool, error)) error {
	for late := time.Now().Add(patience); ; time.Sleep(pause) {
		ctx, cancel := callTime()
		ok, err := yes(ctx)
		cancel()
		if ok {
			return nil
		}
		if time.Now().After(late) {
			if err == nil {
				err = fmt.Errorf("waited for %v", patience)
			}
			return err
		}
	}
}

func described(role, name string) string {
	switch {
	case role == "":
		return fmt.Sprintf("thing %q", name)
	case name == "":
		return role
	}
	return fmt.Sprintf("%s %q", role, name)
}

// Dump writes all that is below n, a node a line. What is not visible is marked
// and not looked into.
func (n *Node) Dump(w io.Writer) error {
	ctx, cancel := callTime()
	defer cancel()
	fresh, err := n.look(ctx)
	if err != nil {
		return err
	}
	return fresh.dump(w, 0)
}

func (n *Node) dump(w io.Writer, depth int) error {
	var said []string
	for s := range State(64) {
		if name, ok := stateNames[s]; ok && n.Has(s) && s != Visible && s != Enabled && s != Sensitive && s != Focusable {
			said = append(said, name)
		}
	}
	switch {
	case !n.Has(Visible):
		said = append(said, "hidden")
	case !n.Has(Sensitive):
		said = append(said, "insensitive")
	}
	line := strings.Repeat("  ", depth) + n.Role + " " + queue.Quote(n.Name, 200)
	if n.Description != "" {
		line += " – " + queue.Quote(n.Description, 200)
	}
	if len(said) > 0 {
		line += " (" + strings.Join(said, ", ") + ")"
	}
	if _, err := fmt.Fprintln(w, line); err != nil {
		return err
	}
	for _, c := range n.Children {
		if err := c.dump(w, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// text is a Dump for a failure, or why there is none.
func (n *Node) text() string {
	var b strings.Builder
	if err := n.Dump(&b); err != nil {
		return err.Error()
	}
	return b.String()
}
