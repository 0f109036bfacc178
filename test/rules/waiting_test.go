package rules

import (
	"fmt"
	"go/ast"
	"go/token"
	"slices"
	"strings"
	"testing"
)

// What runs on the main loop of a desktop program must never wait. Here that is
// a rule about contexts: only a function that is handed one may wait, for the
// bus, a file, a channel or time, and only such a function may call another
// one. The packages of widgets hand contexts to what they run off the main loop
// and to nothing else.

// beforeTheLoop are functions that run before a main loop does, or after it.
var beforeTheLoop = []string{"main", "command", "Run", "Begin"}

// waitingPackages are those whose functions wait, but for some of them.
var waitingPackages = map[string][]string{
	"os": {"Environ", "Getenv", "Args", "Stderr"}, "io": nil, "net": nil, "os/exec": nil, "os/signal": nil,
}

// underGTK is what a main loop runs; ui/pieces holds its lock no longer than it
// takes to append to a list, and ui/i18n reads its file before there is a loop.
func underGTK(f *File) bool {
	return Under(f.Dir(), "ui", "gui/admin", "gui/client", "gui/frames", "gui/program", "cmd/qvm-remote-admin", "cmd/qvm-remote-gui") && !Under(f.Dir(), "ui/pieces", "ui/i18n") && !f.Test()
}

// takes reports whether a function has a parameter of that type: a context, or
// the client of the bus.
func takes(f *ast.FuncType, pkg, name string) bool {
	for _, p := range f.Params.List {
		t := p.Type
		if star, ok := t.(*ast.StarExpr); ok {
			t = star.X
		}
		if s, ok := t.(*ast.SelectorExpr); ok && s.Sel.Name == name {
			if x, ok := s.X.(*ast.Ident); ok && x.Name == pkg {
				return true
			}
		}
	}
	return false
}

// waits lists what waits where nothing may.
func waits(t *Tree) []string {
	workers := map[string]bool{} // declared functions that take a context
	for _, f := range t.Files {
		for _, d := range f.AST.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && underGTK(f) && takes(fn.Type, "context", "Context") {
				workers[fn.Name.Name] = true
			}
		}
	}
	var faults []string
	for _, f := range t.Files {
		if !underGTK(f) {
			continue
		}
		for _, d := range f.AST.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || fn.Body == nil || slices.Contains(beforeTheLoop, fn.Name.Name) {
				continue
			}
			w := waiting{tree: t, file: f, workers: workers}
			w.look(fn.Body, takes(fn.Type, "context", "Context"))
			faults = append(faults, w.faults...)
		}
	}
	return faults
}

type waiting struct {
	tree    *Tree
	file    *File
	workers map[string]bool
	faults  []string
}

func (w *waiting) fault(n ast.Node, what string) {
	w.faults = append(w.faults, fmt.Sprintf("%s %s, on the main loop", w.tree.At(w.file, n), what))
}

// look goes through the body of a function; may is that it may wait.
func (w *waiting) look(body ast.Node, may bool) {
	ast.Inspect(body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncLit:
			w.look(n.Body, takes(n.Type, "context", "Context"))
			return false
		case *ast.GoStmt:
			// What it calls is off the main loop, what it is handed is not.
			if lit, ok := n.Call.Fun.(*ast.FuncLit); ok {
				w.look(lit.Body, true)
			}
			for _, a := range n.Call.Args {
				w.look(a, may)
			}
			return false
		case *ast.UnaryExpr:
			if n.Op == token.ARROW && !may {
				w.fault(n, "receives")
			}
		case *ast.SelectStmt:
			if !may {
				w.fault(n, "selects")
			}
		case *ast.SendStmt:
			if !may {
				w.fault(n, "sends")
			}
		case *ast.CallExpr:
			if !may {
				w.call(n)
			}
		}
		return true
	})
}

