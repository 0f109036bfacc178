// Package system shows the programs in a system that was really booted: Debian
// with its own systemd, system bus, polkitd and journal, in a container, with
// what `make install-dom0` installs and simulated qubes beside it.
//
// It guarantees that a run leaves nothing behind but the cached image: all
// mounts lie in a mount namespace and all processes in a pid namespace that end
// with the test, however the test ends. Every wait has a deadline.
//
// The tests are built with the tag system; make test-system runs them. They
// need root. Where they cannot run they are skipped, or fail if
// QVM_REMOTE_SYSTEM is "must".
package system
