package policy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"qvmremote/test/executable"
)

// The tests of this file hold what this package says of a script against what
// bash does with it. Programs are stubs that log their arguments, and there is
// nothing else in PATH; what the shell itself does is in its own trace.

// sandbox is a bash in an empty folder.
type sandbox struct {
	bash, bin, work, log, script string
	policy                       *Policy
}

// The stub logs its number of words, its name and them, each with a NUL.
const stub = "#!/bin/sh\nprintf '%s\\0' $# \"${0##*/}\" \"$@\" >>'LOG'\n"

func newSandbox(t testing.TB, f fault) *sandbox {
	t.Helper()
	dir := t.TempDir()
	s := &sandbox{bin: filepath.Join(dir, "bin"), work: filepath.Join(dir, "work"), log: filepath.Join(dir, "log"), script: filepath.Join(dir, "script")}
	bash, err := exec.LookPath("bash")
	s.bash = bash
	err = errors.Join(err, os.Mkdir(s.bin, 0o755), os.Mkdir(s.work, 0o755))
	for _, name := range stubs {
		text := strings.ReplaceAll(stub, "LOG", s.log)
		if name == "no" {
			text += "exit 1\n"
		}
		err = errors.Join(err, executable.Write(filepath.Join(s.bin, name), []byte(text)))
	}
	if err != nil {
		t.Fatal(err)
	}
	s.policy, err = Parse("fuzz", []byte("deny kill **\nallow * **\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	s.policy.analyser.fault = f
	return s
}

// try runs the script if command rules allow it, and says what bash then did
// that the analysis did not know of.
func (s *sandbox) try(t testing.TB, script string) (ran bool, wrong string) {
	t.Helper()
	if s.policy.Decide([]byte(script)).Verdict != Allow {
		return false, ""
	}
	commands, _ := s.policy.analyser.plain([]byte(script))
	if err := errors.Join(os.WriteFile(s.script, []byte(script), 0o600), os.WriteFile(s.log, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	// As package run starts a command, with a trace.
	line := `test -n "$(<'` + s.script + `')"||exit 125;eval "$_"$'\n'`
	c := exec.CommandContext(ctx, s.bash, "--noprofile", "--norc", "-x", "-c", line, "qvm-remote")
	c.Dir, c.Env = s.work, []string{"PATH=" + s.bin, "HOME=/nowhere", "LANG=C.UTF-8"}
	var trace bytes.Buffer
	c.Stderr = &trace
	err := c.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) || ctx.Err() != nil {
		t.Fatalf("%q: %v, %v", script, err, ctx.Err())
	}
	logged, err := os.ReadFile(s.log)
	if err != nil {
		t.Fatal(err)
	}
	return true, s.judge(script, commands, calls(logged), traced(trace.String(), script))
}

// calls are the stubs that ran, with their arguments.
func calls(log []byte) (list [][]string) {
	for fields := strings.Split(string(log), "\x00"); len(fields) > 1; {
		n, err := strconv.Atoi(fields[0])
		if err != nil || n+2 > len(fields)-1 {
			return append(list, []string{"the log is broken: " + fmt.Sprint(fields)})
		}
		list = append(list, fields[1:n+2])
		fields = fields[n+2:]
	}
	return list
}

// traced are the lines of the shell's trace that are about the script: after
// the one with which it was read, in which its own lines stand as they are.
func traced(stderr, script string) (list []string) {
	eval := "+ eval '" + strings.ReplaceAll(strings.TrimRight(script, "\n")+"\n", "'", `'\''`) + "'\n"
	_, after, ok := strings.Cut(stderr, eval)
	if !ok {
		return []string{"no trace: " + stderr}
	}
	for _, line := range strings.Split(after, "\n") {
		if strings.HasPrefix(line, "+") {
			list = append(list, line)
		}
	}
	return list
}

func (s *sandbox) judge(script string, commands, called [][]string, trace []string) string {
	left := slices.Clone(commands)
	for _, c := range called {
		i := slices.IndexFunc(left, func(words []string) bool { return slices.Equal(words, c) })
		if i < 0 {
			return fmt.Sprintf("%q ran %q, known are %q", script, c, commands)
		}
		left = slices.Delete(left, i, i+1)
	}
	straight := !strings.ContainsAny(script, "|&") && !slices.ContainsFunc(commands, func(w []string) bool { return w[0] == "exit" })
	if straight { // everything in it runs, one after the other
		want := slices.DeleteFunc(slices.Clone(commands), func(w []string) bool { return !slices.Contains(stubs, w[0]) })
		if !slices.EqualFunc(called, want, slices.Equal) {
			return fmt.Sprintf("%q ran %q, not %q", script, called, want)
		}
	}
	names := map[string]int{}
	for _, words := range commands {
		names[words[0]]++
		if strings.Contains(strings.Join(words, ""), "\n") {
			trace = nil // a word's own lines look like its; the log has it
		}
	}
	for _, line := range trace {
		rest, ok := strings.CutPrefix(line, "++ ")
		name, _, _ := strings.Cut(rest, " ")
		if names[name]--; !ok || names[name] < 0 {
			return fmt.Sprintf("%q did %q, known are %q", script, line, commands)
		}
	}
	entries, err := os.ReadDir(s.work)
	if err != nil || len(entries) > 0 {
		return fmt.Sprintf("%q left %v, %v in its folder", script, entries, err)
	}
	return ""
}

// TestBashDoesWhatTheAnalysisKnows runs generated scripts; the fuzz targets
// below do the same for as long as they are let.
func TestBashDoesWhatTheAnalysisKnows(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, fault{})
	c := &choices{rand: rand.New(rand.NewPCG(rand.Uint64(), 0))}
	const enough = 60
	tried, ran := 0, 0
	for ; ran < enough && tried < 100*enough; tried++ {
		did, wrong := s.try(t, c.script())
		if wrong != "" {
			t.Fatal(wrong)
		}
		if did {
			ran++
		}
	}
	if ran < enough {
		t.Errorf("of %d scripts only %d are plain commands", tried, ran)
	}
	t.Logf("%d of %d scripts ran", ran, tried)
}

// TestAMistakeIsFound: the same scripts find each of these mistakes soon.
func TestAMistakeIsFound(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]fault{
		"braces taken for literal":    {bare: "{}"},
		"tilde taken for literal":     {bare: "~"},
		"command taken for a program": {seen: map[string]bool{"command": true}},
		"exec taken for a program":    {seen: map[string]bool{"exec": true}},
		"eval taken for a program":    {seen: map[string]bool{"eval": true}},
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			t.Parallel()
			s := newSandbox(t, f)
			c := &choices{rand: rand.New(rand.NewPCG(1, 1))}
			const most = 1000 // scripts that run
			for ran, tried := 0, 0; ran < most && tried < 100*most; tried++ {
				did, wrong := s.try(t, c.script())
				if wrong != "" {
					t.Logf("found after %d scripts: %s", ran, wrong)
					return
				}
				if did {
					ran++
				}
			}
			t.Errorf("not found")
		})
	}
}

