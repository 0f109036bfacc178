package keys

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"qvmremote/daemon/boot"
	"qvmremote/daemon/qubes"
)

// Bounds of a meta file.
const (
	maxMeta      = 4 << 10 // bytes
	maxMetaLines = 64
	maxMetaName  = 32      // bytes
	maxMetaValue = 256     // bytes
	maxBoot      = 1 << 32 // seconds that a boot may last
)

// Meta is what dom0 knows of a qube beside its key.
type Meta struct {
	Authorised int64    // Unix seconds; 0 = not known
	Record     int64    // number of the audit record of that; 0 = there is none, as for a key placed by hand
	UUID       string   // the qube's, as Qubes OS tells it; "" = not known
	Legacy     bool     // version 1 is allowed for it
	End        boot.End // of the authorisation; zero = none. Whole seconds
	Until      int64    // End in Unix seconds as the wall clock had it then, for people; 0 = not known
	Count      int64    // commands that it was authorised for; 0 = any number
	Spent      int64    // of those
	Suspended  int64    // Unix seconds since when nothing of the qube is taken until it is resumed; 0 = it is not
	Used       string   // fingerprint, without spaces, of the key that has a list of used version-1 ids
	Other      []Line   // names this version does not know, kept on rewriting
}

// Over reports whether the authorisation has ended by time. An end of which
// only the wall clock's time is known has: that clock may have been set back.
func (m Meta) Over(c boot.Clock) bool { return c.Over(m.End) || m.Until != 0 && m.End.IsZero() }

// Left is how many commands are left of a counted authorisation.
func (m Meta) Left() int64 { return max(0, m.Count-m.Spent) }

// Authorisation tells this authorisation from every other one, also of the same
// key within the same second.
func (m Meta) Authorisation() string { return fmt.Sprintf("%d/%d", m.Authorised, m.Record) }

// Line is one line of a meta file.
type Line struct{ Name, Value string }

// ParseMeta reads a meta file: lines "name value", each name once, ended by
// LF. At most 4 KiB; numbers are decimal, not negative, without leading zeros.
func ParseMeta(b []byte) (Meta, error) {
	var m Meta
	if len(b) > maxMeta {
		return m, fmt.Errorf("is longer than %d bytes", maxMeta)
	}
	if len(b) == 0 {
		return m, nil
	}
	text, ok := strings.CutSuffix(string(b), "\n")
	if !ok {
		return m, errors.New("does not end with a newline")
	}
	lines := strings.Split(text, "\n")
	if len(lines) > maxMetaLines {
		return m, fmt.Errorf("has more than %d lines", maxMetaLines)
	}
	seen := map[string]bool{}
	for i, line := range lines {
		name, value, _ := strings.Cut(line, " ")
		err := checkLine(Line{name, value})
		if err == nil && seen[name] {
			err = fmt.Errorf("%s is there twice", name)
		}
		if err == nil {
			err = m.set(name, value)
		}
		if err != nil {
			return Meta{}, fmt.Errorf("line %d: %w", i+1, err)
		}
		seen[name] = true
	}
	if m.End.Boot == "" && m.End.At != 0 {
		return Meta{}, errors.New("boot-until without boot says nothing")
	}
	return m, nil
}

func checkLine(l Line) error {
	if l.Name == "" || len(l.Name) > maxMetaName || strings.Trim(l.Name, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
		return errors.New("the name is not of a-z, 0-9, '-'")
	}
	if l.Value == "" || len(l.Value) > maxMetaValue {
		return fmt.Errorf("%s has no value, or one over %d bytes", l.Name, maxMetaValue)
	}
	for i := range len(l.Value) {
		if c := l.Value[i]; c < ' ' || c > '~' {
			return fmt.Errorf("the value of %s is not plain ASCII text", l.Name)
		}
	}
	if strings.TrimSpace(l.Value) != l.Value {
		return fmt.Errorf("the value of %s has spaces around it", l.Name)
	}
	return nil
}

func (m *Meta) set(name, value string) (err error) {
	switch name {
	case "authorised":
		m.Authorised, err = parseNumber(name, value)
	case "record":
		m.Record, err = parseNumber(name, value)
	case "uuid":
		m.UUID = value
		if !qubes.ValidUUID(value) {
			err = errors.New("uuid is not a uuid")
		}
	case "legacy":
		m.Legacy = value == "yes"
		if !m.Legacy && value != "no" {
			err = errors.New("legacy is neither yes nor no")
		}
	case "until":
		m.Until, err = parseNumber(name, value)
	case "count":
		m.Count, err = parseNumber(name, value)
	case "spent":
		m.Spent, err = parseNumber(name, value)
	case "boot":
		m.End.Boot = value
	case "boot-until":
		var n int64
		n, err = parseNumber(name, value)
		m.End.At = time.Duration(n) * time.Second
		if n <= 0 || n > maxBoot {
			err = errors.New("boot-until is no time within a boot")
		}
	case "suspended":
		m.Suspended, err = parseNumber(name, value)
	case "used":
		m.Used = value
	default:
		m.Other = append(m.Other, Line{name, value})
	}
	return err
}

func parseNumber(name, s string) (int64, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 || strconv.FormatInt(n, 10) != s {
		return 0, fmt.Errorf("%s is not a number", name)
	}
	return n, nil
}

// Encode gives the file's content. What it gives, [ParseMeta] reads as m; a
// value that cannot be written so is an error.
func (m Meta) Encode() ([]byte, error) {
	legacy := "no"
	if m.Legacy {
		legacy = "yes"
	}
	lines := []Line{{"authorised", strconv.FormatInt(m.Authorised, 10)}}
	if m.UUID != "" {
		lines = append(lines, Line{"uuid", m.UUID})
	}
	lines = append(lines, Line{"legacy", legacy})
	if m.End.Boot != "" {
		lines = append(lines, Line{"boot", m.End.Boot})
	}
	for _, n := range []struct {
		name  string
		value int64
	}{{"record", m.Record}, {"boot-until", int64(m.End.At / time.Second)}, {"until", m.Until}, {"count", m.Count}, {"spent", m.Spent}, {"suspended", m.Suspended}} {
		if n.value != 0 {
			lines = append(lines, Line{n.name, strconv.FormatInt(n.value, 10)})
		}
	}
	if m.Used != "" {
		lines = append(lines, Line{"used", m.Used})
	}
	var b strings.Builder
	for _, l := range append(lines, m.Other...) {
		b.WriteString(l.Name + " " + l.Value + "\n")
	}
	back, err := ParseMeta([]byte(b.String()))
	if err != nil {
		return nil, fmt.Errorf("meta: %w", err)
	}
	if !back.equal(m) {
		return nil, errors.New("meta: an unknown name hides a known one or holds a newline")
	}
	return []byte(b.String()), nil
}

func (m Meta) equal(o Meta) bool {
	return m.Authorised == o.Authorised && m.Record == o.Record && m.UUID == o.UUID && m.Legacy == o.Legacy &&
		m.End == o.End && m.Until == o.Until && m.Count == o.Count && m.Spent == o.Spent && m.Suspended == o.Suspended &&
		m.Used == o.Used && slices.Equal(m.Other, o.Other)
}
