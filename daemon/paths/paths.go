// Package paths says where dom0's side keeps each of its files, below one
// root. It guarantees that nothing in a test run with another root lies
// outside that root, and makes no file itself.
package paths

import "path/filepath"

// Root is the folder below which everything lies; "/" in a real dom0.
type Root string

func (r Root) at(p ...string) string {
	return filepath.Join(append([]string{string(r)}, p...)...)
}

// Real reports whether r is a real dom0's root.
func (r Root) Real() bool { return filepath.Clean(string(r)) == "/" }

func (r Root) Config() string { return r.at("etc/qubes/remote.conf") }
func (r Root) Keys() string   { return r.at("etc/qubes/remote.d") }

func (r Root) State() string { return r.at("var/lib/qvm-remote") }
func (r Root) Audit() string { return r.at("var/lib/qvm-remote/audit") }
func (r Root) Spool() string { return r.at("var/lib/qvm-remote/spool") }

// Legacy holds the lists of used version-1 ids.
func (r Root) Legacy() string { return r.at("var/lib/qvm-remote/legacy") }

// Run is for what need not outlive a boot: work folders, the executor's lock
// and status. Other programs may hold files there, so it is never removed.
func (r Root) Run() string          { return r.at("run/qvm-remote") }
func (r Root) ExecutorLock() string { return r.at("run/qvm-remote/executor.lock") }
func (r Root) Status() string       { return r.at("run/qvm-remote/status") }

// Pause and Stop are there while the executor must take nothing new, and while
// it must also end what runs. Whoever can write there may make them.
func (r Root) Pause() string { return r.at("run/qvm-remote/pause") }
func (r Root) Stop() string  { return r.at("run/qvm-remote/stop") }

// Approvals keeps what was approved and denied in this boot beyond one request.
func (r Root) Approvals() string { return r.at("run/qvm-remote/approvals") }

// Log is the mirror in the first implementation's line format.
func (r Root) Log() string { return r.at("var/log/qubes/qvm-remote.log") }

// Qubesd is the socket of Qubes OS's own daemon, which calls it
// /var/run/qubesd.sock; /var/run is a link to /run.
func (r Root) Qubesd() string { return r.at("run/qubesd.sock") }

// Home is where commands start.
func (r Root) Home() string { return r.at("root") }
