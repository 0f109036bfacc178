package backup

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"

	"qvmremote/queue"
)

// About is what a backup says of itself.
type About struct {
	Made time.Time
	Qube string // or [queue.AnyQube]
	Key  string // the fingerprint of the qube's key, or "none"
}

const manifestFirst = "qvm-remote-backup 1"

// manifest is the first member: what is in the others. It has one spelling.
type manifest struct {
	About
	members []Member
}

func (f manifest) encode() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s\nmade %s\nqube %s\nkey %s\n", manifestFirst, f.Made.UTC().Format(time.RFC3339), f.Qube, f.Key)
	for _, m := range f.members {
		fmt.Fprintf(&b, "sha256:%x %d %s\n", m.SHA256, m.Size, m.Name)
	}
	fmt.Fprintf(&b, "end %d\n", len(f.members))
	return b.Bytes()
}

// parseManifest reads what encode gave, and refuses members that no backup has.
func parseManifest(b []byte, bounds limits) (manifest, error) {
	lines := strings.Split(string(b), "\n")
	if lines[0] != manifestFirst {
		return manifest{}, fmt.Errorf("%w: its manifest begins with %s", ErrNoBackup, queue.Quote(lines[0], 40))
	}
	if n := len(lines); n < 6 || lines[n-1] != "" || lines[n-2] != "end "+strconv.Itoa(n-6) {
		return manifest{}, fmt.Errorf("%w: its manifest has no end", ErrDamaged)
	}
	var f manifest
	var err error
	made, ok := strings.CutPrefix(lines[1], "made ")
	if f.Made, err = time.Parse(time.RFC3339, made); err != nil || !ok || f.Made.UTC().Format(time.RFC3339) != made {
		return manifest{}, fmt.Errorf("%w: its manifest does not say when it was made", ErrDamaged)
	}
	f.Qube = strings.TrimPrefix(lines[2], "qube ")
	if f.Qube != queue.AnyQube && !queue.ValidQube(f.Qube) {
		return manifest{}, fmt.Errorf("%w: its manifest names no qube", ErrDamaged)
	}
	f.Key = strings.TrimPrefix(lines[3], "key ")
	if !fingerprint(f.Key) {
		return manifest{}, fmt.Errorf("%w: its manifest has no fingerprint", ErrDamaged)
	}
	t := tally{limits: bounds}
	for _, line := range lines[4 : len(lines)-2] {
		m, ok := parseMember(line)
		if !ok {
			return manifest{}, fmt.Errorf("%w: its manifest has a line that is none: %s", ErrDamaged, queue.Quote(line, 60))
		}
		if err := t.add(m); err != nil {
			return manifest{}, err
		}
		f.members = append(f.members, m)
	}
	if !bytes.Equal(f.encode(), b) {
		return manifest{}, fmt.Errorf("%w: its manifest is spelled in another way", ErrDamaged)
	}
	return f, nil
}

func parseMember(line string) (m Member, ok bool) {
	digest, rest, _ := strings.Cut(line, " ")
	size, name, _ := strings.Cut(rest, " ")
	sum, found := strings.CutPrefix(digest, "sha256:")
	raw, err := hex.DecodeString(sum)
	if err != nil || !found || len(raw) != len(m.SHA256) {
		return Member{}, false
	}
	copy(m.SHA256[:], raw)
	if m.Size, err = strconv.ParseInt(size, 10, 64); err != nil {
		return Member{}, false
	}
	m.Name = name
	return m, true
}

// fingerprint accepts "none" and what [queue.Key.Fingerprint] gives: hash
// digits, in eight groups of four.
func fingerprint(s string) bool {
	if s == "none" {
		return true
	}
	groups := strings.Split(s, " ")
	for _, g := range groups {
		if len(g) != 4 || strings.Trim(g, "0123456789abcdef") != "" {
			return false
		}
	}
	return len(groups) == 8
}
