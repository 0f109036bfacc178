//go:build gtk

// Package living counts the GObjects that live in this process, and the memory
// in use outside Go's heap, so that a test can tell whether what was closed is
// gone.
//
// It guarantees that every GObject is counted, with any build of GLib: its own
// counter (GOBJECT_DEBUG=instance-count) is left out of what distributions ship,
// and says 0.
package living

// #cgo pkg-config: gobject-2.0
// #include <malloc.h>
// #include "living.h"
import "C"

import "runtime/cgo"

// Types is how many of each type live now, by name.
func Types() map[string]int {
	types := map[string]int{}
	h := cgo.NewHandle(types)
	defer h.Delete()
	C.living_types(C.uintptr_t(h))
	return types
}

//export livingType
func livingType(to C.uintptr_t, name *C.char) {
	if types, ok := cgo.Handle(to).Value().(map[string]int); ok {
		types[C.GoString(name)]++
	}
}

// Allocated is what malloc has given out and not got back, in bytes.
func Allocated() int {
	m := C.mallinfo2()
	return int(m.uordblks + m.hblkhd)
}
