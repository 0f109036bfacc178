//go:build gtk

// Package frames writes down what a program that is built to be measured draws,
// when, and which keys come to it.
//
// It guarantees that no other program has it: all its code has the tag frames,
// and so has whatever uses it.
package frames
