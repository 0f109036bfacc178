// Package repository keeps a qube's history in a git repository of the user's:
// it pushes what may leave the qube, and pulls it back into the history.
//
// It guarantees:
//   - No key leaves the qube, in whole or in part, only the fingerprint that is a
//     hash; no standard input and no output of a command; and no request that
//     could still be run by whoever reads it. Commands do leave it, which the
//     caller has to say before the first push to an address.
//   - It reads and writes one branch, by git's plumbing in a bare repository of
//     its own. Nothing is ever checked out, so that no name of the other side
//     becomes a path, and what is pulled passes the checks of package backup.
//   - git gets addresses of three kinds after "--", and a configuration in which
//     no hook, helper protocol or submodule has an effect, of a repository on
//     this machine either. It is never asked anything on a terminal.
//   - Each run of git has a deadline, its files and output a bound, and its words
//     are escaped before they become part of an error.
package repository
