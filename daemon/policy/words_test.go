package policy

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"

	"qvmremote/queue"
)

// TestWordsOfARule holds words of an allow rule, and of a deny rule, against
// words of a command.
func TestWordsOfARule(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ rule, allowed, denied, neither string }{
		{"work", "work", "work", "wor works Work ''"},
		{"*", "work a.b", "work -f --all a/b .. '' ../x", ""},
		{"work*", "work work2 work-x", "work work2 work/x work/..", "wor xwork"},
		{"-*", "-f --all", "-f -- -a/b", "a"},
		{"--x=*", "--x= --x=a", "--x= --x=a --x=a/b --x=..", "--y=a x=a"},
		{"/var/log/*", "/var/log/a /var/log/", "/var/log/a /var/log/a/b /var/log/..", "/var/lo /var/log"},
		{"/var/log/**", "/var/log/a /var/log/a/b", "/var/log/a/../b /var/log/..", "/var/l/a"},
		{"{*,**/**}", "a a/b /a", "-a /..", ""},
		{"a?c", "abc a-c", "abc a/c", "ac abbc"},
		{"?", "a 1", "a - /", "ab"},
		{"{start,stop}", "start stop", "start stop", "star {start,stop} startstop"},
		{"{a,b}-{1,2}", "a-1 b-2", "a-1", "a a- a-3"},
		{"x{a,'',*b}y", "xay xy xbby", "x/by", "xyy"},
		{"256..8192", "256 300 8192", "4096", "255 8193"},
		{"0..3", "0 3", "0", "4"},
		{"''*", "work", "work -f --all ''", ""},
		{"{'',dev-}*", "work dev-a", "work --all", ""},
		{"m={1..9,20}", "m=1 m=9 m=20", "m=2", "m=0 m=10 n=1"},
		{"'*'", "'*'", "'*'", "a"},
		{"'a b'", "'a b'", "'a b'", "a 'a  b'"},
		{"\"it's\"", "\"it's\"", "\"it's\"", "its"},
		{"''", "''", "''", "a"},
		{"a'*'b*", "'a*b' 'a*bc'", "'a*b/'", "axb"},
	} {
		try := func(verdict Verdict, words string, want Verdict) {
			p := parse(t, fmt.Sprintf("%s cmd %s", verdict, c.rule))
			for _, word := range split(words) {
				d := p.Decide([]byte("cmd " + word))
				if d.Verdict != want || (d.Rule != "") != (words != c.neither && want == verdict) {
					t.Errorf("%s %s: %s: %+v", verdict, c.rule, word, d)
				}
			}
		}
		try(Allow, c.allowed, Allow)
		try(Ask, c.allowed, Ask)
		try(Deny, c.denied, Deny)
		p := parse(t, "deny cmd "+c.rule+"\nask **")
		for _, word := range split(c.neither) {
			if d := p.Decide([]byte("cmd " + word)); d.Verdict != Ask {
				t.Errorf("deny %s: %s: %+v", c.rule, word, d)
			}
		}
		try(Allow, c.neither, Deny)
	}
}

// split cuts at blanks that are not in quotes.
// TestADenyOfARangeMissesNoSpelling: what an allow does not take for a number a
// program may, so that a deny takes it for one.
func TestADenyOfARangeMissesNoSpelling(t *testing.T) {
	t.Parallel()
	allow, deny := parse(t, "allow cmd 100..255\nallow mem m={1..9,20}"), parse(t, "deny cmd 100..255\ndeny mem m={1..9,20}\nallow **")
	for _, word := range []string{"cmd 0100", "cmd 00100", "cmd +100", "cmd 1_00", "cmd 0x64", "cmd 100x", "cmd ''", "cmd ' 100'", "cmd -100", "cmd 1000000000000000000000", "mem m=020", "mem m=", "mem m=+1"} {
		if d := allow.Decide([]byte(word)); d.Verdict != Deny {
			t.Errorf("allowed: %s: %+v", word, d)
		}
		if d := deny.Decide([]byte(word)); d.Verdict != Deny {
			t.Errorf("not denied: %s: %+v", word, d)
		}
	}
	for _, word := range []string{"cmd 99", "cmd 256", "cmd 0", "cmd 100000000000000000", "mem m=10", "mem m=0", "mem n=1"} {
		if d := deny.Decide([]byte(word)); d.Verdict != Allow {
			t.Errorf("denied: %s: %+v", word, d)
		}
	}
}

