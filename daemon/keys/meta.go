package keys

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"qvmremote/daemon/qubes"
)

// Bounds of a meta file.
const (
	maxMeta      = 4 << 10 // bytes
	maxMetaLines = 64
	maxMetaName  = 32  // bytes
	maxMetaValue = 256 // bytes
)

// Meta is what dom0 knows of a qube beside its key. Until and Count belong
// to the format; this version keeps them and acts on neither.
type Meta struct {
	Authorised int64  // Unix seconds; 0 = not known
	UUID       string // the qube's, as Qubes OS tells it; "" = not known
	Legacy     bool   // version 1 is allowed for it
	Until      int64  // Unix seconds when the authorisation ends; 0 = never
	Count      int64
	Used       string // fingerprint, without spaces, of the key that has a list of used version-1 ids
	Other      []Line // names this version does not know, kept on rewriting
}

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
	if m.Until != 0 {
		lines = append(lines, Line{"until", strconv.FormatInt(m.Until, 10)})
	}
	if m.Count != 0 {
		lines = append(lines, Line{"count", strconv.FormatInt(m.Count, 10)})
	}
	var b strings.Builder
	if m.Used != "" {
		lines = append(lines, Line{"used", m.Used})
	}
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
	return m.Authorised == o.Authorised && m.UUID == o.UUID && m.Legacy == o.Legacy &&
		m.Until == o.Until && m.Count == o.Count && m.Used == o.Used && slices.Equal(m.Other, o.Other)
}
