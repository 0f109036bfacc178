package main

import (
	"errors"
	"fmt"
	"path/filepath"

	"qvmremote/gui/prefs"
	"qvmremote/test/desktop"
)

// look is one way the program may look.
type look struct {
	name          string
	style         string
	contrast      bool
	width, height int
}

var looks = []look{
	{"light", "light", false, 1040, 760},
	{"dark", "dark", false, 1040, 760},
	{"contrast", "light", true, 1040, 760},
	{"dark-contrast", "dark", true, 1040, 760},
	{"narrow", "light", false, 360, 720},
}

// narrow says that the sidebar is folded away.
func (l look) narrow() bool { return l.width < 600 }

// shows says that a scene is taken in this look.
func (l look) shows(sc scene) bool {
	if l.narrow() {
		return !sc.wide
	}
	return !sc.narrow && (l == looks[0] || !sc.minor)
}

// stage is one run of the program; what goes wrong in it ends it.
type stage struct {
	desktop *desktop.Desktop
	app     *desktop.Node
	house   *home
	look    look
	run     *desktop.Program
	undo    []func() // what was changed in the house
}

// failure is what Fatalf panics with, for take to catch.
type failure string

// Helper has a stage stand for a test.
func (s *stage) Helper() {}

// Fatalf ends the run.
func (s *stage) Fatalf(format string, args ...any) { panic(failure(fmt.Sprintf(format, args...))) }

func (s *stage) must(err error) {
	if err != nil {
		s.Fatalf("%v", err)
	}
}

func (s *stage) find(role, name string) *desktop.Node { return s.app.Find(s, role, name) }

func (s *stage) press(role, name string) { s.find(role, name).Press(s) }

func (s *stage) key(combinations ...string) {
	for _, k := range combinations {
		s.desktop.Key(s, k)
	}
}

// down goes to the end of the page.
func (s *stage) down() { s.turn(40) }

// turn turns the wheel over the page.
func (s *stage) turn(times int) {
	width, height := s.desktop.Size(s)
	s.desktop.Point(s, width*3/4, height*3/4)
	for range times {
		s.desktop.Click(s, 5)
	}
	s.desktop.Point(s, width, height) // or what is there is lit
}

// choose picks a qube in the dialog that authorises one. (The page behind it has
// rows of the same names.)
func (s *stage) choose(qube string) *desktop.Node {
	s.press("button", "Authorise…*")
	dialog := s.find("dialog", "Authorise a qube")
	dialog.Find(s, "list item", qube+"*").Press(s)
	dialog.Find(s, "label", "Where its key comes from")
	return dialog
}

// take takes one picture, of a fresh start.
func (s *studio) take(address string, one shot) (err error) {
	which, env := "admin", []string(nil)
	if one.guest {
		which, env = "gui", []string{"HOME=" + s.guest.QubePath("work", "home")}
	}
	d, err := desktop.New(desktop.Options{Width: 1280, Height: 960, Root: one.root, Env: env})
	if err != nil {
		return err
	}
	defer d.Close()
	st := &stage{desktop: d, house: s.house, look: one.look}
	if one.guest {
		st.house = s.guest
	}
	defer func() {
		f, ok := recover().(failure)
		if !ok {
			return
		}
		err = errors.New(string(f))
		if st.run != nil && st.run.Said() != "" {
			err = fmt.Errorf("%w\nthe program said:\n%s", err, st.run.Said())
		}
	}()
	defer func() {
		for i := len(st.undo) - 1; i >= 0; i-- {
			st.undo[i]()
		}
	}()
	if err := one.prepare(d); err != nil {
		return err
	}
	program := "qvm-remote-" + which
	st.run = d.Launch(st, []string{"QVM_REMOTE_BUS=" + address}, filepath.Join(s.bin, program), "--page", one.page)
	st.app = d.App(st, program)
	one.act(st)
	return d.Screenshot(one.path())
}

// prepare leaves the window as a person would have left it.
func (l look) prepare(d *desktop.Desktop) error {
	p := prefs.Default()
	p.Width, p.Height, p.Style, p.HighContrast = l.width, l.height, l.style, l.contrast
	for _, name := range []string{"admin.conf", "client.conf"} {
		if err := p.Save(filepath.Join(d.Config(), "qvm-remote", name)); err != nil {
			return err
		}
	}
	return nil
}