// TestAHalfWrittenPolicyIsNone: its last line may be the beginning of a narrower one.
func TestAHalfWrittenPolicyIsNone(t *testing.T) {
	t.Parallel()
	half := func(string) ([]byte, error) { return []byte("allow qvm-ls **"), nil }
	for text, want := range map[string]string{"allow ls\nallow qvm-prefs **": "work.policy:2:19", "include set\n": "set:1:16", "# half": "work.policy:1:7"} {
		if p, err := Parse("work.policy", []byte(text), half); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, %v", text, p, err)
		}
	}
	if _, err := Parse("work.policy", nil, nil); err != nil {
		t.Error(err)
	}
}

func split(s string) (words []string) {
	for _, w := range strings.Fields(strings.NewReplacer("'a b'", "'a\x00b'", "'a  b'", "'a\x00\x00b'").Replace(s)) {
		words = append(words, strings.ReplaceAll(w, "\x00", " "))
	}
	return words
}

func TestScriptsAndHashes(t *testing.T) {
	t.Parallel()
	script := []byte("for q in $(qvm-ls --raw-list); do echo $q; done\n")
	p := parse(t, fmt.Sprintf("allow sha256:%x\nask script\nallow echo **", sha256.Sum256(script)))
	for text, want := range map[string]Verdict{string(script): Allow, string(script) + " ": Ask, "echo a": Allow, "id": Deny, "echo $a": Ask, "# nothing": Ask} {
		if d := p.Decide([]byte(text)); d.Verdict != want {
			t.Errorf("%q: %v", text, d)
		}
	}
	p = parse(t, fmt.Sprintf("deny sha256:%x\nallow **", sha256.Sum256([]byte("echo a; echo b"))))
	if d := p.Decide([]byte("echo a; echo b")); d.Reason != queue.PolicyDenied {
		t.Errorf("plain commands, by their hash: %v", d)
	}
	if d := p.Decide([]byte("echo $x")); d.Verdict != Allow {
		t.Errorf("everything: %v", d)
	}
}

func TestWarnings(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]string{
		"allow qvm-ls **\nask **":             nil,
		"deny qvm-remove **\nask **":          nil,
		"deny qvm-remove **\nallow **":        {"work.policy:1: this deny is no protection: 'allow **' in line 2"},
		"deny id\nallow script":               {"work.policy:1: this deny is no protection"},
		"deny id\ndeny script\nallow **":      nil,
		"allow **\ndeny id":                   {"work.policy:2: no request gets here"},
		"allow sh -c **":                      {"work.policy:1: sh can run any program"},
		"allow /usr/bin/env **":               {"env can run any program"},
		"allow find /var/log -name *":         {"find can run any program"},
		"allow find /var/log -name x":         nil,
		"ask sudo **":                         nil,
		"allow qvm-* work":                    {"the program is not named"},
		"allow {qvm-ls,xargs} **":             {"xargs can run any program"},
		"allow cd /tmp":                       {"this never matches, for such a request is a script: 'cd'"},
		"deny eval **":                        {"this never matches"},
		"allow qvm-run work id\nallow kill *": nil,
	} {
		got := parse(t, text).Warnings()
		if len(got) != len(want) {
			t.Errorf("%q: %q", text, got)
			continue
		}
		for i := range want {
			if !strings.Contains(got[i], want[i]) {
				t.Errorf("%q: %q", text, got[i])
			}
		}
	}
}

