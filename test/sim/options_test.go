package sim_test

import (
	"strings"
	"testing"

	"qvmremote/test/sim"
)

// The arguments of qvm-run, one by one.
func TestQvmRunOptions(t *testing.T) {
	t.Parallel()
	w := sim.New(t)
	q := w.Qube("work", sim.Running)
	w.Qube("personal", sim.Running)
	w.Qube("vault", sim.Halted)
	tests := []struct {
		statement string
		args      []string
		stdin     string
		want      result
	}{
		{"usage we emit", []string{"--pass-io", "--no-gui", "--no-autostart", "work", "echo hi"}, "", result{"hi\n", "", 0}},
		{"order of the reference", []string{"--no-gui", "--no-autostart", "--pass-io", "work", "echo hi"}, "", result{"hi\n", "", 0}},
		{"--nogui is --no-gui, -n, -p joined", []string{"--nogui", "-np", "work", "echo hi"}, "", result{"hi\n", "", 0}},
		{"--gui is accepted", []string{"--gui", "-p", "work", "echo hi"}, "", result{"hi\n", "", 0}},
		{"unambiguous beginnings of options", []string{"--pass", "--no-auto", "work", "echo hi"}, "", result{"hi\n", "", 0}},
		{"-u USER runs as USER", []string{"-p", "-u", "root", "work", "echo $USER"}, "", result{"root\n", "", 0}},
		{"--user=root", []string{"-p", "--user=root", "work", "echo $USER"}, "", result{"root\n", "", 0}},
		{"default_user otherwise", []string{"-p", "work", "echo $USER"}, "", result{"user\n", "", 0}},
		{"without --pass-io all three are /dev/null", []string{"-q", "work", "cat; echo out; echo err >&2; exit 4"}, "in", result{"", "", 4}},
		{"-p connects all three", []string{"-p", "work", "cat; echo err >&2"}, "in\n", result{"in\n", "err\n", 0}},
		{"single string is shell source", []string{"-p", "work", "echo a  $((1+1))"}, "", result{"a 2\n", "", 0}},
		{"trailing newlines of COMMAND are stripped", []string{"-p", "work", "echo a\n\n"}, "", result{"a\n", "", 0}},
		{"ARGs: argv, nothing is shell source", []string{"-p", "work", "printf", "%s|", "a b", "$HOME", "-n", ";"}, "", result{"a b|$HOME|-n|;|", "", 0}},
		{"ARGs: stdin is clean", []string{"-p", "work", "--", "cat", "-"}, "in", result{"in", "", 0}},
		{"-- before VMNAME", []string{"-p", "--", "work", "echo hi"}, "", result{"hi\n", "", 0}},
		{"ARGs are a REMAINDER", []string{"-p", "work", "echo", "--pass-io", "-n"}, "", result{"--pass-io -n\n", "", 0}},
		{"--no-shell: VMExec for a single word", []string{"-p", "--no-shell", "work", "hostname"}, "", result{"work\n", "", 0}},
		{"--service names a service", []string{"-p", "--service", "work", "qubes.VMShell"}, "echo hi\n", result{"hi\n", "", 0}},
		{"--service with argument, as is", []string{"-p", "--service", "work", "test.Echo+x"}, "", result{"x\n", "", 0}},
		{"--localcmd is wired to the remote", []string{"-p", "--localcmd", "echo ping; read a; echo $a >&2", "work", "read x; echo $x-pong"}, "", result{"", "ping-pong\n", 0}},
		{"--colour-output is written around output", []string{"-p", "--colour-output", "33", "work", "echo hi"}, "", result{"\x1b[0;33mhi\n\x1b[0m", "", 0}},
		{"--color-stderr", []string{"-p", "--color-stderr=31", "work", "true"}, "", result{"", "\x1b[0;31m\x1b[0m", 0}},
		{"--no-color-output", []string{"-p", "--color-output=33", "--no-color-output", "work", "echo hi"}, "", result{"hi\n", "", 0}},
		{"not a tty: nothing is filtered", []string{"-p", "work", `printf '\033[1m\302\251\001'`}, "", result{"\x1b[1m\u00a9\x01", "", 0}},
		{"--filter-escape-chars replaces all but \\t\\n\\r\\b\\a", []string{"-p", "--filter-escape-chars", "--no-color-output", "work", `printf '\033[1m\302\251\001\t\n\r\b\a~'`}, "", result{"_[1m___\t\n\r\b\a~", "", 0}},
		{"--no-filter-escape-chars", []string{"-p", "--no-filter-escape-chars", "work", `printf '\033'`}, "", result{"\x1b", "", 0}},
		{"-v says what --pass-io silences", []string{"-p", "-v", "-n", "vault", "true"}, "", result{"", "qvm-run: vault: not started\n", 1}},
		{"-q silences", []string{"-q", "-n", "vault", "true"}, "", result{"", "", 1}},
		{"--all runs in all running qubes", []string{"--all", "touch ~/seen"}, "", result{"", "", 0}},
		{"--all with --exclude", []string{"--all", "--exclude", "work", "exit 3"}, "", result{"", "qvm-run: personal: command failed with code: 3\n", 3}},
		{"--dispvm is refused politely", []string{"--dispvm", "--", "true"}, "", result{"", "qvm-run: disposables are not simulated; name a qube\n", 255}},
	}
	q.Service("test.Echo", "#!/bin/sh\necho \"$1\"\n")
	for _, tt := range tests {
		t.Run(tt.statement, func(t *testing.T) {
			expect(t, strings.Join(tt.args, " "), tool(t, w, tt.stdin, "qvm-run", tt.args...), tt.want)
		})
	}
	t.Run("--all reached both running qubes and no other", func(t *testing.T) {
		for name, want := range map[string]int{"work": 0, "personal": 0} {
			expect(t, name, inside(t, w.Get(name), "test", "-e", "seen").code, want)
		}
		expect(t, "vault", w.Get("vault").Boots(), 0)
	})
}

