package paths

import "strings"

// BusVar names the bus to use in place of the system bus, as a D-Bus address.
const BusVar = "QVM_REMOTE_BUS"

// systemBus is where the specification puts the system bus.
const systemBus = "unix:path=/run/dbus/system_bus_socket"

// Bus is the address of the message bus that belongs to this root, and whether
// there is one: the system bus belongs to a real dom0 alone, a test names its
// own with [BusVar].
func (r Root) Bus(environ []string) (address string, ok bool) {
	for _, e := range environ {
		if v, found := strings.CutPrefix(e, BusVar+"="); found && v != "" {
			return v, true
		}
	}
	if r.Real() {
		return systemBus, true
	}
	return "", false
}
