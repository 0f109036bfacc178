package repository

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"qvmremote/test/executable"
)

func TestAddresses(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"https://example.org/me/backup.git", "https://me@example.org/x", "ssh://git@example.org:2222/x.git",
		"git@example.org:me/x.git", "host:x", "/srv/x.git", "file:///srv/x.git"} {
		if _, err := parseAddress(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{"", "--upload-pack=touch /tmp/x", "-x", "ext::sh -c touch%20x", "ext::sh", "fd::17", "http://example.org/x", "git://example.org/x",
		"ftp://x/y", "relative/path", "../x", "/srv/../etc", "https://", "https://example.org", "https://-o/x", "ssh://-oProxyCommand=x/y", "ssh://a@-x/y",
		"-oProxyCommand=x:y", "a@-oProxyCommand=x:y", "-a@host:x", "host:-x", "host::x", "https://me:secret@example.org/x", "https://example.org/x?y=z",
		"https://example.org/x y", "https://example.org/x\n", "file://host/x", "https::/x", "ssh://h/-x", "x\u202ey:z", strings.Repeat("x", 2000) + ":y"} {
		if _, err := parseAddress(bad); !errors.Is(err, ErrAddress) {
			t.Errorf("%s: %v", bad, err)
		} else if strings.Contains(err.Error(), "secret") || strings.ContainsAny(err.Error(), "\n\u202e") {
			t.Errorf("the error shows %q", err)
		}
	}
}

// fake puts another program in git's place.
func fake(t *testing.T, script string) {
	t.Helper()
	dir := t.TempDir()
	must(t, executable.Write(filepath.Join(dir, "git"), []byte("#!/bin/sh\n"+script)))
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
}

func TestGitThatHangs(t *testing.T) {
	pid := filepath.Join(t.TempDir(), "pid")
	fake(t, "echo $$ >"+pid+".tmp; mv "+pid+".tmp "+pid+"; sleep 1000 & wait\n")
	r := newQube(t, "work")
	r.Waits.Local = 200 * time.Millisecond
	_, err := r.Pull(t.Context(), "/srv/x", false)
	if err == nil || !strings.Contains(err.Error(), "took more than") {
		t.Errorf("says %v", err)
	}
}

func TestWhatGitSaysIsEscapedAndBounded(t *testing.T) {
	fake(t, `printf '\033[31mred\n' >&2; head -c 10000000 /dev/zero | tr '\0' x >&2; printf '\nfatal: \033]0;title\007 no\n' >&2; exit 128`)
	_, err := newQube(t, "work").Pull(t.Context(), "/srv/x", false)
	if err == nil || !strings.Contains(err.Error(), `fatal: \x1b]0;title\x07 no`) || strings.ContainsAny(err.Error(), "\x1b\x07\n") || len(err.Error()) > 2000 {
		t.Errorf("says %q", err)
	}
}

func TestGitThatSaysTooMuch(t *testing.T) {
	fake(t, "yes\n")
	if _, err := newQube(t, "work").Pull(t.Context(), "/srv/x", false); !errors.Is(err, errTooMuch) {
		t.Errorf("says %v", err)
	}
}

func TestWithoutGit(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	if _, err := newQube(t, "work").Pull(t.Context(), "/srv/x", false); !errors.Is(err, ErrNoGit) {
		t.Errorf("says %v", err)
	}
}

// TestGitIsToldOfNoTerminalAndNoOtherProtocol: and of nothing that steers it.
func TestGitIsToldOfNoTerminalAndNoOtherProtocol(t *testing.T) {
	said := filepath.Join(t.TempDir(), "said")
	fake(t, `case "$*" in *ls-remote*) env >`+said+`; ulimit -f >>`+said+`; echo "$@" >>`+said+`; esac`+"\n")
	for _, v := range []string{"GIT_SSH_COMMAND", "GIT_EXTERNAL_DIFF", "GIT_CONFIG_PARAMETERS", "GIT_PROXY_COMMAND", "GIT_WORK_TREE", "GIT_ASKPASS"} {
		t.Setenv(v, "EVIL")
	}
	if _, err := newQube(t, "work").Pull(t.Context(), "git@example.org:x", false); !errors.Is(err, ErrNoBranch) {
		t.Errorf("says %v", err)
	}
	b, err := os.ReadFile(said)
	must(t, err)
	for _, want := range []string{"GIT_TERMINAL_PROMPT=0\n", "GIT_ALLOW_PROTOCOL=https:ssh:file\n", fmt.Sprintf("\n%d\n", maxFile), "core.hooksPath=/dev/null", "protocol.allow=never",
		" -- git@example.org:x refs/heads/" + Branch} {
		if !strings.Contains(string(b), want) {
			t.Errorf("git was not told %q:\n%s", want, b)
		}
	}
	if bytes.Contains(b, []byte("EVIL")) || bytes.Contains(b, []byte("upload-pack")) {
		t.Errorf("git was told\n%s", b)
	}
}