func TestQvmRunWithoutVMExecFeature(t *testing.T) {
	t.Parallel()
	w := sim.New(t)
	q := w.Qube("work", sim.Running)
	q.Set(sim.VMExec, "0")
	r := tool(t, w, "", "qvm-run", "-p", "work", "printf", "%s|", "a b", "it's", "$HOME")
	expect(t, "shlex.quoted join through VMShell", r, result{"a b|it's|$HOME|", "", 0})
	calls, err := w.World.Calls()
	if err != nil {
		t.Fatal(err)
	}
	service := calls[len(calls)-1].Argv
	expect(t, "service", service[len(service)-1], "DEFAULT:QUBESRPC qubes.VMShell+ dom0")
}

// What goes wrong with COMMAND as shell source.
func TestShellStringPitfalls(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"inherit", "copy"} {
		w := sim.New(t)
		w.SetKnob(sim.Implement, how)
		w.Qube("work", sim.Running)
		tests := []struct {
			statement, command, stdin string
			out                       string
			code                      int
			complains                 bool
		}{
			{"`foo &` is a syntax error", "true &", "", "", 2, true},
			{"trailing comment: stdin is executed", "echo a # b", "echo EXECUTED\n", "a\nEXECUTED\n", 0, false},
			{"heredoc on the last line swallows the payload", "cat <<E\nE", "data\nE\n", "E; exit\ndata\n", 0, false},
			{"unbalanced quote", "echo 'a", "", "", 2, true},
			{"cat last works: remaining stdin is intact", "cat", "x\x00y\n", "x\x00y\n", 0, false},
			{"; exit ends the shell before stdin", "echo a", "echo b\n", "a\n", 0, false},
		}
		for _, tt := range tests {
			t.Run(how+": "+tt.statement, func(t *testing.T) {
				r := tool(t, w, tt.stdin, "qvm-run", "-p", "work", tt.command)
				expect(t, "stdout", r.out, tt.out)
				expect(t, "exit code", r.code, tt.code)
				expect(t, "complains", r.err != "", tt.complains)
			})
		}
	}
}

func TestCommandIsVisibleInArgv(t *testing.T) {
	t.Parallel()
	w := sim.New(t)
	w.Qube("work", sim.Running)
	last := func() string {
		calls, err := w.World.Calls()
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(calls[len(calls)-1].Argv, " ")
	}
	tool(t, w, "", "qvm-run", "-p", "work", ": secret")
	expect(t, "4.3.34: prefix in qrexec-client's arguments", strings.Contains(last(), ": secret; exit\n"), true)
	w.SetKnob(sim.Implement, "copy")
	tool(t, w, "", "qvm-run", "-p", "work", ": secret")
	expect(t, "before: prefix through a pipe", strings.Contains(last(), "secret"), false)
	expect(t, "COMMAND is limited to 128 KiB", w.Dom0Command(t.Context(), "qvm-run", "-p", "work", strings.Repeat("x", 128<<10)).Run() != nil, true)
}
