// Package units holds the tests of dom0's systemd units and of their
// installation.
//
// They guarantee that systemd understands the units, that the sandbox of the
// one for administration is as tight as promised, that each usual directive is
// either set or its absence explained, and that an installation puts exactly
// the promised files in place and enables nothing. No unit is started.
package units
