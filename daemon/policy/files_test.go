package policy

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestErrorsNameLineAndColumn: a file with one of these has no policy at all.
func TestErrorsNameLineAndColumn(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"permit qvm-ls":     "1:1: a line begins with allow, ask, deny, limit or include, not with \"permit\"",
		"\n\n  allow":       "3:8: what is this rule about",
		"allow ** qvm-ls":   "1:10: \"**\" stands alone",
		"allow script -c x": "1:14: \"script\" stands alone",
		"allow sha256:12":   "1:7: not 'sha256:' and 64 of",
		"allow sha256:" + strings.Repeat("A", 64): "1:7: not 'sha256:' and 64 of",
		"allow qvm-ls ** a":                       "1:17: '**' is the rest of the command",
		"allow qvm-ls ***":                        "1:14: '***'",
		"allow qvm-ls; id":                        "1:13: ';' outside of quotes here",
		"allow qvm-ls $HOME":                      "1:14: '$'",
		"allow qvm-ls \"$HOME\"":                  "1:15: '$' stands in single quotes",
		"allow qvm-ls a\\ b":                      "1:15: '\\' outside of quotes",
		"allow qvm-ls 'a":                         "1:14: a quote that is not closed",
		"allow qvm-ls 'é'":                        "1:15: a character that is not visible ASCII",
		"allow qvm-ls é":                          "1:14: a character that is not visible ASCII",
		"allow qvm-ls [a-z]":                      "1:14: '['",
		"allow qvm-ls ~":                          "1:14: '~'",
		"allow qvm-ls {a,b":                       "1:14: a set that is not closed",
		"allow qvm-ls {a, b}":                     "1:17: a choice of the set is missing",
		"allow qvm-ls {a,}":                       "1:17: a choice of the set is missing",
		"allow qvm-ls {a,{b}}":                    "1:17: a set within a set",
		"allow qvm-ls 9..3":                       "1:14: no number is from 9 to 3",
		"allow qvm-ls 03..9":                      "1:14: 03 is not a number",
		"allow qvm-ls 1..9999999999999999999":     "1:14: 9999999999999999999 is not a number",
		"allow qvm-ls {1,2,3}{1,2,3}{1,2,3}{1,2,3}{1,2,3}{1,2,3}": "choices",
		"allow qvm-ls " + strings.Repeat("a*", 20):                "1:14: the word has more than",
		"limit":                                "1:6: a limit has a name and a value",
		"limit speed 3":                        "limit speed: no such limit; there are requests, running",
		"limit requests 30":                    "limit requests: \"30\" is not 1/min to 6000/min",
		"limit requests 0/min":                 "is not 1/min",
		"limit running 03":                     "is not 1 to 1000",
		"limit script 2M":                      "is not 1 to 1048576 bytes",
		"limit stdin many":                     "is not a size such as",
		"limit running 3 4":                    "1:17: more than belongs here",
		"limit running 3\nlimit running 4":     "2:16: limit running is set a second time, first in work.policy:1",
		"include":                              "1:8: include names a file",
		"include ../work.key":                  "\"../work.key\" is not the name of a set",
		"include /etc/shadow":                  "is not the name of a set",
		"include .hidden":                      "is not the name of a set",
		"include none":                         "1:13: cannot include none: there is no such file in",
		"include twice\ninclude twice":         "2:14: twice is included a second time",
		"include itself":                       "itself is included a second time",
		"include wrong":                        "wrong:2:1: a line begins with",
		"allow qvm-ls # \x1b[31m":              "1:16: a character that cannot be seen",
		"allow qvm-ls # \u202e":                "1:16: a character that cannot be seen",
		"allow qvm-ls # \xff":                  "1:16: a character that cannot be seen",
		"allow qvm-ls\x00":                     "1:13: a character that cannot be seen",
		strings.Repeat("ask **\n", maxRules+1): fmt.Sprintf("%d:1: more than %d rules", maxRules+1, maxRules),
		strings.Repeat("#", MaxFile+1):         "it is longer than",
	} {
		dir := t.TempDir()
		put(t, filepath.Join(dir, "work.policy"), text)
		put(t, filepath.Join(dir, "include/twice"), "ask a\n")
		put(t, filepath.Join(dir, "include/itself"), "include itself")
		put(t, filepath.Join(dir, "include/wrong"), "ask a\nwhat")
		p, err := Load(dir, "work")
		var e *Error
		if p != nil || !errors.As(err, &e) || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60q: %v, want %q", text, err, want)
		}
	}
	if _, err := Parse("big", make([]byte, MaxFile+1), nil); err == nil {
		t.Error("a text that is too long is parsed")
	}
	if _, err := Parse("alone", []byte("include a"), nil); err == nil {
		t.Error("something is included from nowhere")
	}
}

