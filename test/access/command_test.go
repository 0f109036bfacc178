package access

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"qvmremote/daemon/audit"
	"qvmremote/queue"
	"qvmremote/test/child"
)

// telltale is in the script, the input and the output of each command here.
const telltale = "TELLTALE"

// endless prints what it reads, tells a word that is not in the script as it is
// printed, and goes on.
const endless = `# ` + telltale + `-script
cat; printf '%s%s\n' TELL TALE-made >&2; exec sleep 3600`

// going is qvm-remote at work in a qube.
type going struct {
	cmd      *exec.Cmd
	out, err child.Output
	done     chan struct{}
}

// run starts a command from work and returns when it runs in dom0.
func (s *story) run() *going {
	s.t.Helper()
	g := s.launch()
	s.begun(g)
	return g
}

// launch starts a command from work.
func (s *story) launch() *going {
	s.t.Helper()
	g := &going{cmd: s.Get("work").Command(context.Background(), "qvm-remote", "--stdin", endless), done: make(chan struct{})}
	g.cmd.Stdin = strings.NewReader(telltale + "-stdin\n")
	g.cmd.Stdout, g.cmd.Stderr, g.cmd.WaitDelay = &g.out, &g.err, patience
	must(s.t, g.cmd.Start())
	go func() {
		defer close(g.done)
		_ = g.cmd.Wait()
	}()
	s.t.Cleanup(func() {
		_ = g.cmd.Process.Kill()
		<-g.done
	})
	return g
}

// begun waits until the command runs in dom0.
func (s *story) begun(g *going) {
	s.t.Helper()
	await(s.t, "the command's output in the qube", func() bool {
		return strings.Contains(g.out.String(), telltale+"-stdin") && strings.Contains(g.err.String(), telltale+"-made")
	})
	await(s.t, "the qube to know that it runs", func() bool {
		// Nothing half written, and each request's last word.
		words := s.words()
		return len(words) > 0 && !slices.ContainsFunc(words, func(word string) bool { return word != "running" })
	})
}

// words are what the qube knows of each of its requests that dom0 has taken.
func (s *story) words() (words []string) {
	s.t.Helper()
	running := s.layout().RunningDir()
	names, err := os.ReadDir(running)
	must(s.t, err)
	for _, e := range names {
		b, err := os.ReadFile(filepath.Join(running, e.Name()))
		if err != nil {
			b = nil // it has just ended
		}
		words = append(words, string(b))
	}
	return words
}

// layout is where things lie in work.
func (m *machine) layout() queue.Layout {
	return queue.Layout{Root: filepath.Join(m.Get("work").Home(), queue.FolderName)}
}

// ended fails the test unless the command ends soon, with that exit code.
func (s *story) ended(g *going, code int) {
	s.t.Helper()
	select {
	case <-g.done:
	case <-time.After(patience):
		s.t.Fatalf("the command goes on; it said %q %q", g.out.String(), g.err.String())
	}
	if got := g.cmd.ProcessState.ExitCode(); got != code {
		s.t.Errorf("the command ended with %d, want %d: %s", got, code, g.err.String())
	}
}

// command is an entry of ListCommands.
type command struct {
	Number         uint64
	Qube, ID       string
	State          string
	Taken, Started uint64
}

// commands asks what runs.
func (s *story) commands() (list []command) {
	s.t.Helper()
	must(s.t, s.ask("ListCommands").Store(&list))
	return list
}

// records reads the audit log.
func (m *machine) records() []audit.Record {
	m.t.Helper()
	var all []audit.Record
	must(m.t, audit.Read(context.Background(), m.root.Audit(), 0, func(r audit.Record, _ []byte) error {
		all = append(all, r)
		return nil
	}))
	return all
}

// whole waits until the last request's story is in the log to its end, and what
// dom0 held of it is gone.
func (m *machine) whole() []audit.Record {
	m.t.Helper()
	var all []audit.Record
	await(m.t, "the record of the last delivery", func() bool {
		all = m.records()
		of := func(e audit.Event) (n int) {
			for _, r := range all {
				if r.Event == e {
					n++
				}
			}
			return n
		}
		spooled, err := os.ReadDir(m.root.Spool())
		must(m.t, err)
		return of(audit.Claim) == of(audit.Delivered) && len(spooled) == 0
	})
	return all
}

// newest is the newest record of an event.
func newest(all []audit.Record, e audit.Event) audit.Record {
	for _, r := range slices.Backward(all) {
		if r.Event == e {
			return r
		}
	}
	return audit.Record{}
}

// lay puts a file into work's queue, as its user does: by renaming.
func (s *story) lay(path func(queue.Layout) string, text string) {
	s.t.Helper()
	fresh := filepath.Join(s.Get("work").Home(), ".fresh")
	must(s.t, os.WriteFile(fresh, []byte(text), 0o600))
	info, err := os.Stat(s.layout().Root)
	must(s.t, err)
	must(s.t, sameOwner(fresh, info))
	must(s.t, os.Rename(fresh, path(s.layout())))
}
