// Command qubes-sim is every program of a simulated Qubes OS machine: by the
// name it is called with it is qvm-run, qvm-check, qvm-ls, qvm-prefs,
// qrexec-client, qubesdb-read or hostname, and as qubes-sim the tool that makes
// and steers such a machine.
package main

import (
	"os"

	"qvmremote/test/sim/tools"
)

func main() { os.Exit(tools.Main(os.Args)) }
