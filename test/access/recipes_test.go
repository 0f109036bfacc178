package access

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"qvmremote/daemon/audit"
	"qvmremote/dbus"
	"qvmremote/queue"
	"qvmremote/test/child"
)

const document = "../../docs/dbus.md"

// recipe is one of the document.
type recipe struct{ title, script string }

var recipeForm = regexp.MustCompile("(?ms)^### ([^\n]+)\n(.*?)^```sh\n(.*?)^```$")

// recipes reads the document's, in their order.
func recipes(t *testing.T) (list []recipe) {
	t.Helper()
	text, err := os.ReadFile(document)
	must(t, err)
	_, part, found := strings.Cut(string(text), "\n## Recipes\n")
	part, _, ends := strings.Cut(part, "\n<!-- ")
	if !found || !ends {
		t.Fatalf("%s has no part with recipes", document)
	}
	for _, m := range recipeForm.FindAllStringSubmatch(part, -1) {
		list = append(list, recipe{m[1], m[3]})
	}
	if blocks := strings.Count(part, "```sh\n"); blocks != len(list) || blocks != strings.Count(part, "\n### ") || blocks < 10 {
		t.Fatalf("%d recipes, %d scripts, %d headings", len(list), blocks, strings.Count(part, "\n### "))
	}
	return list
}

// shell is a recipe at work.
type shell struct {
	cmd  *exec.Cmd
	out  child.Output
	done chan struct{}
}

// start runs a recipe as root of dom0 would, who types input.
func (m *machine) start(r recipe, input string) *shell {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 3*patience)
	m.t.Cleanup(cancel)
	sh := &shell{cmd: exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", r.script), done: make(chan struct{})}
	sh.cmd.Env = append(os.Environ(), "DBUS_SYSTEM_BUS_ADDRESS="+m.bus.Address, "LC_ALL=C.UTF-8")
	sh.cmd.Stdin, sh.cmd.Stdout, sh.cmd.Stderr = bytes.NewBufferString(input), &sh.out, &sh.out
	// A group of its own, so that what it started ends with it.
	sh.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	sh.cmd.Cancel = func() error { return syscall.Kill(-sh.cmd.Process.Pid, syscall.SIGKILL) }
	sh.cmd.WaitDelay = patience
	must(m.t, sh.cmd.Start())
	go func() {
		defer close(sh.done)
		_ = sh.cmd.Wait()
	}()
	return sh
}

// finished waits for a recipe that must succeed and returns what it printed.
func (m *machine) finished(sh *shell, r recipe) string {
	m.t.Helper()
	<-sh.done // its context ends it
	if !sh.cmd.ProcessState.Success() {
		m.t.Fatalf("%s: %v\n%s", r.title, sh.cmd.ProcessState, sh.out.String())
	}
	return sh.out.String()
}

// try is how a recipe is tried: what is typed, and what must be so afterwards.
type try struct {
	before func(*story)
	input  func(*story) string
	after  func(s *story, out string)
}

// TestRecipes runs each recipe of the document as it stands there.
func TestRecipes(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("busctl"); err != nil {
		t.Fatalf("%v; `make setup-test` installs it", err)
	}
	s := &story{machine: newMachine(t, false)}
	all := tries()
	for _, r := range recipes(t) {
		c, ok := all[r.title]
		if !ok {
			t.Errorf("no test says what %q must do", r.title)
			continue
		}
		delete(all, r.title)
		if c.before != nil {
			c.before(s)
		}
		input := ""
		if c.input != nil {
			input = c.input(s) + "\n"
		}
		if sh := s.start(r, input); r.title == watching {
			s.watched(sh)
		} else {
			c.after(s, s.finished(sh, r))
		}
	}
	for title := range all {
		t.Errorf("the document has no recipe %q", title)
	}
}

const watching = "Watch what happens"

// says fails the test unless the output has all these words.
func says(words ...string) func(*story, string) {
	return func(s *story, out string) {
		s.t.Helper()
		for _, w := range words {
			if !strings.Contains(out, w) {
				s.t.Errorf("no %q in:\n%s", w, out)
			}
		}
	}
}