// TestExplainSaysWhy: each reason for which a rule does not match has its words.
func TestExplainSaysWhy(t *testing.T) {
	t.Parallel()
	p := parse(t, "allow a b\nallow a * x\nask sha256:"+strings.Repeat("0", 64)+"\ndeny script\n")
	for script, want := range map[string][]string{
		"a":      {"the command ends before a word for b", "before a word for *", "has the hash", "plain commands, and it is about scripts"},
		"a -f x": {`"-f" is not b`, "stands for no option", "", ""},
		"a b c":  {`"c" is one word more`, `"c" is not x`, "", ""},
		"a c/d":  {"", "stand for no '/'", "", ""},
		"a '' x": {"", "does not stand for an empty word", "", ""},
		"a .. x": {"", "stands for no '..'", "", ""},
		"a b":    {"every word matches"},
		"a $b":   {"and this is a script", "and this is a script", "", "this is a script"},
	} {
		e := p.Explain([]byte(script))
		if len(e.Parts) != 1 || len(e.Parts[0].Steps) != len(want) || e.Decision != p.Decide([]byte(script)) || e.Parts[0].Decision != e.Decision {
			t.Errorf("%q: %+v", script, e)
			continue
		}
		for i, s := range e.Parts[0].Steps {
			if !strings.Contains(s.Why, want[i]) {
				t.Errorf("%q, %s: %s, want %q", script, s.Rule, s.Why, want[i])
			}
			if decided := i == len(want)-1 && e.Rule != ""; s.Matched != decided {
				t.Errorf("%q, %s: matched %t", script, s.Rule, s.Matched)
			}
		}
	}
}

// TestHostileSizes: what is large or deep is a script, and a word that is long
// is held against few characters. That none of it takes long is seen by the
// test's own limit of time.
func TestHostileSizes(t *testing.T) {
	t.Parallel()
	p := parse(t, hundredRules()+"allow echo **\nallow echo *a*a*a*a*b\n")
	long := strings.Repeat("a", maxPlain-10)
	for name, script := range map[string]string{
		"1 MiB of pipes":      strings.Repeat("echo a|", 150_000) + "echo",
		"1 MiB of parens":     strings.Repeat("(", 1<<20),
		"64 KiB of parens":    strings.Repeat("(", maxPlain),
		"64 KiB of $(":        strings.Repeat("$(", maxPlain/2),
		"64 KiB of braces":    strings.Repeat("{ ", maxPlain/2),
		"64 KiB of backticks": strings.Repeat("`", maxPlain),
		"64 KiB of quotes":    strings.Repeat("'", maxPlain-1),
		"1001 pipes":          strings.Repeat("echo a|", maxCommands) + "echo",
		"many ifs":            strings.Repeat("if ", maxPlain/3),
		"only newlines":       strings.Repeat("\n", maxPlain),
		"here-documents":      strings.Repeat("<<a ", maxPlain/4),
	} {
		if d := p.Decide([]byte(script)); d.Reason != queue.NoRule {
			t.Errorf("%s: %+v", name, d)
		}
	}
	for name, script := range map[string]string{
		"1000 pipes":    strings.Repeat("echo a|", maxCommands-1) + "echo",
		"a long word":   "echo " + long,
		"a long string": "echo '" + long + "'",
		"many words":    "echo" + strings.Repeat(" a", maxPlain/2-10),
	} {
		if d := p.Decide([]byte(script)); d.Verdict != Allow {
			t.Errorf("%s: %+v", name, d)
		}
	}
	if d := parse(t, "allow echo *a*a*a*a*b").Decide([]byte("echo " + long)); d.Verdict != Deny {
		t.Errorf("%+v", d)
	}
	if d := parse(t, "deny echo *\nask **").Decide([]byte("echo " + long)); d.Verdict != Deny {
		t.Errorf("a long word gets by a deny: %+v", d)
	}
}
