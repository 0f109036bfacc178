// Package language has the tests of the desktop programs look at one that speaks
// another language than English.
//
// It guarantees that the program under test is an installed one, put where `make`
// puts it, so that what a package ships is what speaks.
package language

import (
	"context"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
	"time"

	"qvmremote/resources/po"
	"qvmremote/test/desktop"
	"qvmremote/ui/i18n"
)

// Locale is what a person's session has set who reads German.
const Locale = "LANG=de_DE.UTF-8"

// A Speaker is an installed program that speaks German.
type Speaker struct {
	i18n.Catalogue
	Program string
	english []*regexp.Regexp // what it may not say
}

// Install puts a program that was built into a folder of its own, by a target
// of the Makefile; from is the working folder's way to the repository's root.
func Install(t *testing.T, from, target, program string) *Speaker {
	t.Helper()
	place := t.TempDir()
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	cmd := exec.CommandContext(ctx, "make", "-C", from, "--no-print-directory", "catalogues", target, "DESTDIR="+place, "PREFIX=/usr",
		"PROGRAMS="+filepath.Dir(program), "CATALOGUES="+filepath.Join(place, "built"))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("make %s: %v\n%s", target, err, out)
	}
	name := filepath.Base(program)
	c, err := i18n.Find(func(name string) string {
		if name == "LANG" {
			return "de"
		}
		return ""
	}, i18n.Place{Folders: []string{filepath.Join(place, "usr/share/locale")}, Domain: name})
	if err != nil || c.Language() != "de" {
		t.Fatalf("the installed catalogue: %q, %v", c.Language(), err)
	}
	s := &Speaker{Catalogue: c, Program: filepath.Join(place, "usr/bin", name)}
	s.english = only(t, from, c)
	return s
}

// only are the messages that are something else in German.
func only(t *testing.T, from string, c i18n.Catalogue) []*regexp.Regexp {
	t.Helper()
	messages, err := po.Messages(from)
	if err != nil {
		t.Fatal(err)
	}
	german := map[string]bool{}
	for _, m := range messages {
		if m.Context != "" {
			german[c.C(m.Context, m.Text, []any{}...)] = true
		} else {
			german[c.T(m.Text, []any{}...)] = true
		}
	}
	var english []*regexp.Regexp
	for _, m := range messages {
		if !german[m.Text] && words.MatchString(m.Text) && !slices.Contains(toolkit, m.Text) {
			english = append(english, said(m.Text))
			if m.Plural != "" {
				english = append(english, said(m.Plural))
			}
		}
	}
	if len(english) < 100 {
		t.Fatalf("only %d messages are told from German", len(english))
	}
	return english
}

// said fits a message, filled in with whatever; GTK names a button twice.
func said(message string) *regexp.Regexp {
	pattern := verb.ReplaceAllString(regexp.QuoteMeta(message), ".+")
	return regexp.MustCompile("^" + pattern + "( " + pattern + ")?$")
}

// toolkit is what GTK says by itself, in German only where that locale is
// installed.
var toolkit = []string{"Close"}

var (
	verb  = regexp.MustCompile(`%[.0-9]*[a-z]`)
	words = regexp.MustCompile(`[a-z]{3}`)
)

// Say is a message in German.
func (s *Speaker) Say(message string) string { return s.T(message, []any{}...) }

// NoEnglish reports what one sees below a node, and what an assistive technology
// is told of it, that is a message in English; test/rules holds that all which
// looks like words is a message.
func (s *Speaker) NoEnglish(t *testing.T, where string, n *desktop.Node) {
	t.Helper()
	for _, node := range n.Such(t, func(c *desktop.Node) bool { return s.isEnglish(c.Name) }) {
		t.Errorf("%s: %s is in English", where, node)
	}
}

func (s *Speaker) isEnglish(text string) bool {
	return slices.ContainsFunc(s.english, func(e *regexp.Regexp) bool { return e.MatchString(text) })
}
