// Command screenshots runs dom0's desktop program on a screen of its own, on a
// simulated dom0 with life in it, and takes a picture of each page and dialog:
// light, dark, with high contrast, and 360 pixels wide. Usage: screenshots
// FOLDER [NAME…], with the programs in bin/; names, such as dark-activity, are
// the pictures that are wanted, all where there are none.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"qvmremote/gui/prefs"
	"qvmremote/test/desktop"
	"qvmremote/test/life"
)

// limit bounds the whole.
const limit = 20 * time.Minute

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: screenshots FOLDER [NAME…]")
		os.Exit(2)
	}
	ctx, stop := context.WithTimeout(context.Background(), limit)
	defer stop()
	if err := run(ctx, os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "screenshots:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, folder string) error {
	bin, err := filepath.Abs("bin")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	house, err := life.New(ctx, life.Options{Programs: life.In(bin), History: true, Running: true})
	if err != nil {
		return err
	}
	defer house.Close()
	// Pages with a service that does not run, and none at all, come last.
	for _, look := range looks {
		if err := look.shoot(house.BusAddress, bin, folder, scenes); err != nil {
			return err
		}
	}
	if err := house.Stop(ctx); err != nil {
		return err
	}
	if err := looks[0].shoot(house.BusAddress, bin, folder, []scene{{"stopped", "overview", "", nil}}); err != nil {
		return err
	}
	return looks[0].shoot("unix:path=/nonexistent", bin, folder, []scene{{"no-bus", "overview", "There is no connection to the message bus", nil}})
}

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
	{"narrow", "light", false, 360, 720},
}

// scene is one picture: a page, something that is there once it is ready, and
// what is done before.
type scene struct {
	name, page, ready string
	act               func(*stage)
}

var scenes = []scene{
	{"overview", "overview", "Last events", nil},
	{"boot", "overview", "", func(s *stage) { s.press("switch", "Start at boot*"); s.find("dialog", "Start at boot?") }},
	{"stop-everything", "overview", "", func(s *stage) { s.press("button", "Stop everything*"); s.find("dialog", "Stop everything?") }},
	{"qubes", "qubes", "work, label*", nil},
	{"qube", "qubes", "", func(s *stage) { s.press("list item", "work, label*"); s.find("label", "Fingerprint") }},
	{"authorise", "qubes", "", func(s *stage) { s.press("button", "Authorise…*"); s.find("list item", "vault, label*") }},
	{"authorise-way", "qubes", "", func(s *stage) {
		s.choose("personal")
	}},
	{"authorise-compare", "qubes", "", func(s *stage) {
		dialog := s.choose("personal")
		dialog.Find(s, "checkbox", "Fetch the one it has*").Press(s)
		dialog.Find(s, "button", "Next*").Press(s)
		dialog.Find(s, "checkbox", "The qube shows*")
	}},
	{"activity", "activity", "Verify and export*", nil},
	{"record", "activity", "", func(s *stage) {
		s.find("button", "Verify and export*")
		s.desktop.Key(s, "Down")
		s.desktop.Key(s, "Return")
		s.find("button", "Back*")
	}},
	{"search", "activity", "", func(s *stage) {
		s.find("search box", "Search what happened").SetText(s, "nothing like this")
	}},
	{"shortcuts", "overview", "", func(s *stage) { s.find("label", "Last events"); s.desktop.Key(s, "F1") }},
}

// stage is one run of the program; what goes wrong in it ends it.
type stage struct {
	desktop *desktop.Desktop
	app     *desktop.Node
}

// failure is what Fatalf panics with, for shoot to catch.
type failure string

func (s *stage) Helper() {}

func (s *stage) Fatalf(format string, args ...any) { panic(failure(fmt.Sprintf(format, args...))) }

func (s *stage) find(role, name string) *desktop.Node { return s.app.Find(s, role, name) }

func (s *stage) press(role, name string) { s.find(role, name).Press(s) }

// choose picks a qube in the dialog that authorises one. (The page behind it has
// rows of the same names.)
func (s *stage) choose(qube string) *desktop.Node {
	s.press("button", "Authorise…*")
	dialog := s.find("dialog", "Authorise a qube")
	dialog.Find(s, "list item", qube+", label*").Press(s)
	dialog.Find(s, "label", "Where its key comes from")
	return dialog
}

// shoot takes the pictures of one look, each of a fresh start.
func (l look) shoot(bus, bin, folder string, scenes []scene) error {
	for _, sc := range scenes {
		name := l.name + "-" + sc.name
		if len(os.Args) > 2 && !slices.Contains(os.Args[2:], name) {
			continue
		}
		path := filepath.Join(folder, name+".png")
		if err := l.picture(bus, bin, path, sc); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		fmt.Println(path)
	}
	return nil
}

func (l look) picture(bus, bin, path string, sc scene) (err error) {
	d, err := desktop.New(desktop.Options{Width: 1280, Height: 900})
	if err != nil {
		return err
	}
	defer d.Close()
	s := &stage{desktop: d}
	defer func() {
		if f, ok := recover().(failure); ok {
			err = fmt.Errorf("%s", string(f))
		}
	}()
	if err := l.prepare(d); err != nil {
		return err
	}
	d.Launch(s, []string{"QVM_REMOTE_BUS=" + bus}, filepath.Join(bin, "qvm-remote-admin"), "--page", sc.page)
	s.app = d.App(s, "qvm-remote-admin")
	if sc.ready != "" {
		s.find("", sc.ready)
	}
	if sc.act != nil {
		sc.act(s)
	}
	return d.Screenshot(path)
}

// prepare leaves the window as a person would have left it.
func (l look) prepare(d *desktop.Desktop) error {
	p := prefs.Default()
	p.Width, p.Height, p.Style, p.HighContrast = l.width, l.height, l.style, l.contrast
	for _, v := range d.Env() {
		if dir, ok := strings.CutPrefix(v, "XDG_CONFIG_HOME="); ok {
			return p.Save(filepath.Join(dir, "qvm-remote", "admin.conf"))
		}
	}
	return fmt.Errorf("the desktop has no folder for settings")
}
