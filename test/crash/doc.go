// Package crash stops dom0's side at each of its crash points and starts it
// again. Its tests show, for every point that a day of requests reaches:
//
//   - a command runs at most once, and the file it leaves in dom0 says so;
//   - each claimed request has one final state in the audit log, and the qube
//     has learned that one, signed;
//   - no process of a command outlives the daemon that started it;
//   - the log verifies, its numbers have no gap, and nothing is left in the
//     spool once everything was delivered.
//
// The list of points is made from the source (test/rules), so a point that no
// scenario reaches fails the suite unless [elsewhere] says who stops there.
// State changes need points: each record of the log, each question that
// changes a qube, each step of a file that decides something.
//
// A process is killed; the disk goes on. What only a power cut can lose, a
// write that was not fsynced, is not simulated here: test/rules demands that
// such files are changed through daemon/disk, and the order of its steps is
// what these points lie between.
//
// The tests are built with the tag crashpoints; make test-crash runs them.
package crash