func TestManyFilesAreNotIncluded(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	for i := range maxIncludes + 1 {
		fmt.Fprintf(&b, "include s%d\n", i)
	}
	_, err := Parse("work.policy", []byte(b.String()), func(string) ([]byte, error) { return nil, nil })
	if err == nil || !strings.Contains(err.Error(), "work.policy:17:") {
		t.Errorf("%v", err)
	}
}

// TestWhoseFilesCount: a file that somebody else may have written is none.
func TestWhoseFilesCount(t *testing.T) {
	t.Parallel()
	dir := machine(t)
	path := filepath.Join(dir, "work.policy")
	if _, err := Load(dir, "work"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	if _, err := Load(dir, "../work"); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no name of a qube: %v", err)
	}
	put(t, path, "include read-only\nlimit running 2\n")
	p, err := Load(dir, "work")
	if err != nil || p.Decide([]byte("qvm-ls")).Rule != "read-only:7: allow qvm-ls **" {
		t.Fatalf("a set of the package: %v, %+v", err, p.Decide([]byte("qvm-ls")))
	}
	put(t, filepath.Join(dir, "include/read-only"), "ask qvm-ls\n")
	own, err := Load(dir, "work")
	if err != nil || own.Decide([]byte("qvm-ls")).Rule != "read-only:1: ask qvm-ls" || own.Hash() == p.Hash() {
		t.Errorf("a set of the administrator's own: %v, %+v", err, own.Decide([]byte("qvm-ls")))
	}
	if again, err := Load(dir, "work"); err != nil || again.Hash() != own.Hash() {
		t.Errorf("the same files have another hash: %v", err)
	}
	names, err := Names(dir)
	if err != nil || !reflect.DeepEqual(names, []string{"work"}) {
		t.Errorf("policies of %q, %v", names, err)
	}
	for name, spoil := range map[string]func() error{
		"others may write": func() error { return os.Chmod(path, 0o602) },
		"group may write":  func() error { return os.Chmod(path, 0o620) },
		"link":             func() error { return errors.Join(os.Rename(path, path+".old"), os.Symlink(path+".old", path)) },
		"fifo":             func() error { return errors.Join(os.Remove(path), unix.Mkfifo(path, 0o600)) },
		"folder":           func() error { return errors.Join(os.Remove(path), os.Mkdir(path, 0o700)) },
	} {
		_ = os.RemoveAll(path)
		put(t, path, "allow **\n")
		if err := spoil(); err != nil {
			t.Fatal(err)
		}
		var e *Error
		if _, err := Load(dir, "work"); !errors.As(err, &e) || e.File != path {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	text := "limit requests 30/min\nlimit running 2\nlimit pending 20\nlimit script 65536\nlimit stdin 1048576\nlimit timeout 600\nlimit failures 10"
	p := parse(t, text)
	want := Limits{RequestsPerMinute: 30, Running: 2, Pending: 20, MaxBody: 64 << 10, MaxStdin: 1 << 20, MaxTimeout: 600, SuspendAfter: 10}
	if p.Limits() != want {
		t.Errorf("%+v", p.Limits())
	}
	if got := strings.Join(want.Strings(), "\n"); got != text {
		t.Errorf("written again:\n%s", got)
	}
	if none := parse(t, "limit script 64K").Limits(); none != (Limits{MaxBody: 64 << 10}) || len((Limits{}).Strings()) > 0 {
		t.Errorf("%+v", none)
	}
	var none *Policy
	if none.Limits() != (Limits{}) || none.Hash() != "" || none.Rules() != nil || none.Warnings() != nil || none.Explain(nil).Verdict != Deny {
		t.Error("no policy says something")
	}
}
