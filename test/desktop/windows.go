package desktop

import (
	"fmt"
	"image"
	"slices"
	"sync"

	"qvmremote/test/desktop/x11"
)

// windows is a window manager without frames: what wants to be shown is shown
// in the middle, above the rest and with the focus, which goes back to the
// window below when it closes.
type windows struct {
	x     *x11.Conn
	atoms map[string]x11.Atom

	mu    sync.Mutex
	stack []x11.Window // shown, the upper ones last
}

// names are the atoms that are used.
var names = []string{
	"WM_STATE", "WM_PROTOCOLS", "WM_TAKE_FOCUS", "WM_DELETE_WINDOW", "WM_NORMAL_HINTS", "UTF8_STRING", "ATOM", "WINDOW",
	"CARDINAL", "_NET_SUPPORTED", "_NET_SUPPORTING_WM_CHECK", "_NET_WM_NAME", "_NET_ACTIVE_WINDOW", "_NET_CLIENT_LIST",
	"_NET_WM_CM_S0", "_GTK_FRAME_EXTENTS",
}

// manageWindows begins to manage; it ends with the connection.
func manageWindows(x *x11.Conn) (*windows, error) {
	w := &windows{x: x, atoms: map[string]x11.Atom{}}
	for _, name := range names {
		var err error
		if w.atoms[name], err = x.Atom(name); err != nil {
			return nil, err
		}
	}
	if err := x.Manage(); err != nil {
		return nil, fmt.Errorf("manage windows: %w", err)
	}
	if err := x.Redirect(); err != nil {
		return nil, fmt.Errorf("keep the pictures of windows: %w", err)
	}
	self, err := x.NewWindow()
	if err != nil {
		return nil, err
	}
	// Programs draw shadows and round corners where somebody composes; the
	// screenshots do.
	if err := x.OwnSelection(w.atoms["_NET_WM_CM_S0"], self); err != nil {
		return nil, err
	}
	for _, on := range []x11.Window{x.Root, self} {
		if err := x.SetWords(on, w.atoms["_NET_SUPPORTING_WM_CHECK"], w.atoms["WINDOW"], uint32(self)); err != nil {
			return nil, err
		}
	}
	if err := x.SetText(self, w.atoms["_NET_WM_NAME"], w.atoms["UTF8_STRING"], "test desktop"); err != nil {
		return nil, err
	}
	if err := x.SetWords(x.Root, w.atoms["_NET_SUPPORTED"], w.atoms["ATOM"],
		uint32(w.atoms["_NET_SUPPORTING_WM_CHECK"]), uint32(w.atoms["_NET_ACTIVE_WINDOW"]), uint32(w.atoms["_NET_CLIENT_LIST"]), uint32(w.atoms["_GTK_FRAME_EXTENTS"])); err != nil {
		return nil, err
	}
	go w.live()
	return w, x.Sync()
}

// live does what programs ask for. An error is a window that has gone, or the
// connection; the next event tells of either.
func (w *windows) live() {
	for {
		e, ok := w.x.Next()
		if !ok {
			return
		}
		switch e.Kind {
		case x11.MapRequest:
			_ = w.show(e.Window)
		case x11.ConfigureRequest:
			_ = w.x.Configure(e.Window, e.Mask, e.Values...)
		case x11.UnmapNotify, x11.DestroyNotify:
			_ = w.forget(e.Window)
		case x11.ClientMessage:
			if e.Type == w.atoms["_NET_ACTIVE_WINDOW"] {
				_ = w.focus(e.Window)
			}
		}
	}
}

func (w *windows) show(win x11.Window) error {
	place, err := w.x.Place(win)
	if err != nil {
		return err
	}
	const normal = 1
	if err := w.x.SetWords(win, w.atoms["WM_STATE"], w.atoms["WM_STATE"], normal, 0); err != nil {
		return err
	}
	left, top := max(w.x.Width-place.Dx(), 0)/2, max(w.x.Height-place.Dy(), 0)/2
	if err := w.x.Configure(win, x11.ConfigureX|x11.ConfigureY, uint32(left), uint32(top)); err != nil {
		return err
	}
	if err := w.x.Map(win); err != nil {
		return err
	}
	return w.focus(win)
}

// focus puts a window above the others and has it get the keys.
func (w *windows) focus(win x11.Window) error {
	w.mu.Lock()
	w.stack = append(slices.DeleteFunc(w.stack, func(o x11.Window) bool { return o == win }), win)
	w.mu.Unlock()
	if err := w.x.Raise(win); err != nil {
		return err
	}
	return w.give(win)
}

