// Package gui tests the desktop programs as their users use them: the real
// program, on a screen of its own, against the real service in a simulated
// dom0, found and pressed by what a screen reader sees.
//
// Its tests assert what came of it outside the program: on the bus, in a file,
// among dom0's processes. They need the build tag gtk.
package gui
