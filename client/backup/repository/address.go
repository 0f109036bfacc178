package repository

import (
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"

	"qvmremote/queue"
)

// ErrAddress says that an address is not of a kind that is used.
var ErrAddress = errors.New("this address cannot be used")

var (
	host    = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]{1,5})?$`)
	account = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]*$`)
	scp     = regexp.MustCompile(`^(?:([^@/:]+)@)?([^@/:]+):([^:].*)$`)
)

// address is where a repository is.
type address struct {
	text  string // for git, after "--"
	local bool   // on this machine: git reads that repository's configuration
}

// parseAddress accepts https:// and ssh:// addresses, user@host:path, and
// absolute paths, also as file://.
func parseAddress(s string) (address, error) {
	bad := func(why string) (address, error) {
		return address{}, fmt.Errorf("%w: %s %s; give https://HOST/PATH, ssh://USER@HOST/PATH, USER@HOST:PATH or an absolute path",
			ErrAddress, queue.Quote(s, 120), why)
	}
	for _, c := range s {
		if c <= ' ' || c >= 0x7f && c <= 0xa0 {
			return bad("has blanks or control characters in it")
		}
	}
	switch {
	case s == "" || len(s) > 1024:
		return bad("is empty or too long")
	case strings.HasPrefix(s, "-"):
		return bad("begins with a dash")
	case strings.HasPrefix(s, "/"):
		return local(s, s, bad)
	case strings.HasPrefix(s, "file:///"):
		return local(s, strings.TrimPrefix(s, "file://"), bad)
	case strings.HasPrefix(s, "https://"), strings.HasPrefix(s, "ssh://"):
		return remote(s, bad)
	case strings.Contains(s, "://") || strings.Contains(s, "::"):
		return bad("is of a kind that is not used")
	}
	m := scp.FindStringSubmatch(s)
	if m == nil || !host.MatchString(m[2]) || m[1] != "" && !account.MatchString(m[1]) || strings.HasPrefix(m[3], "-") {
		return bad("names no host and path")
	}
	return address{text: s}, nil
}

func local(s, path string, bad func(string) (address, error)) (address, error) {
	if filepath.Clean(path) != strings.TrimSuffix(path, "/") || path == "/" {
		return bad("is no clean path")
	}
	return address{text: s, local: true}, nil
}

func remote(s string, bad func(string) (address, error)) (address, error) {
	u, err := url.Parse(s)
	switch {
	case err != nil || !host.MatchString(u.Host):
		return bad("names no host")
	case u.Path == "" || u.Path == "/" || strings.HasPrefix(u.Path, "/-") || u.RawQuery != "" || u.Fragment != "":
		return bad("names no path of a repository")
	case u.User == nil:
		return address{text: s}, nil
	}
	if _, secret := u.User.Password(); secret {
		return address{}, fmt.Errorf("%w: it has a password in it, which would be kept in a file and be seen by other programs; "+
			"use a credential helper of git, or ssh", ErrAddress)
	}
	if !account.MatchString(u.User.Username()) {
		return bad("has an odd account")
	}
	return address{text: s}, nil
}
