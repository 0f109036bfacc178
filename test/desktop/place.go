package desktop

import (
	"context"
	"errors"
	"fmt"
	"image"
	"strings"
	"time"

	"github.com/godbus/dbus/v5"
)

// ofWindow asks for places in the window, not on the screen.
const ofWindow = uint32(1)

// Bounds are where the node lies in the content of its window, also where it is
// scrolled out of sight.
func (n *Node) Bounds(t T) image.Rectangle {
	t.Helper()
	ctx, cancel := callTime()
	defer cancel()
	r, err := n.bounds(ctx)
	if err != nil {
		t.Fatalf("place of %v: %v", n, err)
	}
	return r
}

func (n *Node) bounds(ctx context.Context) (image.Rectangle, error) {
	var at struct{ X, Y, Width, Height int32 }
	err := n.d.object(n.ref).CallWithContext(ctx, componentInterface+".GetExtents", 0, ofWindow).Store(&at)
	return image.Rect(int(at.X), int(at.Y), int(at.X+at.Width), int(at.Y+at.Height)), err
}

func middle(r image.Rectangle) image.Point { return r.Min.Add(r.Max).Div(2) }

// surface is what the node is drawn on, as far as the pointer cares: a window,
// or what lies over one.
func (n *Node) surface() *Node {
	for ; n.Parent != nil && n.Parent.Parent != nil; n = n.Parent {
		if n.Role == "window" || n.Role == "dialog" || n.Name == "GtkPopover" || n.Name == "GtkPopoverMenu" {
			break
		}
	}
	return n
}

// uncovered reports whether a person could see the node, or scroll to it. GTK
// 4.8 says of a page that is not the one shown that it is visible: either it
// was never given a size, or something else lies where it is.
func (n *Node) uncovered(ctx context.Context) (bool, error) {
	at, err := n.bounds(ctx)
	if err != nil || at.Empty() {
		return false, err
	}
	for p := n.Parent; p != nil && p.Parent != nil && p != n.surface().Parent; p = p.Parent {
		around, err := p.bounds(ctx)
		if err != nil {
			return false, err
		}
		if !middle(at).In(around) {
			return p.uncovered(ctx) // scrolled out of it
		}
	}
	top, err := n.surface().pick(ctx, middle(at))
	if err != nil {
		return false, err
	}
	if top.Path == noPath || n.kin(top) {
		return true, nil
	}
	return n.holds(ctx, top)
}

// noPath is where GTK says that there is nothing.
const noPath = "/org/a11y/atspi/null"

// pick is what the pointer would meet at a place.
func (n *Node) pick(ctx context.Context, at image.Point) (top ref, err error) {
	err = n.d.object(n.ref).CallWithContext(ctx, componentInterface+".GetAccessibleAtPoint", 0,
		int32(at.X), int32(at.Y), ofWindow).Store(&top)
	return top, err
}

// kin reports whether other is the node, above it or below it, as far as the
// tree was read.
func (n *Node) kin(other ref) bool {
	for p := n; p != nil; p = p.Parent {
		if p.ref == other {
			return true
		}
	}
	return !n.each(func(c *Node) bool { return c.ref != other })
}

// holds asks whether the node is above other now. What the pointer meets may be
// newer than the tree that was read, or stand in none, as the presentational
// parts of a row do. GTK 4.18 goes by places alone, and may say that the pointer
// meets a page of a stack that is not the one shown, although it tells of nothing
// in that page: such a page covers nothing.
func (n *Node) holds(ctx context.Context, other ref) (bool, error) {
	bare := n.surface().barePages()
	for range maxTreeLevels {
		var v dbus.Variant
		err := n.d.object(other).CallWithContext(ctx, "org.freedesktop.DBus.Properties.Get", 0, accessible, "Parent").Store(&v)
		if err == nil {
			err = v.Store(&other)
		}
		if err != nil || other.Path == noPath || other.Path == rootPath {
			return false, err
		}
		if other == n.ref || bare[other] {
			return true, nil
		}
	}
	return false, nil
}

// barePages are the pages below n that have nothing in them.
func (n *Node) barePages() map[ref]bool {
	bare := map[ref]bool{}
	n.each(func(c *Node) bool {
		if c.Role == "tab panel" && len(c.Children) == 0 {
			bare[c.ref] = true
		}
		return true
	})
	return bare
}

// wheelLimit is how often the wheel is turned to bring something into sight.
const wheelLimit = 300

// scroll turns the wheel until the middle of the node is in sight, and returns
// where it is then.
func (n *Node) scroll() (image.Point, error) {
	ctx, cancel := callTime()
	defer cancel()
	for range wheelLimit {
		at, err := n.bounds(ctx)
		if err != nil {
			return image.Point{}, err
		}
		view, err := n.view(ctx)
		if err != nil {
			return image.Point{}, err
		}
		m := middle(at)
		if m.In(view) {
			return m, nil
		}
		const up, down = 4, 5
		button := byte(down)
		if m.Y < view.Min.Y {
			button = up
		}
		if err := n.d.pointAt(middle(view)); err != nil {
			return m, err
		}
		if err := n.d.x.Click(button); err != nil {
			return m, err
		}
	}
	return image.Point{}, errors.New("it cannot be scrolled into sight")
}

// view is what can be seen of all that the node lies in.
func (n *Node) view(ctx context.Context) (image.Rectangle, error) {
	view, err := n.surface().bounds(ctx)
	for p := n.Parent; err == nil && p != nil && p.Parent != nil && p != n.surface(); p = p.Parent {
		var around image.Rectangle
		if around, err = p.bounds(ctx); err == nil && !around.Empty() && !view.Intersect(around).Empty() {
			view = view.Intersect(around)
		}
	}
	return view, err
}

// pointAt moves the pointer to a place in the content of the window with the
// focus.
func (d *Desktop) pointAt(at image.Point) error {
	win := d.windows.top()
	if win == 0 {
		return errors.New("there is no window")
	}
	place, err := d.x.Place(win)
	if err != nil {
		return err
	}
	s := d.windows.shadow(win)
	return d.x.Point(place.Min.X+s[0]+at.X, place.Min.Y+s[2]+at.Y)
}

// click presses the left button on the node, and takes the pointer away again.
func (n *Node) click() error {
	if strings.HasPrefix(n.surface().Name, "GtkPopover") {
		return fmt.Errorf("%v is in a popover, whose place on the screen is not known: use keys", n)
	}
	if err := n.aim(); err != nil {
		return err
	}
	if err := n.d.x.Click(1); err != nil {
		return err
	}
	return n.d.x.Point(0, 0)
}

// aim puts the pointer on the node, which may move while a page fills.
func (n *Node) aim() error {
	for range wheelLimit {
		at, err := n.scroll()
		if err != nil {
			return err
		}
		if err := n.d.pointAt(at); err != nil {
			return err
		}
		time.Sleep(pause)
		if now, err := n.scroll(); err != nil || now == at {
			return err
		}
	}
	return errors.New("it does not keep still")
}
