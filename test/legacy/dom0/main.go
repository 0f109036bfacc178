// Command dom0 stands in for the first implementation's qvm-remote-dom0 1.1.0,
// in tests only; see package legacy.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"qvmremote/queue"
	"qvmremote/test/legacy"
)

const version = "1.1.0"

const usage = `usage: qvm-remote-dom0 [--vm VM] [--once] [--dry-run] [-v]
Dom0 executor.
  authorize VM [KEY] | revoke VM | keys
`

// daemon is one call of the program.
type daemon struct {
	root         string
	vms          []string
	home         string // in the qubes
	once, dryRun bool
}

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	d := &daemon{root: os.Getenv(legacy.KnobRoot)}
	if d.root == "" {
		return fail(legacy.KnobRoot + " is not set")
	}
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		switch {
		case arg == "--vm" && len(args) > 0:
			d.vms, args = []string{args[0]}, args[1:]
		case arg == "--once":
			d.once = true
		case arg == "--dry-run":
			d.dryRun = true
		case arg == "-v": // 3-0: does nothing
		case arg == "-h", arg == "--help":
			fmt.Print(usage)
			return 0
		case arg == "--version":
			fmt.Println("qvm-remote-dom0 " + version)
			return 0
		case strings.HasPrefix(arg, "-"):
			return fail("unknown option: " + arg)
		case arg == "authorize" || arg == "revoke" || arg == "keys":
			return d.keys(arg, args)
		default:
			return fail("unknown command: " + arg)
		}
	}
	d.configure()
	if len(d.vms) == 0 {
		return fail("no VMs configured. Set QVM_REMOTE_VMS in /etc/qubes/remote.conf or use --vm VM")
	}
	return d.serve()
}

func fail(text string) int {
	fmt.Fprintln(os.Stderr, "qvm-remote-dom0: "+text)
	return 1
}

func (d *daemon) path(p ...string) string {
	return filepath.Join(append([]string{d.root}, p...)...)
}

// configure is P-12: --vm, then the environment, then the file, which is read
// once.
func (d *daemon) configure() {
	b, _ := os.ReadFile(d.path("etc/qubes/remote.conf"))
	conf := map[string]string{}
	for line := range strings.SplitSeq(string(b), "\n") {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && !strings.HasPrefix(name, "#") {
			conf[name] = strings.Trim(value, `"'`) // a comment behind it is not seen as one
		}
	}
	get := func(name string) string {
		if v := os.Getenv(name); v != "" {
			return v
		}
		return conf[name]
	}
	for _, name := range []string{"QVM_REMOTE_VMS", "QUBES_REMOTE_VMS", "QVM_REMOTE_VM", "QUBES_REMOTE_VM"} {
		if len(d.vms) == 0 {
			d.vms = strings.Fields(get(name))
		}
	}
	user := get("QVM_REMOTE_VM_USER")
	if user == "" {
		user = "user"
	}
	if d.home = os.Getenv(legacy.KnobHome); d.home == "" {
		d.home = "/home/" + user // P-1
	}
}

func (d *daemon) keyFile(vm string) string { return d.path("etc/qubes/remote.d", vm+".key") }

// keys is 3-14 to 3-16 and P-11.
func (d *daemon) keys(verb string, args []string) int {
	dir := d.path("etc/qubes/remote.d")
	if verb == "keys" {
		names, _ := filepath.Glob(filepath.Join(dir, "*.key"))
		if len(names) == 0 {
			fmt.Println("No VMs authorized.")
			return 0
		}
		fmt.Printf("%-20s KEY (first 16 chars)\n---\n", "VM")
		for _, name := range names {
			key, _ := os.ReadFile(name)
			fmt.Printf("%-20s %.16s...\n", strings.TrimSuffix(filepath.Base(name), ".key"), key) // D15
		}
		return 0
	}
	if len(args) == 0 || !queue.ValidQube(args[0]) { // the original took any name
		return fail(verb + " requires a VM")
	}
	if verb == "revoke" { // 3-1: the last one opens dom0 to all
		if os.Remove(d.keyFile(args[0])) != nil {
			return fail("VM '" + args[0] + "' has no key")
		}
		fmt.Printf("Revoked VM '%s'.\n", args[0])
		return 0
	}
	if len(args) < 2 {
		return fail("authorize requires a key")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fail(err.Error())
	}
	if err := os.WriteFile(d.keyFile(args[0]), []byte(args[1]), 0o600); err != nil {
		return fail(err.Error())
	}
	fmt.Printf("Authorized VM '%s'. Key stored in %s\n", args[0], d.keyFile(args[0]))
	return 0
}
