package queue

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestValidID(t *testing.T) {
	t.Parallel()
	good := []string{
		"a", "0", "A.b_c-d", "e2e-single-001", "20261123-144232-18674-0b95ebc0", "ping-1795444952000000000-42",
		"auth", "x.AUTH", "x.auth.y", "x.in.1", "a.", "a-", strings.Repeat("x", 128), "x.out", "x.exit",
	}
	bad := []string{
		"", ".", "..", ".a", "-a", "_a", "a..b", "a..", "a/b", "/a", "../a", "a b", "a\n", "a\x00", "a'", "$(a)", "a;b", "a\x1b[2J",
		"a.auth", "a.cmd", "a.in", "é", "a\xff", "a*", strings.Repeat("x", 129),
	}
	for _, s := range good {
		if !ValidID(s) {
			t.Errorf("ValidID(%q) = false, want true", s)
		}
	}
	for _, s := range bad {
		if ValidID(s) {
			t.Errorf("ValidID(%q) = true, want false", s)
		}
	}
}

func TestValidQube(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"work", "sys-net", "disp1234", "a", "W_x.y-1", strings.Repeat("q", 31), "dom00", "dm", "a-dm-b"} {
		if !ValidQube(s) {
			t.Errorf("ValidQube(%q) = false, want true", s)
		}
	}
	for _, s := range []string{
		"", "-", "1a", "-a", "_a", ".a", "a/b", "a b", "a\n", "a'b", "a..b", "é", "@adminvm", "$anyvm", strings.Repeat("q", 32),
		"dom0", "Dom0", "DOM0", "none", "default", "Domain-0", "domain-0", "work-dm",
	} {
		if ValidQube(s) {
			t.Errorf("ValidQube(%q) = true, want false", s)
		}
	}
}

func TestValidAccount(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"user", "_x", "a-b_c9", strings.Repeat("u", 32)} {
		if !ValidAccount(s) {
			t.Errorf("ValidAccount(%q) = false, want true", s)
		}
	}
	for _, s := range []string{"", "User", "9a", "-a", "a b", "a$", "a/..", "..", "a;b", "a\n", "é", "a.b", strings.Repeat("u", 33)} {
		if ValidAccount(s) {
			t.Errorf("ValidAccount(%q) = true, want false", s)
		}
	}
}

func TestNewIDs(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 14, 42, 32, 0, time.FixedZone("", 3600))
	id := NewID(now, 18674)
	if !regexp.MustCompile(`^20261123-144232-18674-[0-9a-f]{8}$`).MatchString(id) || !ValidID(id) {
		t.Errorf("NewID = %q", id)
	}
	if other := NewID(now, 18674); other == id {
		t.Errorf("two ids of one second and process are both %q", id)
	}
	if got, want := NewPingID(now, 7), "ping-1795441352000000000-7"; got != want || !ValidID(got) {
		t.Errorf("NewPingID = %q, want %q", got, want)
	}
}

// The grammar as the protocol writes it, to hold the hand-written check against.
var idGrammar = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,127}\z`)

func idByGrammar(s string) bool {
	if !idGrammar.MatchString(s) || strings.Contains(s, "..") {
		return false
	}
	for _, e := range []string{".auth", ".cmd", ".in"} {
		if strings.HasSuffix(s, e) {
			return false
		}
	}
	return true
}

func TestValidIDIsTheGrammar(t *testing.T) {
	t.Parallel()
	near := rapid.StringOfN(rapid.RuneFrom([]rune("aZ09._-/\n' é")), 0, 8, -1)
	ending := rapid.SampledFrom([]string{"", ".auth", ".cmd", ".in", ".out"})
	rapid.Check(t, func(t *rapid.T) {
		s := near.Draw(t, "s") + ending.Draw(t, "ending")
		if got, want := ValidID(s), idByGrammar(s); got != want {
			t.Fatalf("ValidID(%q) = %v, the grammar says %v", s, got, want)
		}
	})
}

// What passed is one plain path component and inert in a shell.
func FuzzNames(f *testing.F) {
	for _, s := range []string{"a", "20261123-144232-18674-0b95ebc0", "..", "a/b", "a.auth", "work", "sys-net", "a'b", "a\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if ValidID(s) != idByGrammar(s) {
			t.Errorf("ValidID(%q) = %v differs from the grammar", s, ValidID(s))
		}
		if (ValidID(s) || ValidQube(s) || ValidAccount(s)) &&
			(strings.ContainsAny(s, "/\\'\"`$&|;<>()*?[]{}~!# \t\r\n\x00\x1b") || strings.HasPrefix(s, "-") || strings.HasPrefix(s, ".")) {
			t.Errorf("%q passed and is unsafe in a path or a shell", s)
		}
	})
}
