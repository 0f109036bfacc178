//go:build gtk

// Package living counts the GObjects that live in this process, so that a test
// can tell whether what was closed is gone.
//
// It guarantees a count of all types only where GOBJECT_DEBUG=instance-count was
// in the environment when the process began; [Counted] tells.
package living

// #cgo pkg-config: gobject-2.0
// #include <glib-object.h>
// #include <malloc.h>
//
// static guint64 count(GType type) {
//	guint64 sum = g_type_get_instance_count(type);
//	guint n;
//	GType *children = g_type_children(type, &n);
//	for (guint i = 0; i < n; i++)
//		sum += count(children[i]);
//	g_free(children);
//	return sum;
// }
//
// static guint64 objects(void) { return count(G_TYPE_OBJECT); }
//
// static void each(GType type, void *to);
// extern void livingType(void *to, char *name, guint64 n);
// static void each(GType type, void *to) {
//	guint n;
//	livingType(to, (char *)g_type_name(type), g_type_get_instance_count(type));
//	GType *children = g_type_children(type, &n);
//	for (guint i = 0; i < n; i++)
//		each(children[i], to);
//	g_free(children);
// }
// static void types(guintptr to) { each(G_TYPE_OBJECT, (void *)to); }
import "C"

import (
	"os"
	"runtime/cgo"
	"strings"
	"unsafe"
)

// Variable makes GObject count; it is for the environment of the process.
const Variable = "GOBJECT_DEBUG=instance-count"

// Counted reports whether this process counts.
func Counted() bool { return strings.Contains(os.Getenv("GOBJECT_DEBUG"), "instance-count") }

// Objects is how many GObjects live now.
func Objects() int { return int(C.objects()) }

// Trim gives memory that is free back to the system, so that what is resident is
// what is used.
func Trim() { C.malloc_trim(0) }

// Types is how many of each type live now, by name.
func Types() map[string]int {
	types := map[string]int{}
	h := cgo.NewHandle(types)
	defer h.Delete()
	C.types(C.guintptr(h))
	return types
}

//export livingType
func livingType(to unsafe.Pointer, name *C.char, n C.guint64) {
	if types, ok := cgo.Handle(uintptr(to)).Value().(map[string]int); ok && n > 0 {
		types[C.GoString(name)] += int(n)
	}
}
