package transport

// Caller is a program of dom0 that starts one in a qube and passes its stdin,
// stdout and stderr on. Nothing of a qube, and no secret, may be in a command:
// dom0's process list shows it.
type Caller struct {
	Path string
	// Qrexec says that Path is qrexec-client, else it is qvm-run. It costs no
	// start of Python, and never starts a qube.
	Qrexec bool
}

// Args are the arguments with which the caller runs a command in the shell of
// the qube's default account.
func (c Caller) Args(qube, command string) []string {
	if c.Qrexec {
		return []string{"-d", qube, "DEFAULT:" + command}
	}
	return []string{"--no-gui", "--no-autostart", "--pass-io", qube, command}
}

// Name is the program's, for people.
func (c Caller) Name() string {
	if c.Qrexec {
		return "qrexec-client"
	}
	return "qvm-run"
}
