package policy

import (
	"os/exec"
	"strings"
	"testing"

	"qvmremote/queue"
)

// narrow lets two harmless commands through, and asks about one more.
const narrow = `allow echo **
allow qvm-ls --raw-data
allow qvm-prefs work memory 256..8192
allow cat /var/log/qubes/*
ask qvm-start *
`

// hiding are scripts in which a rule cannot see what runs, by what hides it.
func hiding() map[string][]string {
	return map[string][]string{
		"variable":             {"echo $HOME", `echo "$HOME"`, `echo "a${IFS}b"`, "$x", "echo $", `echo "$"`, "echo $$"},
		"substitution":         {"echo `id`", "echo $(id)", `echo "$(id)"`, "echo \"`id`\"", "echo $((1+1))", "echo ${ id; }", "echo $[1+1]"},
		"process substitution": {"echo <(id)", "echo >(id)"},
		"dollar quote":         {`echo $'\x41'`, `$'\x65cho' a`, `echo $"text"`, `echo a$'\n'`},
		"brace expansion":      {"echo {a,b}", "echo {1..9}", "{echo,id}", "echo a{,b}", "echo {a", "echo }"},
		"glob":                 {"echo *", "echo /etc/pass?d", "echo [a-z]", "ech[o] a", "/bin/ech*", "echo a]"},
		"extended glob":        {"echo @(a|b)", "echo !(a)", "echo +(a)"},
		"tilde":                {"echo ~", "echo ~root", "echo a=~", "echo a:~"},
		"redirection":          {"echo a >f", "echo a>>f", "echo a >|f", "echo <f", "echo a &>f", "echo a >&f", "echo 2>&3", "echo a >&1-", "echo {fd}>f", "echo a 3>/dev/null", "echo a >/dev/nullx", "echo a <>/dev/null", "echo a >/dev/tcp/h/1", "echo a>/dev/null", ">/dev/null echo", "echo 22>/dev/null", "echo a >>/dev/null"},
		"here-document":        {"echo <<E\na\nE", "echo <<-E\nE", "echo <<<a", "echo <<'E'\n$(id)\nE"},
		"background":           {"echo a &", "echo a & echo b", "echo a |& echo b"},
		"group":                {"(echo a)", "{ echo a; }", "((1))", "( echo a", "echo )"},
		"condition":            {"if echo a; then echo b; fi", "[[ a ]]", "[[ -v a ]]", "[[ a =~ a ]]", "while echo; do echo; done", "until echo; do echo; done", "case a in a) echo;; esac", "for a in b; do echo; done", "for ((;;)); do echo; done", "select a in b; do echo; done", "! echo a", "echo a | ! echo b"},
		"function":             {"echo() { id; }", "echo() { id; }; echo a", "function echo { id; }", "echo () id", "echo\n() { id; }"},
		"assignment":           {"PATH=/tmp echo a", "A=b", "LD_PRELOAD=/tmp/x echo a", "A+=b echo", "a[0]=b echo", "a=(b) echo", "echo a=(b)", "BASH_ENV=x echo"},
		"builtin runs words":   {"command echo a", "builtin echo a", "exec echo a", "eval echo a", "source f", ". f", "trap echo EXIT", "fc -s", "bind -x", "compgen -C id", "command -v echo", "mapfile -C id", "coproc echo a", "coproc echo { echo a; }", "time echo a", "time -p echo", "\"time\" echo a"},
		"builtin changes":      {"alias echo=id", "shopt -s expand_aliases\nalias echo=id\necho a", "enable -n echo", "enable -f x.so y", "hash -p /tmp/x echo", "set -k", "set -- a", "export PATH=.", "declare -x PATH=.", "declare PATH=.", "typeset a=b", "readonly a=b", "local a=b", "unset PATH", "unalias -a", "umask 0", "ulimit -n 3", "shift", "complete -C id a"},
		"builtin fills":        {"read PATH", "echo . | read PATH", "mapfile a", "readarray a", "getopts a b", "printf -v PATH .", "printf %n PATH", "printf a", "wait -p PATH", "let PATH=1", "let a[1]=1"},
		"builtin evaluates":    {"test -v 'a[$(id)]'", "[ -v 'a[$(id)]' ]", "[ a ]", "test a", `"[" -v 'a[$(id)]' ]`},
		"directory":            {"cd /tmp", "cd /tmp && echo a", "pushd /", "popd", "dirs -c"},
		"job":                  {"%1", "fg", "bg", "jobs -x echo a", "disown", "suspend", "wait"},
		"control":              {"break", "continue", "return", "logout"},
		"carriage return":      {"echo a\r", "echo a\r\n", "echo a\rid", "\recho", "echo 'a\r'", "# a\rid"},
		"no text":              {"echo a\x00b", "echo a\x00;id", "\x00", "echo a\x1b[2J", "echo a\x7f", "echo \x08"},
		"other characters":     {"echo é", "echo 'é'", "echo\u00a0a", "echo\u2003a", "echo a\u2028id", "ech\u043e a", "echo \u202eid", "echo a\xff", "echo \xc2\xa0", "\ufeffecho a", "# \u202e"},
		"backslash at the end": {"echo a\\", "echo 'a'\\", "echo \"a\\", "ec\\\nho a", "echo a\\\n", "echo \"a\\\nb\"", "echo a &\\\n& id"},
		"open quote":           {"echo 'a", "echo \"a", "echo a'b\necho c"},
		"syntax error":         {"echo a;;", "; echo", "&& echo", "echo a &&", "echo a | | echo b", "echo a || ; echo", "|", "echo a ;& echo"},
		"no command":           {"# echo a", "\n\n", " ", "''", "\"\"", "'' echo"},
		"name":                 {"'echo a'", "-echo", "=echo", "@echo", "echo: a", "'ec ho'", "\\! echo", "'if' a", "\\if a", "'{' a", "^echo"},
	}
}

