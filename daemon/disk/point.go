//go:build !crashpoints

package disk

// Point names a moment between two steps that must not be confused by a crash.
// In a normal build it does nothing; built with the tag crashpoints the process
// kills itself at the point that QVM_REMOTE_CRASH names.
//
// The name's first part, up to the colon, is a constant at the call site, so
// that a test can list all points from the source.
func Point(string) {}
