//go:build gtk && !frames

package client

// logFrames does nothing but in a program that is built to be measured, see
// frames.go.
func (*window) logFrames() {}
