//go:build gtk

// Package admin is the desktop program of dom0: its window, its pages and
// dialogs. All it knows and does goes over the bus.
//
// It guarantees: no handler waits (calls are made in [desk.look] and [desk.act]
// alone, which a test of the repository holds); what is shown as the service's
// state is what the service said last, never what somebody just pressed; what a
// qube wrote is shown as text; and opening the program starts nothing.
package admin
