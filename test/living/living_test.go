//go:build gtk

package living_test

import (
	"runtime"
	"testing"
	"time"

	"github.com/diamondburned/gotk4/pkg/gio/v2"
	"github.com/diamondburned/gotk4/pkg/glib/v2"

	"qvmremote/test/living"
)

// TestOneIsCounted until nothing holds it.
func TestOneIsCounted(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before := living.Types()["GSimpleAction"]
	held := []*gio.SimpleAction{gio.NewSimpleAction("one", nil), gio.NewSimpleAction("two", nil)}
	if n := living.Types()["GSimpleAction"]; n != before+2 {
		t.Fatalf("%d actions more than before, of 2", n-before)
	}
	runtime.KeepAlive(held)
	held = nil
	for late := time.Now().Add(10 * time.Second); living.Types()["GSimpleAction"] > before; {
		if time.Now().After(late) {
			t.Fatalf("%d actions are counted after they were let go", living.Types()["GSimpleAction"]-before)
		}
		runtime.GC()
		glib.MainContextDefault().Iteration(false)
	}
}
