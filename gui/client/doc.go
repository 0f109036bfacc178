//go:build gtk

// Package client is the desktop program of a qube: its window, its pages and
// dialogs. All it knows and does goes through the qube's own queue.
//
// It guarantees: no handler waits (what reads files or waits for dom0 runs in
// [ui.Async] alone, which a test of the repository holds); nothing is asked of
// dom0 but what a person sends; what dom0 did not sign is marked as unverified
// wherever it is shown; and what came from files is shown as text.
package client