// give gives a window, or nobody, the focus.
func (w *windows) give(win x11.Window) error {
	if err := w.x.SetWords(w.x.Root, w.atoms["_NET_ACTIVE_WINDOW"], w.atoms["WINDOW"], uint32(win)); err != nil {
		return err
	}
	if err := w.x.SetWords(w.x.Root, w.atoms["_NET_CLIENT_LIST"], w.atoms["WINDOW"], w.list()...); err != nil {
		return err
	}
	if err := w.x.Focus(win); err != nil || win == 0 {
		return err
	}
	return w.protocol(win, "WM_TAKE_FOCUS")
}

// protocol sends a window a message, where it wants such.
func (w *windows) protocol(win x11.Window, name string) error {
	wanted, err := w.x.Words(win, w.atoms["WM_PROTOCOLS"])
	if err != nil || !slices.Contains(wanted, uint32(w.atoms[name])) {
		return err
	}
	return w.x.Tell(win, w.atoms["WM_PROTOCOLS"], uint32(w.atoms[name]), 0)
}

func (w *windows) forget(win x11.Window) error {
	w.mu.Lock()
	was := len(w.stack)
	w.stack = slices.DeleteFunc(w.stack, func(o x11.Window) bool { return o == win })
	now := len(w.stack)
	w.mu.Unlock()
	if was == now {
		return nil
	}
	return w.give(w.top())
}

func (w *windows) list() []uint32 {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []uint32
	for _, win := range w.stack {
		all = append(all, uint32(win))
	}
	return all
}

// top is the window with the focus, 0 where there is none.
func (w *windows) top() x11.Window {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.stack) == 0 {
		return 0
	}
	return w.stack[len(w.stack)-1]
}

// shadow is how far a window's own shadow reaches beyond what is its content:
// left, right, above, below.
func (w *windows) shadow(win x11.Window) [4]int {
	var s [4]int
	words, err := w.x.Words(win, w.atoms["_GTK_FRAME_EXTENTS"])
	if err != nil || len(words) < 4 {
		return s // it has none
	}
	for i := range s {
		s[i] = int(words[i])
	}
	return s
}

// smallest is the least size that a window wants to have, its shadow included.
func (w *windows) smallest(win x11.Window) image.Point {
	words, err := w.x.Words(win, w.atoms["WM_NORMAL_HINTS"])
	const minSize = 1 << 4
	if err != nil || len(words) < 7 || words[0]&minSize == 0 {
		return image.Point{}
	}
	return image.Pt(int(words[5]), int(words[6]))
}

// Resize gives the content of the window with the focus a size in pixels. A
// window that cannot have it fails the test.
func (d *Desktop) Resize(t T, width, height int) {
	t.Helper()
	win := d.window(t)
	s := d.windows.shadow(win)
	want := image.Pt(width+s[0]+s[1], height+s[2]+s[3])
	if least := d.windows.smallest(win); least.X > want.X || least.Y > want.Y {
		t.Fatalf("the window cannot be %d by %d: with its shadow that is %v, and it needs %v", width, height, want, least)
	}
	if err := d.x.Configure(win, x11.ConfigureWidth|x11.ConfigureHeight, uint32(want.X), uint32(want.Y)); err != nil {
		t.Fatalf("resize the window: %v", err)
	}
	Await(t, fmt.Sprintf("the window is %d by %d", width, height), func() bool {
		place, err := d.x.Place(win)
		return err == nil && place.Size() == want
	})
}

// Size is that of the content of the window with the focus.
func (d *Desktop) Size(t T) (width, height int) {
	t.Helper()
	win := d.window(t)
	place, err := d.x.Place(win)
	if err != nil {
		t.Fatalf("look at the window: %v", err)
	}
	s := d.windows.shadow(win)
	return place.Dx() - s[0] - s[1], place.Dy() - s[2] - s[3]
}

// CloseWindow closes the window with the focus, as its button in the corner
// does, and waits until it is gone.
func (d *Desktop) CloseWindow(t T) {
	t.Helper()
	win := d.window(t)
	if err := d.windows.protocol(win, "WM_DELETE_WINDOW"); err != nil {
		t.Fatalf("close the window: %v", err)
	}
	Await(t, "the window is gone", func() bool {
		return !slices.Contains(d.windows.list(), uint32(win))
	})
}

// window waits for the window with the focus.
func (d *Desktop) window(t T) x11.Window {
	t.Helper()
	Await(t, "there is a window", func() bool { return d.windows.top() != 0 })
	return d.windows.top()
}
