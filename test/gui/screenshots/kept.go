package main

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"qvmremote/client"
	"qvmremote/client/dom0test"
	"qvmremote/queue"
	"qvmremote/test/desktop"
)

// remembered is what the qube asked for in the last days, the newest first.
var remembered = []dom0test.Past{
	{Script: "qvm-prefs work memory 4000\nqvm-prefs work maxmem 8000", State: queue.StateExit},
	{Script: "qubesctl --show-output state.highstate", State: queue.StateExit, Exit: 20, Out: "local:\n  Name: base - Function: pkg.installed - Result: Clean\n", Err: "[ERROR   ] template fedora-41: no such VM\n"},
	{Script: "# How much room is left?\ndf -h / | tail -1", State: queue.StateExit, Out: "/dev/mapper/qubes_dom0-root  20G  9.1G   10G  48% /\n"},
	{Script: "qvm-backup --yes -d vault /mnt/backup work", State: queue.StateTimeout, Out: "Making a backup... 41 %\n"},
	{Script: "rm -rf /var/lib/qubes/vm-templates", State: queue.StateDenied},
	{Script: "qvm-ls --raw-list --running", State: queue.StateExit, Out: "dom0\nsys-net\nsys-firewall\nwork\n", Forge: true},
	{Script: "sleep 3600", State: queue.StateCancelled},
	{Script: "journalctl -b -p err -n 20", State: queue.StateExit, Out: "-- No entries --\n"},
	{Script: "echo '<b>bold</b>' $'\\u202egnp.exe'", State: queue.StateExit, Out: "<b>bold</b> \u202egnp.exe\n\x1b[31mred\x1b[0m\n"},
	{Script: "qvm-start personal"},
}

// remember gives the qube that past, and what a program that died left behind.
func (h *home) remember() error {
	l := h.Layout("work")
	k, err := client.New(l.Root).Key()
	if err != nil {
		return err
	}
	now := time.Now()
	for n := range 3 * len(remembered) {
		p := remembered[n%len(remembered)]
		p.At, p.Number = now.Add(-time.Hour-time.Duration(n)*157*time.Minute), n
		if _, _, err := p.File(l, k); err != nil {
			return err
		}
	}
	left := filepath.Join(l.PendingDir(), "20261120-101010-77-0000beef")
	if err := os.WriteFile(left, []byte("echo"), 0o600); err != nil {
		return err
	}
	long := now.Add(-72 * time.Hour)
	if err := os.Chtimes(left, long, long); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(filepath.Dir(l.Root), "notes.txt"), []byte("to be kept\n"), 0o600)
}

// openPast looks for a past command and opens it.
func (s *stage) openPast(text string) {
	first := s.find("list", "Past commands*").Find(s, "list item", "*").Name
	s.key("ctrl+f")
	s.desktop.Type(s, text)
	s.app.Gone(s, "list item", first)
	s.press("list item", "*"+text+"*")
	s.find("button", "Load into Run*")
}

// kept are scenes of what the qube's program keeps: the pages beside Run, Key and
// Backup.
var kept = []scene{
	{name: "qube-history", guest: true, page: "history", act: func(s *stage) { s.find("list item", "*done: *") }},
	{name: "qube-past", guest: true, page: "history", act: func(s *stage) {
		s.openPast("qubesctl")
		s.find("label", "Verified*")
	}},
	{name: "qube-past-denied", guest: true, minor: true, page: "history", act: func(s *stage) { s.openPast("rm -rf") }},
	{name: "qube-past-unverified", guest: true, minor: true, page: "history", act: func(s *stage) { s.openPast("qvm-ls --raw-list --running") }},
	{name: "qube-history-none", guest: true, minor: true, page: "history", act: func(s *stage) {
		s.find("list", "Past commands*").Find(s, "list item", "*")
		s.key("ctrl+f")
		s.desktop.Type(s, "nothing like this")
		s.find("", "Nothing was found")
	}},
	{name: "qube-history-menu", guest: true, minor: true, page: "history", act: func(s *stage) {
		s.find("list", "Past commands*").Find(s, "list item", "*")
		s.press("button", "Export and delete*")
		s.find("menu item", "Delete what is shown…")
	}},
	{name: "qube-deleted", guest: true, minor: true, page: "history", act: func(s *stage) {
		s.openPast("journalctl")
		s.press("button", "Delete*")
		s.find("button", "Undo")
	}},
	{name: "qube-queue", guest: true, page: "run", act: func(s *stage) {
		s.send("sleep 20")
		s.find("label", "Running")
		s.key("ctrl+5")
		s.find("list item", "running, *")
		s.find("list item", "left over, *")
	}},
	{name: "qube-clean", guest: true, minor: true, page: "queue", act: func(s *stage) {
		s.press("button", "Clean up…*")
		s.find("dialog", "Remove 1 leftover?")
	}},
	{name: "qube-log", guest: true, page: "run", act: func(s *stage) {
		for n := range 3 {
			s.send(fmt.Sprintf("echo logged %d", n))
			s.find("label", fmt.Sprintf("logged %d", n))
			s.find("label", "Done: exit 0")
		}
		s.key("ctrl+6")
		s.find("list item", "*cmd=echo logged 2")
	}},
	{name: "qube-files", guest: true, page: "files", act: func(s *stage) {
		s.desktop.ChooseFile(s, s.app, "File: choose*", filepath.Join(filepath.Dir(s.house.Layout("work").Root), "notes.txt"))
		sent := filepath.Join(s.house.Dom0(), "root", "notes.txt")
		s.find("text box", "Send: its path in dom0").SetText(s, sent)
		s.find("button", "Send").AwaitState(s, desktop.Sensitive, true)
		s.undo = append(s.undo, func() { _ = os.Remove(sent) })
		s.press("button", "Send")
		s.find("label", "*SHA-256*")
	}},
	{name: "qube-files-end", guest: true, minor: true, page: "files", act: func(s *stage) {
		s.find("button", "Send")
		s.down()
	}},
}
