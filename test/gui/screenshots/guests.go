package main

import (
	"qvmremote/test/desktop"
)

// send writes a command and runs it.
func (s *stage) send(script string) {
	s.find("text box", "Command for dom0").SetText(s, script)
	s.find("button", "Run*").AwaitState(s, desktop.Sensitive, true)
	s.press("button", "Run*")
}

// guests are scenes of the qube's program.
var guests = []scene{
	{name: "qube-run", guest: true, page: "run", act: func(s *stage) {
		s.send("# How much room is left?\ndf -h /var/lib/qubes | tail -1\nqvm-ls\necho 'one warning' >&2\nprintf '\\033[31mred\\033[0m\\n'")
		s.find("label", "Done: exit 0")
	}},
	{name: "qube-running", guest: true, page: "run", act: func(s *stage) {
		s.send("for i in $(seq 1 400); do echo \"line $i\"; done; sleep 15")
		s.find("label", "Running")
		s.find("label", "line 400")
	}},
	{name: "qube-failed", guest: true, minor: true, page: "run", act: func(s *stage) {
		s.send("echo to stdout; echo to stderr >&2; exit 3")
		s.find("label", "Failed: exit 3")
	}},
	{name: "qube-find", guest: true, page: "run", act: func(s *stage) {
		s.send("seq 1 2000")
		s.find("label", "Done: exit 0")
		s.key("ctrl+f")
		s.desktop.Type(s, "123")
		s.find("label", "1 of *")
	}},
	{name: "qube-tabs", guest: true, minor: true, page: "run", act: func(s *stage) {
		s.send("hostname")
		s.find("label", "Done: exit 0")
		s.key("ctrl+t")
		s.desktop.Type(s, "uptime")
	}},
	{name: "qube-empty", guest: true, minor: true, page: "run", act: func(s *stage) { s.find("label", "*connected to dom0") }},
	{name: "qube-key", guest: true, page: "key", act: func(s *stage) { s.find("label", "Connected to dom0") }},
	{name: "qube-key-end", guest: true, minor: true, page: "key", act: func(s *stage) { s.find("label", "Connected to dom0"); s.down() }},
	{name: "qube-replace", guest: true, minor: true, page: "key", act: func(s *stage) {
		s.find("button", "New key…*").AwaitState(s, desktop.Sensitive, true)
		s.press("button", "New key…*")
		s.find("dialog", "Replace the key?")
	}},
	{name: "qube-import", guest: true, minor: true, page: "key", act: func(s *stage) {
		s.find("button", "Import…*").AwaitState(s, desktop.Sensitive, true)
		s.press("button", "Import…*")
		s.find("dialog", "Import a key")
	}},
	{name: "qube-sidebar", guest: true, minor: true, narrow: true, page: "run", act: func(s *stage) {
		s.find("label", "*connected to dom0")
		s.press("button", "Back*")
	}},
}

// unpaired are scenes of a first start.
var unpaired = []scene{
	{name: "qube-first", guest: true, page: "key", act: func(s *stage) { s.find("label", "No key yet") }},
	{name: "qube-no-key", guest: true, minor: true, page: "run", act: func(s *stage) { s.find("label", "This qube has no key yet*") }},
}
