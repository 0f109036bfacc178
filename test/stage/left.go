//go:build gtk

package stage

import (
	"fmt"
	"maps"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"testing"
	"time"

	"github.com/diamondburned/gotk4/pkg/glib/v2"

	"qvmremote/test/living"
)

const (
	most   = 4 << 20 // bytes that a hundred times may leave
	few    = 10      // objects of one type that they may: GTK keeps some styles and icons
	rounds = 3       // of a hundred, where one left more
)

// NothingLeft fails the test where a step, such as to open and close a page,
// leaves objects or memory behind when it is done a hundred times.
func NothingLeft(t *testing.T, name string, step func()) {
	t.Helper()
	for range 25 { // the heap takes its size by and by
		step()
		Settle()
	}
	collect()
	// A leak leaves as much each time; a heap that finds its size does not, nor a
	// cache.
	var grown, used []int
	var left map[string]int
	for round := range rounds {
		types, memory, allocated := living.Types(), resident(t), living.Allocated()
		for range 100 {
			step()
			Settle()
		}
		collect()
		more := growth(types, living.Types())
		if round > 0 {
			maps.DeleteFunc(more, func(name string, _ int) bool { return left[name] == 0 })
		}
		left = more
		grown = append(grown, resident(t)-memory)
		used = append(used, living.Allocated()-allocated)
		if len(left) == 0 && grown[round] <= most {
			return
		}
	}
	if len(left) > 0 {
		t.Errorf("%s: objects are left each time: %v", name, left)
	}
	if slices.Min(grown) > most {
		t.Errorf("%s: more memory is left each time: %d bytes, of which malloc has given out %d", name, grown, used)
	}
}

// collect lets everything that is due happen, and what is not used go.
func collect() {
	for range 20 {
		for end := time.Now().Add(10 * time.Millisecond); time.Now().Before(end); {
			glib.MainContextDefault().Iteration(false)
		}
		runtime.GC()
	}
}

// resident is the memory of this process, in bytes.
func resident(t *testing.T) int {
	t.Helper()
	debug.FreeOSMemory()
	living.Trim()
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Fatal(err)
	}
	var size, pages int
	if _, err := fmt.Sscan(string(text), &size, &pages); err != nil {
		t.Fatal(err)
	}
	return pages * os.Getpagesize()
}

// growth is of which types there are more after than before, and how many.
func growth(before, after map[string]int) map[string]int {
	more := map[string]int{}
	for name, n := range after {
		if d := n - before[name]; d > few {
			more[name] = d
		}
	}
	return more
}
