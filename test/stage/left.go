//go:build gtk

package stage

import (
	"maps"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/diamondburned/gotk4/pkg/glib/v2"

	"qvmremote/test/living"
)

const (
	most   = 1 << 20 // bytes that a hundred times may leave in use
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
	// A leak leaves as much each time; a cache does not, nor a list that grows.
	var grown []int
	var left map[string]int
	for round := range rounds {
		types, memory := living.Types(), inUse()
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
		grown = append(grown, inUse()-memory)
		if len(left) == 0 && grown[round] <= most {
			return
		}
	}
	if len(left) > 0 {
		t.Errorf("%s: objects are left each time: %v", name, left)
	}
	if slices.Min(grown) > most {
		t.Errorf("%s: more memory is in use each time: %d bytes", name, grown)
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

// inUse is the memory that malloc and Go have given out and not got back, in
// bytes. What is resident is more by what is free between the two: it swings by
// 10 MiB over hundred rows that come and go, and stays there, while this does not.
func inUse() int {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return living.Allocated() + int(m.HeapAlloc)
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
