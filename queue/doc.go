// Package queue is the contract between a qube and dom0: what a request, a
// cancel and a result look like, how they are authenticated, where they lie in
// the qube, how dom0 and the agent speak about them, and how large anything
// may be. Both sides import it and nothing else in common; docs/protocol.md is
// the same contract in words.
//
// It guarantees:
//   - Every header has one spelling. What parses is, byte for byte, what
//     encoding the parsed value gives; all else is [ErrMalformed].
//   - Nothing in a header is returned as believed before its MAC was found
//     good, in constant time (see [Check]).
//   - No parser allocates on the word of a length or a count: what it takes is
//     a small multiple of the input it was given, which the limits bound.
//   - An id or a qube name that passed [ValidID] or [ValidQube] is safe as one
//     path component and inside quotes of any shell.
//
// It uses the standard library only and holds no state.
package queue

// Version is the version of the programs, as --version prints it.
const Version = "2.0.0"
