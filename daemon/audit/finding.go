package audit

import "fmt"

// FindingKind says what was found.
type FindingKind string

// The kinds of findings.
const (
	New        FindingKind = "new"         // no log was there
	TornTail   FindingKind = "torn"        // bytes after the last LF were cut
	Short      FindingKind = "short"       // fewer records than the signed head says
	Damaged    FindingKind = "damaged"     // records unreadable, missing or changed
	NoHead     FindingKind = "no-head"     // signed head missing or not signed by the log's key
	ChangedKey FindingKind = "changed-key" // the signing key was missing; a new one was made
	TreeGone   FindingKind = "tree"        // the tree had to be rebuilt
	Broken     FindingKind = "broken"      // see ErrBroken
	Failing    FindingKind = "failing"     // the last append failed
	Unsigned   FindingKind = "unsigned"    // see ErrUnsigned
	NoReserve  FindingKind = "no-reserve"  // see ErrReserve
	Young      FindingKind = "young"       // above MaxBytes, all of it younger than MinAge
	NoRotation FindingKind = "no-rotation" // a new segment could not be begun
	Unsettled  FindingKind = "unsettled"   // the head could not be synced
)

// Severity says how much a finding matters.
type Severity string

// The severities.
const (
	Info    Severity = "info"    // normal, or mended
	Warning Severity = "warning" // everything is recorded, but something must be mended
	Error   Severity = "error"   // records are missing, nothing new is recorded, or soon will not be
)

// Severity says how much findings of this kind matter; one not known here is an
// Error.
func (k FindingKind) Severity() Severity {
	switch k {
	case New, TornTail, TreeGone:
		return Info
	case Unsigned, NoRotation, Unsettled:
		return Warning
	}
	return Error
}

// LosesClaims reports whether a claim may be missing from the log after such a
// finding: the log's owner then raises the floors of all keys.
func (k FindingKind) LosesClaims() bool {
	switch k {
	case New, Short, Damaged, NoHead, ChangedKey:
		return true
	}
	return false
}

// Finding is something that the owner of the log should know or show.
type Finding struct {
	Kind   FindingKind
	Detail string // a sentence for people
}

// Findings gives what was found at Open and since, and what is wrong now.
func (l *Log) Findings() []Finding {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := append([]Finding(nil), l.found...)
	if l.broken != nil {
		out = append(out, Finding{Broken, l.broken.Error()})
	}
	if l.reserve != nil {
		out = append(out, Finding{NoReserve, l.reserve.Error()})
	}
	for _, kind := range []FindingKind{Failing, Unsigned, Young, NoRotation, Unsettled} {
		if f, ok := l.standing[kind]; ok {
			out = append(out, f)
		}
	}
	return out
}

func (l *Log) report(kind FindingKind, format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.found = append(l.found, Finding{kind, fmt.Sprintf(format, args...)})
}

// stand sets or, with a nil error, lifts a finding that lasts as long as its
// cause.
func (l *Log) stand(kind FindingKind, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.standing, kind)
	if err != nil {
		l.standing[kind] = Finding{kind, err.Error()}
	}
}