// TestWhatARuleCannotSeeThroughIsAScript: none of these is allowed by a rule
// about the command that it seems to be.
func TestWhatARuleCannotSeeThroughIsAScript(t *testing.T) {
	t.Parallel()
	p := parse(t, narrow)
	for name, scripts := range hiding() {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			t.Parallel()
			for _, script := range scripts {
				d := p.Decide([]byte(script))
				if d.Verdict != Deny || d.Reason != queue.NoRule {
					t.Errorf("%q: %+v", script, d)
				}
				if commands, o := p.analyser.plain([]byte(script)); o == nil {
					t.Errorf("%q is read as the commands %q", script, commands)
				}
				if d := parse(t, narrow+"ask script").Decide([]byte(script)); d.Verdict != Ask {
					t.Errorf("%q, with a rule for scripts: %+v", script, d)
				}
			}
		})
	}
}

// TestOtherCommandsAreNotAllowed: these are plain commands, of which a rule
// about another one matches none.
func TestOtherCommandsAreNotAllowed(t *testing.T) {
	t.Parallel()
	cases := map[string][]string{
		"second command":         {"echo a; id", "echo a && id", "echo a || id", "echo a | id", "echo a\nid", "echo a;\n\nid # b", "id; echo a", "echo a # b\nid", "echo a \\\n; id"},
		"comment":                {"echo a #\nid", "# echo a\nid", "id #; echo a", "echo a;#\nid"},
		"programs that run more": {"env echo a", "xargs echo", "sh -c 'echo a'", "bash -c id", "sudo echo a", "nice echo", "timeout 1 echo", "find . -exec id ';'", "/usr/bin/env echo"},
		"quoted":                 {`i"d"`, `\id`, `'id'`, `echo a;'id'`, "\"id\" 'a'"},
		"path":                   {"/bin/echo a", "./echo a", "../bin/echo", "/bin/../bin/echo"},
		"case":                   {"Echo a", "ECHO a"},
		"number":                 {"qvm-prefs work memory 255", "qvm-prefs work memory 8193", "qvm-prefs work memory 0300", "qvm-prefs work memory 3e2", "qvm-prefs work memory 300k", "qvm-prefs work memory +300", "qvm-prefs work memory -300", "qvm-prefs work memory ' 300'", "qvm-prefs work memory ''", "qvm-prefs work memory 99999999999999999999999300", "qvm-prefs work memory 0x12c"},
		"word more or less":      {"qvm-ls", "qvm-ls --raw-data a", "qvm-ls --raw-data ''", "qvm-ls '--raw-data '", "qvm-ls --raw-dat", "qvm-prefs work memory"},
		"path climbs":            {"cat /var/log/qubes/..", "cat /var/log/qubes/../../../etc/shadow", "cat /var/log/qubes/a/b", "cat /var/log/qubes/", "cat '/var/log/qubes/a' /etc/shadow"},
	}
	p := parse(t, strings.ReplaceAll(narrow, "/qubes/*", "/qubes/?*"))
	for name, scripts := range cases {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			t.Parallel()
			for _, script := range scripts {
				if d := p.Decide([]byte(script)); d.Verdict != Deny || d.Reason != queue.NoRule {
					t.Errorf("%q: %+v", script, d)
				}
				if _, o := p.analyser.plain([]byte(script)); o != nil {
					t.Errorf("%q is no plain command: %v", script, o)
				}
			}
		})
	}
}

