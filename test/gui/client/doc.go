// Package client tests the qube's desktop program as its user sees it: on a
// screen of its own, by what assistive technology finds there, in a qube of a
// simulated dom0 whose real service runs. Each test also looks at what became of
// it outside the program.
package client
