//go:build gtk

package desktop

import (
	"fmt"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestSample(t *testing.T) {
	t.Parallel()
	program := filepath.Join(t.TempDir(), "sample")
	build := exec.Command("go", "build", "-tags", "gtk", "-trimpath", "-buildvcs=false", "-o", program, "./sample")
	build.Env = append(os.Environ(), "CC=clang")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the sample: %v\n%s", err, out)
	}
	for name, test := range map[string]func(*testing.T, string){
		"what is pressed and written": pressed, "keys and pages": keysAndPages, "dialogs and windows": dialogs,
	} {
		t.Run(name, func(t *testing.T) { t.Parallel(); test(t, program) })
	}
}

// show shows the sample on a desktop of its own and waits for it.
func show(t *testing.T, program string) (*Desktop, *Program, *Node) {
	t.Helper()
	d := Start(t)
	p := d.Launch(t, nil, program)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the program said:\n%s", p.Said())
		}
	})
	app := d.App(t, "sample")
	app.Find(t, "button", "Ask")
	return d, p, app
}

// hears waits until the program has printed a line.
func hears(t *testing.T, p *Program, line string) {
	t.Helper()
	Await(t, "the program prints "+line, func() bool { return strings.Contains(p.Said(), line+"\n") })
}

func pressed(t *testing.T, program string) {
	d, p, app := show(t, program)
	app.Find(t, "switch", "Lights").Toggle(t)
	hears(t, p, "lights")
	app.Find(t, "checkbox", "Agree").Toggle(t)
	hears(t, p, "agreed")
	app.Find(t, "list item", "Blue").Press(t)
	hears(t, p, "opened 1")
	app.Find(t, "list item", "Red").Select(t)
	hears(t, p, "selected 0")
	words := app.Find(t, "text box", "Words")
	words.SetText(t, "by hand")
	hears(t, p, `wrote "by hand"`)
	words.Focus(t)
	d.Key(t, "ctrl+a")
	d.Type(t, "Typed: ä€ & <b>")
	hears(t, p, `wrote "Typed: ä€ & <b>"`)
	if text := words.Text(t); text != "Typed: ä€ & <b>" {
		t.Errorf("the field has %q", text)
	}
	if f := app.Focused(t); f.Name != "Words" {
		t.Errorf("the focus is on %v", f)
	}
	app.Find(t, "text box", "Other").SetText(t, "in a row")
	if text := app.Find(t, "text box", "Other").Text(t); text != "in a row" {
		t.Errorf("the row has %q", text)
	}
	scale := app.Find(t, "slider", "Loudness")
	scale.SetValue(t, 7)
	if v := scale.Value(t); v != 7 {
		t.Errorf("the scale is at %v", v)
	}
	app.Find(t, "button", "More").Press(t)
	app.Find(t, "button", "Wink").Press(t)
	hears(t, p, "winked")
	fails(t, func(o T) { app.Find(t, "button", "Never").Press(o) })
	if said := fails(t, func(o T) { d.App(o, "simple") }); !strings.Contains(said, `"sample"`) {
		t.Errorf("who waits for another application is not told of this one: %s", said)
	}
}

func keysAndPages(t *testing.T, program string) {
	d, p, app := show(t, program)
	app.Find(t, "label", "The first page")
	if n := app.FindAll(t, "label", "The second page"); len(n) != 0 {
		t.Errorf("what was never shown is found: %v", n)
	}
	d.Key(t, "ctrl+2")
	hears(t, p, "key 2 4")
	app.Find(t, "label", "The second page")
	app.Gone(t, "label", "The first page")
	var dump strings.Builder
	if err := app.Dump(&dump); err != nil || !strings.Contains(dump.String(), `button "Never" (insensitive)`) {
		t.Errorf("the tree, %v:\n%s", err, dump.String())
	}
}

func dialogs(t *testing.T, program string) {
	d, p, app := show(t, program)
	app.Find(t, "button", "Ask").Press(t)
	dialog := app.Find(t, "dialog", "Really?")
	if n := dialog.FindAll(t, "button", "Cancel"); len(n) != 1 {
		t.Errorf("a message dialog has %d buttons to cancel: %v", len(n), n)
	}
	if f := app.Focused(t); f.Name != "Type yes" {
		t.Errorf("the focus is on %v", f)
	}
	d.Type(t, "yes")
	hears(t, p, `typed "yes"`)
	d.Key(t, "Escape")
	hears(t, p, "answered close")
	app.Gone(t, "dialog", "")

	d.Resize(t, 360, 640)
	if w, h := d.Size(t); w != 360 || h != 640 {
		t.Errorf("the window is %d by %d", w, h)
	}
	Await(t, "the program has it, too", func() bool {
		return app.Find(t, "window", "Sample").Bounds(t).Dx() == 360
	})
	fails(t, func(o T) { d.Resize(o, 10, 10) })
	picture(t, d)

	d.CloseWindow(t)
	hears(t, p, "closed")
	if err := p.Wait(t); err != nil {
		t.Errorf("the program ended: %v", err)
	}
	app.Gone(t, "button", "Ask")
}

// picture takes a screenshot, which has the window and its shadow.
func picture(t *testing.T, d *Desktop) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "a.png")
	if err := d.Screenshot(path); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	m, err := png.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	b := m.Bounds()
	if b.Dx() < 360 || b.Dy() < 640 || b.Dx() > 700 {
		t.Errorf("a window of 360 by 640 in a picture of %v", b)
	}
	_, _, _, corner := m.At(b.Min.X, b.Min.Y).RGBA()
	_, _, _, inside := m.At(b.Min.X+b.Dx()/2, b.Min.Y+b.Dy()/2).RGBA()
	if corner == 0xffff || inside != 0xffff {
		t.Errorf("the corner has opacity %#x, the middle %#x", corner, inside)
	}
}

// others stands for a test, for what it says when it fails.
type others struct{ said string }

func (*others) Helper() {}

func (o *others) Fatalf(format string, args ...any) {
	o.said = fmt.Sprintf(format, args...)
	panic(o)
}

// fails runs what, which has to fail, and returns what it says then.
func fails(t *testing.T, what func(t T)) string {
	t.Helper()
	o := &others{}
	func() {
		defer func() {
			if r := recover(); r != nil && r != any(o) {
				panic(r)
			}
		}()
		what(o)
	}()
	if o.said == "" {
		t.Error("it did not fail")
	}
	return o.said
}
