// Package backup saves a qube's data folder into one file and puts it back:
// the history, the qube's own log, the settings of its desktop program, and the
// keys only when asked and only encrypted with a passphrase.
//
// It guarantees:
//   - What is read back is typed: names that this package writes, in one order,
//     plain files within bounds, each with the SHA-256 that the archive's first
//     member says. All else is refused, with a sentence that names it, before
//     anything was changed.
//   - Neither way follows a symlink, below the folder of the qube's data or as
//     the archive itself, and nothing is written outside the two folders.
//   - Nothing that is there is written over: of the history what is missing is
//     added, each entry whole or not at all, and a safety archive is made first.
//     Restoring again after a crash does what was left.
//   - An archive is mode 0600, whole or not there, and never holds a key that
//     can be read without the passphrase.
//
// The hashes tell damage. They prove nothing about who made an archive: what a
// result in the history is worth is decided by dom0's signature on it, as ever.
package backup
