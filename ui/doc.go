//go:build gtk

// Package ui is the widgets and the ways of working that the desktop programs
// share. It knows nothing of the bus, of dom0's files or of the queue in a
// qube; all it takes from package queue is how foreign text is escaped.
//
// It guarantees: text is shown as text, never as markup; a view that does not
// have what its Go struct names fails when it is loaded, not later ([Fill]);
// work off the main loop ends with the page that wanted it, and what it found
// is shown by the main loop alone ([Async]); a page that is closed leaves no
// GObject behind ([Scope]).
package ui