// FuzzGrammar lets the fuzzer choose what the generator makes.
func FuzzGrammar(f *testing.F) {
	for seed := range 20 {
		b := make([]byte, 64)
		r := rand.New(rand.NewPCG(uint64(seed), 0))
		for i := range b {
			b[i] = byte(r.IntN(256))
		}
		f.Add(b)
	}
	s := newSandbox(f, fault{})
	f.Fuzz(func(t *testing.T, bytes []byte) {
		if _, wrong := s.try(t, (&choices{bytes: bytes}).script()); wrong != "" {
			t.Fatal(wrong)
		}
	})
}

// FuzzScript lets the fuzzer change the bytes of scripts.
func FuzzScript(f *testing.F) {
	c := &choices{rand: rand.New(rand.NewPCG(1, 1))}
	for range 50 {
		f.Add([]byte(c.script()))
	}
	for _, scripts := range hiding() {
		for _, script := range scripts {
			f.Add([]byte(strings.NewReplacer("echo", "qvm-a", "id", "qvm-b").Replace(script)))
		}
	}
	s := newSandbox(f, fault{})
	f.Fuzz(func(t *testing.T, script []byte) {
		if _, wrong := s.try(t, string(script)); wrong != "" {
			t.Fatal(wrong)
		}
	})
}