func (w *waiting) call(c *ast.CallExpr) {
	switch fun := c.Fun.(type) {
	case *ast.Ident:
		if w.workers[fun.Name] {
			w.fault(c, "calls "+fun.Name+", which takes a context,")
		}
	case *ast.SelectorExpr:
		x, ok := fun.X.(*ast.Ident)
		switch {
		case fun.Sel.Name == "Wait" || fun.Sel.Name == "Lock":
			w.fault(c, "waits")
		case ok && x.Name == "time" && fun.Sel.Name == "Sleep":
			w.fault(c, "sleeps")
		case ok && w.imports(x.Name) != nil:
			if !slices.Contains(*w.imports(x.Name), fun.Sel.Name) {
				w.fault(c, "calls "+x.Name+"."+fun.Sel.Name)
			}
		case fun.Sel.Name == "quiet" || fun.Sel.Name == "asking":
			w.fault(c, "calls the bus")
		}
		if inner, ok := fun.X.(*ast.SelectorExpr); ok && (inner.Sel.Name == "quiet" || inner.Sel.Name == "asking") {
			w.fault(c, "calls the bus")
		} else if ok && inner.Sel.Name == "queue" {
			w.fault(c, "uses the queue")
		}
	}
}

// imports is what is allowed of the waiting package that goes by a name in the
// file; nil where the name is none.
func (w *waiting) imports(name string) *[]string {
	for _, p := range w.file.Imports() {
		if allowed, ok := waitingPackages[p]; ok && p[strings.LastIndex(p, "/")+1:] == name {
			return &allowed
		}
	}
	return nil
}

// TestNothingWaitsOnTheMainLoop: no handler of a desktop program calls the bus,
// reads a file or waits.
func TestNothingWaitsOnTheMainLoop(t *testing.T) {
	t.Parallel()
	tree := load(t)
	if !slices.ContainsFunc(tree.Files, underGTK) {
		t.Fatal("there is no desktop program")
	}
	report(t, waits(tree))
}

func TestWaitsAreFound(t *testing.T) {
	t.Parallel()
	finds(t, 8, waits(sample(t, map[string]string{
		"gui/admin/a.go": `package admin
import ("context"; "os"; "time"; "qvmremote/dbus")
func work(ctx context.Context, c *dbus.Client) error { time.Sleep(1); return c.Pause(ctx) }
func fine(d *desk) {
	look(d, func(ctx context.Context, c *dbus.Client) error { <-ctx.Done(); return work(ctx, c) })
	go func() { <-make(chan int) }()
	_ = os.Getenv("HOME")
}
func wrong(d *desk, ch chan int) {
	<-ch
	time.Sleep(1)
	_, _ = os.ReadFile("x")
	_ = work(nil, nil)
	d.quiet.Pause(nil)
	_ = d.queue.Prepare()
	_ = d.queue.Layout.Key() + queue.Escape("x", 1)
	button(func() { select {} })
	ch <- 1
}`,
	})))
}

// idles lists what the main loop does only once nothing is to be drawn. Without a
// graphics card a spinner alone keeps that from ever coming: ui.Turn is in turn
// with drawing.
func idles(t *Tree) (faults []string) {
	for _, f := range t.Files {
		if !underGTK(f) {
			continue
		}
		ast.Inspect(f.AST, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok && (s.Sel.Name == "IdleAdd" || s.Sel.Name == "IdleAddOnce") {
				faults = append(faults, t.At(f, s)+" calls "+s.Sel.Name+", which waits until nothing is drawn: use ui.Turn")
			}
			return true
		})
	}
	return faults
}

func TestNothingWaitsForDrawingToEnd(t *testing.T) {
	t.Parallel()
	report(t, idles(load(t)))
}

func TestIdlesAreFound(t *testing.T) {
	t.Parallel()
	finds(t, 2, idles(sample(t, map[string]string{
		"ui/a.go": `package ui
import "github.com/diamondburned/gotk4/pkg/core/glib"
func wrong() { glib.IdleAdd(func() {}); coreglib.IdleAddOnce(f) }
func fine() { glib.IdleAddPriority(drawing, f) }`,
	})))
}
