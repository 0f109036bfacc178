package desktop

import (
	"fmt"
	"image"
	"strings"
	"unicode/utf8"

	"qvmremote/test/desktop/x11"
)

// keys are the keys that type nothing, by the names that GTK gives them, in
// lower case.
var keys = map[string]x11.Keysym{
	"backspace": 0xff08, "tab": 0xff09, "return": 0xff0d, "escape": 0xff1b, "delete": 0xffff, "space": ' ',
	"home": 0xff50, "left": 0xff51, "up": 0xff52, "right": 0xff53, "down": 0xff54, "page_up": 0xff55, "page_down": 0xff56, "end": 0xff57,
	"f1": 0xffbe, "f2": 0xffbf, "f3": 0xffc0, "f4": 0xffc1, "f5": 0xffc2, "f6": 0xffc3,
	"f7": 0xffc4, "f8": 0xffc5, "f9": 0xffc6, "f10": 0xffc7, "f11": 0xffc8, "f12": 0xffc9,
	"plus": '+', "minus": '-', "comma": ',', "question": '?', "menu": 0xff67,
}

var held = map[string]x11.Keysym{"shift": x11.Shift, "ctrl": x11.Control, "alt": x11.Alt}

// Key presses a key, with others held: "Return", "ctrl+f", "shift+Tab". It goes
// to whatever has the focus.
func (d *Desktop) Key(t T, combination string) {
	t.Helper()
	sym, with, err := parse(combination)
	if err == nil {
		err = d.x.Press(sym, with...)
	}
	if err != nil {
		t.Fatalf("press %s: %v", combination, err)
	}
}

func parse(combination string) (x11.Keysym, []x11.Keysym, error) {
	words := strings.Split(combination, "+")
	var with []x11.Keysym
	for _, w := range words[:len(words)-1] {
		sym, ok := held[strings.ToLower(w)]
		if !ok {
			return 0, nil, fmt.Errorf("%q is no key that is held", w)
		}
		with = append(with, sym)
	}
	last := words[len(words)-1]
	if sym, ok := keys[strings.ToLower(last)]; ok {
		return sym, with, nil
	}
	if r, size := utf8.DecodeRuneInString(last); size > 0 && size == len(last) {
		return x11.SymOf(r), with, nil
	}
	return 0, nil, fmt.Errorf("%q is no key", last)
}

// Hold presses a key and keeps it down, or once more where it is down, as a
// keyboard repeats it; LetGo ends that.
func (d *Desktop) Hold(t T, key string) { d.hold(t, key, true) }

// LetGo lets a key go that is held.
func (d *Desktop) LetGo(t T, key string) { d.hold(t, key, false) }

func (d *Desktop) hold(t T, key string, down bool) {
	t.Helper()
	sym, _, err := parse(key)
	if err == nil {
		err = d.x.Hold(sym, down)
	}
	if err != nil {
		t.Fatalf("hold %s, down is %v: %v", key, down, err)
	}
}

// Type types text, key by key, into whatever has the focus.
func (d *Desktop) Type(t T, text string) {
	t.Helper()
	for _, r := range text {
		if err := d.x.Press(x11.SymOf(r)); err != nil {
			t.Fatalf("type %q: %v", r, err)
		}
	}
}

// Point moves the pointer over the window with the focus: x and y from the
// corner of its content.
func (d *Desktop) Point(t T, x, y int) {
	t.Helper()
	if err := d.pointAt(image.Pt(x, y)); err != nil {
		t.Fatalf("move the pointer: %v", err)
	}
}

// Click presses a button of the pointer where it is: 1 is the left one, 4 and 5
// turn the wheel up and down.
func (d *Desktop) Click(t T, button int) {
	t.Helper()
	if err := d.x.Click(byte(button)); err != nil {
		t.Fatalf("press button %d of the pointer: %v", button, err)
	}
}

// ChooseFile picks a file that is there in the dialog, GTK's own without a name, which
// a button of app opens.
func (d *Desktop) ChooseFile(t T, app *Node, button, path string) {
	t.Helper()
	app.Find(t, "button", button).Press(t)
	app.Find(t, "button", "Choose")
	d.Key(t, "ctrl+l")
	Await(t, "a path can be typed", func() bool { return strings.Contains(app.Focused(t).Role, "text") })
	app.Focused(t).SetText(t, path)
	d.Key(t, "Return")
	app.Gone(t, "button", "Choose")
}
