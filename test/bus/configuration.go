package bus

import (
	"encoding/xml"
	"os"
	"strings"
	"testing"
)

// open is what everybody may do on a bus without rules.
const open = `
    <allow own="*"/>
    <allow send_destination="*"/>`

// system is what everybody may do on a system bus before packages add rules:
// answer what they were asked, send signals, talk to the bus itself.
const system = `
    <deny own="*"/>
    <deny send_type="method_call"/>
    <allow send_type="signal"/>
    <allow send_requested_reply="true" send_type="method_return"/>
    <allow send_requested_reply="true" send_type="error"/>
    <allow send_destination="org.freedesktop.DBus" send_interface="org.freedesktop.DBus"/>
    <allow send_destination="org.freedesktop.DBus" send_interface="org.freedesktop.DBus.Introspectable"/>
    <allow send_destination="org.freedesktop.DBus" send_interface="org.freedesktop.DBus.Properties"/>`

const receive = `
    <allow receive_type="method_call"/>
    <allow receive_type="method_return"/>
    <allow receive_type="error"/>
    <allow receive_type="signal"/>`

// configuration is that of a session bus, the kind that starts programs
// without a helper that is setuid root. Limits are the system bus's.
func (b *Bus) configuration(o Options) string {
	var c strings.Builder
	line := func(parts ...string) { c.WriteString(strings.Join(parts, "") + "\n") }
	line(`<busconfig>`)
	line(`  <type>session</type>`)
	line(`  <auth>EXTERNAL</auth>`)
	line(`  <listen>unix:path=`, escaped(b.file("socket")), `</listen>`)
	line(`  <servicedir>`, escaped(b.file("services")), `</servicedir>`)
	line(`  <policy context="default">`)
	if len(o.AllowUsers) == 0 {
		line(`    <allow user="*"/>`)
	}
	for _, u := range o.AllowUsers {
		line(`    <allow user="`, escaped(u), `"/>`)
	}
	rules := open
	if o.System {
		rules = system
	}
	line(rules, receive)
	line(`  </policy>`)
	for _, name := range o.Includes {
		line(`  <include>`, escaped(name), `</include>`)
	}
	line(o.Policy)
	line(`</busconfig>`)
	return c.String()
}

func escaped(s string) string {
	var b strings.Builder
	// a strings.Builder takes every write
	_ = xml.EscapeText(&b, []byte(s))
	return b.String()
}

// Activatable makes the bus start program, with these arguments and additional
// variables (NAME=value), when somebody calls name and nobody owns it. The
// program finds the bus in DBUS_STARTER_ADDRESS.
func (b *Bus) Activatable(t testing.TB, name, program string, args, env []string) {
	t.Helper()
	if err := b.Activate(name, program, args, env); err != nil {
		t.Fatalf("make %s activatable: %v", name, err)
	}
}

// Activate is [Bus.Activatable] for a program that is no test.
func (b *Bus) Activate(name, program string, args, env []string) error {
	words := append([]string{"/usr/bin/env"}, env...)
	words = append(append(words, program), args...)
	for i, w := range words {
		words[i] = quoted(w)
	}
	text := "[D-BUS Service]\nName=" + name + "\nExec=" + strings.Join(words, " ") + "\n"
	if err := os.WriteFile(b.file("services/"+name+".service"), []byte(text), 0o644); err != nil {
		return err
	}
	conn, err := b.Dial()
	if err != nil {
		return err
	}
	defer conn.Close()
	// The daemon watches the folder, but not before it has had time to.
	return conn.BusObject().Call("org.freedesktop.DBus.ReloadConfig", 0).Err
}

// quoted makes w one word of an Exec line: quotes for the shell syntax, and
// backslashes doubled for that of the file.
func quoted(w string) string {
	w = `'` + strings.ReplaceAll(w, `'`, `'\''`) + `'`
	return strings.ReplaceAll(w, `\`, `\\`)
}