// TestPlainCommands: what is understood, and as what.
func TestPlainCommands(t *testing.T) {
	t.Parallel()
	for script, want := range map[string]string{
		"echo a b":                        "echo a b",
		"  echo\ta  ":                     "echo a",
		"echo a;echo b":                   "echo a\necho b",
		"echo a&&echo b||echo c|echo d":   "echo a\necho b\necho c\necho d",
		"echo a |\n\n echo b":             "echo a\necho b",
		"echo a \\\n b":                   "echo a b",
		"echo 'a b' \"c d\" e\\ f":        "echo a\u00b7b c\u00b7d e\u00b7f",
		`echo "a\"b\$\\c\n"`:              `echo a"b$\c\n`,
		`echo 'a\n$x*{}'`:                 `echo a\n$x*{}`,
		`echo \$x \* \{`:                  "echo $x * {",
		"echo ''":                         "echo ",
		"echo a#b # c":                    "echo a#b",
		"#!/bin/sh\necho a":               "echo a",
		"echo a 2>&1 >/dev/null | echo b": "echo a\necho b",
		"echo a </dev/null 2> /dev/null;": "echo a",
		"echo a=b --c=d e,f %g @h i:j !":  "echo a=b --c=d e,f %g @h i:j !",
		"echo 'a\nb'":                     "echo a\u00b6b",
		"echo if then":                    "echo if then",
		"ec'ho' a":                        "echo a",
		"echo a>&2":                       "",
		"exit 3":                          "exit 3",
	} {
		commands, _ := newAnalyser().plain([]byte(script))
		var lines []string
		for _, words := range commands {
			line := strings.Join(words, "\x00")
			lines = append(lines, strings.NewReplacer(" ", "\u00b7", "\n", "\u00b6", "\x00", " ").Replace(line))
		}
		if got := strings.Join(lines, "\n"); got != want {
			t.Errorf("%q is read as %q, want %q", script, got, want)
		}
	}
}

// TestEveryWordOfBashIsKnown holds the lists against bash's own: a builtin or
// a reserved word that is on none of them would be taken for a program.
func TestEveryWordOfBashIsKnown(t *testing.T) {
	t.Parallel()
	for _, flag := range []string{"-b", "-k"} {
		out, err := exec.Command("bash", "-c", "compgen "+flag).Output()
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range strings.Fields(string(out)) {
			if !seenThrough[name] && unseen([]string{name}) == "" {
				t.Errorf("bash itself knows %q", name)
			}
		}
	}
	for name := range seenThrough {
		if opaque[name] || unseen([]string{name}) != "" {
			t.Errorf("%q is on both lists", name)
		}
	}
}
