//go:build gtk

// Package stage gives tests of widgets what they need in their own process: a
// screen that nobody sees, a GTK that is initialised, a main loop that runs when
// the test says so, and an ear for what GTK warns of.
//
// It guarantees that a test meets neither the machine's display nor its buses,
// and that whatever GTK warns of while a test is on the stage fails that test.
package stage

// #cgo pkg-config: gtk4
// #include <stdlib.h>
// #include "stage.h"
import "C"

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"

	"github.com/diamondburned/gotk4-adwaita/pkg/adw"
	coreglib "github.com/diamondburned/gotk4/pkg/core/glib"
	"github.com/diamondburned/gotk4/pkg/glib/v2"
	"github.com/diamondburned/gotk4/pkg/gtk/v4"

	"qvmremote/resources"
	"qvmremote/test/desktop"
)

// here is set in the environment of a program that is on the stage.
const here = "QVM_REMOTE_TEST_STAGE"

// Main is for a package's TestMain: it runs this program once more, on a desktop
// of its own, and the tests there.
func Main(m *testing.M) {
	if os.Getenv(here) != "" {
		os.Exit(m.Run())
	}
	os.Exit(onScreen())
}

func onScreen() int {
	d, err := desktop.New(desktop.Options{})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer d.Close()
	cmd := exec.Command(os.Args[0], os.Args[1:]...)
	// GLib before 2.76 takes small blocks from pages of its own, of which it gives
	// few back: what stays is the most that was in use at a time, such as what Go's
	// collector had not come to. That has an end: of 800 dialogs, collected after
	// each hundred, 13.0 MiB stayed after the first hundred and 13.5 after the last.
	cmd.Env = append(d.Env(), here+"=1", "G_SLICE=always-malloc")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

var begin = sync.OnceValue(func() error {
	if !gtk.InitCheck() {
		return errors.New("there is no screen: the package's TestMain has to be stage.Main")
	}
	adw.Init()
	slog.SetDefault(slog.New(&ear{Handler: slog.NewTextHandler(os.Stderr, nil)}))
	return resources.Register()
})

// Enter initialises GTK where no test did before, and keeps the test on one
// thread: GTK is not for several at once, and GLib keeps freed memory for the
// thread that freed it. No such test is parallel.
func Enter(t testing.TB) {
	t.Helper()
	runtime.LockOSThread()
	if err := begin(); err != nil {
		t.Fatal(err)
	}
	Warned()
	t.Cleanup(func() {
		Settle()
		if said := Warned(); said != "" {
			t.Errorf("GTK warns:\n%s", said)
		}
		runtime.UnlockOSThread()
	})
}

// Warned is what GTK warned of since it was asked last, or since the test
// entered; what is returned fails no test.
func Warned() string {
	warned.Lock()
	defer warned.Unlock()
	defer warned.Reset()
	return warned.String()
}

var warned struct {
	sync.Mutex
	strings.Builder
}

// ear hears what GTK logs: the bindings hand it to slog.
type ear struct{ slog.Handler }

// Handle is for slog.
func (e *ear) Handle(ctx context.Context, r slog.Record) error {
	if r.Level >= slog.LevelWarn {
		warned.Lock()
		warned.WriteString(r.Message + "\n")
		warned.Unlock()
	}
	return e.Handler.Handle(ctx, r)
}

// Settle lets everything happen that is due now.
func Settle() {
	for glib.MainContextDefault().Iteration(false) {
	}
}

// limit bounds every wait.
const limit = time.Minute

// Until lets things happen until it is so.
func Until(t testing.TB, what string, so func() bool) {
	t.Helper()
	for late := time.Now().Add(limit); !so(); {
		if time.Now().After(late) {
			t.Fatalf("after %v it is still not so: %s", limit, what)
		}
		if !glib.MainContextDefault().Iteration(false) {
			time.Sleep(time.Millisecond)
		}
	}
}

// Name fails the test unless a screen reader calls the widget that.
func Name(t testing.TB, w coreglib.Objector, want string) {
	t.Helper()
	accessible(t, w, false, want)
}

// Description fails the test unless that is what a screen reader says after the
// widget's name.
func Description(t testing.TB, w coreglib.Objector, want string) {
	t.Helper()
	accessible(t, w, true, want)
}

func accessible(t testing.TB, w coreglib.Objector, description bool, want string) {
	t.Helper()
	text := C.CString(want)
	defer C.free(unsafe.Pointer(text))
	which := C.gboolean(0)
	if description {
		which = 1
	}
	has := C.qvm_stage_accessible(C.guintptr(coreglib.BaseObject(w).Native()), which, text)
	if has != nil {
		defer C.free(unsafe.Pointer(has))
		t.Errorf("a screen reader says %s, not %q", C.GoString(has), want)
	}
	runtime.KeepAlive(w)
}
