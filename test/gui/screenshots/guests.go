package main

import (
	"path/filepath"
	"strings"

	"qvmremote/test/desktop"
)

// send writes a command and runs it.
func (s *stage) send(script string) {
	s.find("text box", "Command for dom0").SetText(s, script)
	s.find("button", "Run*").AwaitState(s, desktop.Sensitive, true)
	s.press("button", "Run*")
}

// backup makes a backup with the key, waits until it is there, and returns its
// name. It is listed out of sight, of which assistive technology is told when GTK
// likes.
func (s *stage) backup() string {
	s.find("switch", "With the key, encrypted").AwaitState(s, desktop.Sensitive, true)
	s.press("switch", "With the key, encrypted")
	for _, field := range []string{"Passphrase", "Passphrase, once more"} {
		s.find("text box", field).SetText(s, "correct horse battery")
	}
	s.find("button", "Create backup").AwaitState(s, desktop.Sensitive, true)
	s.press("button", "Create backup")
	said := s.find("label", "Saved *").Name
	return strings.TrimSuffix(filepath.Base(said), ".")
}

// guests are scenes of the qube's program.
var guests = []scene{
	{name: "qube-run", guest: true, page: "run", act: func(s *stage) {
		s.send("# How much room is left?\ndf -h / | tail -1\nqvm-ls\necho 'one warning' >&2\nprintf '\\033[31mred\\033[0m\\n'")
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
	{name: "qube-empty", guest: true, minor: true, page: "run", act: func(s *stage) {
		s.find("label", "Write a command above*")
		if !s.look.narrow() {
			s.find("label", "*Connected to dom0")
		}
	}},
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
	{name: "qube-backup", guest: true, page: "backup", act: func(s *stage) { s.backup() }},
	{name: "qube-backup-end", guest: true, minor: true, page: "backup", act: func(s *stage) {
		s.backup()
		s.press("button", "Dismiss*")
		s.down()
	}},
	{name: "qube-backup-refused", guest: true, minor: true, page: "backup", act: func(s *stage) {
		s.find("text box", "Address of the repository").SetText(s, "-u@host:path")
		s.find("button", "Pull").AwaitState(s, desktop.Sensitive, true)
		s.press("button", "Pull")
		s.find("label", "*Nothing here was changed.")
	}},
	{name: "qube-restore", guest: true, page: "backup", act: func(s *stage) {
		name := s.backup()
		s.down()
		restore := s.find("button", "Restore: "+name) // the others are made anew with it
		restore.AwaitState(s, desktop.Sensitive, true)
		restore.Press(s)
		s.find("dialog", "Restore a backup").Find(s, "switch", "Key").Press(s)
		s.find("", "Passphrase of the backup")
	}},
	{name: "qube-push", guest: true, minor: true, page: "backup", act: func(s *stage) {
		s.find("text box", "Address of the repository").SetText(s, "git@example.org:me/history.git")
		s.find("button", "Push").AwaitState(s, desktop.Sensitive, true)
		s.press("button", "Push")
		s.find("dialog", "Push to this repository?")
	}},
	{name: "qube-sidebar", guest: true, minor: true, narrow: true, page: "run", act: func(s *stage) {
		s.press("button", "Back*")
		s.find("label", "*Connected to dom0")
	}},
}

// unpaired are scenes of a first start.
var unpaired = []scene{
	{name: "qube-first", guest: true, page: "key", act: func(s *stage) { s.find("label", "No key yet") }},
	{name: "qube-no-key", guest: true, minor: true, page: "run", act: func(s *stage) { s.find("label", "This qube has no key yet*") }},
}