// tries are in the order of the document, whose recipes follow each other.
func tries() map[string]try {
	return map[string]try{
		"See how things are": {after: says(`s "stopped"`, "u 0\nu 0\nb false\nt 0\n")},
		"List the qubes with their keys' fingerprints": {
			before: func(s *story) {
				s.ask("AuthorizeQubeWithString", "personal", string(s.newKey().Reveal()), noOptions)
				s.has("personal", "KeyState", "good")
			},
			after: func(s *story, out string) {
				print, _ := s.property("personal", "Fingerprint").(string)
				says(`s "personal"`, `s "`+print+`"`)(s, out)
			},
		},
		"Give a qube a key that it has": {
			input: func(s *story) string { return string(s.keyIn("work").Reveal()) },
			after: func(s *story, out string) {
				s.keyOf("work", s.keyIn("work").Reveal())
				says(s.keyIn("work").Fingerprint())(s, out)
			},
		},
		"Connect a running qube, after comparing": {
			before: func(s *story) { s.in("work", "qvm-remote", "key", "gen", "--force") },
			input:  func(s *story) string { return s.keyIn("work").Fingerprint() },
			after: func(s *story, out string) {
				s.keyOf("work", s.keyIn("work").Reveal())
				says(`s "`+s.keyIn("work").Fingerprint()+`"`)(s, out)
			},
		},
		"Make a key for a running qube": {
			before: func(s *story) { s.ask("RevokeQube", "personal", noOptions) },
			after:  func(s *story, _ string) { s.keyOf("personal", s.keyIn("personal").Reveal()) },
		},
		"Take a qube's key away":        {after: func(s *story, _ string) { s.has("personal", "KeyState", "none") }},
		"Start, pause, resume and stop": {after: wasStarted},
		"Start at each boot":            {after: func(s *story, out string) { says("b true")(s, out); s.boots("enabled") }},
		"Read the last 20 records as lines of JSON": {after: func(s *story, out string) {
			lines := strings.Split(strings.TrimSpace(out), "\n")
			var r audit.Record
			if err := json.Unmarshal([]byte(lines[0]), &r); err != nil || r.Event != audit.Enabled || len(lines) != min(20, int(r.Seq)+1) {
				s.t.Errorf("%d lines, the first %+v, %v", len(lines), r, err)
			}
		}},
		"Find what one qube ran": {
			before: func(s *story) {
				s.ask("Start")
				s.is(dbus.Running)
				s.rules("allow **\n") // who is authorised over the bus has to ask
				s.in("work", "qvm-remote", "echo "+telltale)
				s.whole()
			},
			after: says(`"type":"ast"`, telltale),
		},
		"Check the log against a checkpoint": {
			input: func(s *story) string { return s.checkpoint() },
			after: says("bttas true ", "1 checkpoint(s) from outside prove it"),
		},
		watching: {},
		"Stop everything": {
			before: func(s *story) { s.going = s.run() },
			after: func(s *story, out string) {
				s.ended(s.going, queue.ExitInterrupted)
				says("s \"paused\"\nu 0\n")(s, out)
			},
		},
	}
}

// wasStarted: the service was started, paused, resumed and stopped, as its own
// records say.
func wasStarted(s *story, _ string) {
	s.t.Helper()
	s.is(dbus.Stopped)
	s.gone()
	var events []string
	for _, r := range s.records() {
		switch r.Event {
		case audit.Started, audit.Paused, audit.Resumed, audit.Stopped:
			events = append(events, string(r.Event))
		}
	}
	if got := strings.Join(events, " "); got != "started paused resumed stopped" {
		s.t.Errorf("recorded: %s", got)
	}
}

// watched: the watcher prints a signal as soon as something happens.
func (s *story) watched(sh *shell) {
	s.t.Helper()
	defer func() {
		_ = sh.cmd.Cancel()
		<-sh.done
	}()
	await(s.t, "a signal on the watcher's screen", func() bool {
		s.ask("Pause")
		s.ask("Resume")
		time.Sleep(50 * time.Millisecond) // a watcher that has just begun sees the next
		return strings.Contains(sh.out.String(), `"member":"RecordsAdded"`)
	})
}

// checkpoint is what work's user finds where the document says.
func (s *story) checkpoint() string {
	s.t.Helper()
	found, err := filepath.Glob(filepath.Join(s.layout().History(), "*", "*", "result"))
	must(s.t, err)
	if len(found) == 0 {
		s.t.Fatal("no result in the qube's history")
	}
	b, err := os.ReadFile(found[len(found)-1])
	must(s.t, err)
	for _, line := range strings.Split(string(b), "\n") {
		if c, ok := strings.CutPrefix(line, "checkpoint "); ok {
			return c
		}
	}
	s.t.Fatalf("no checkpoint in %s", b)
	return ""
}
