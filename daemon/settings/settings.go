// Package settings reads and edits remote.conf: which qubes dom0 looks at and
// within which limits.
//
// It guarantees:
//   - A line that is not understood is an error with its number and cause; it
//     never becomes a qube's name or half a value. Nothing in the file is ever
//     run or expanded.
//   - Every setting has a default, a range, and one place ([Table]) that says
//     so; the file's template is made from it, and a test holds
//     docs/settings.md against it.
//   - A value that this version cannot honour is refused, never ignored.
//   - Editing keeps every other line as it is, and a crash leaves the old file
//     or the new one.
//   - A file that breaks while the daemon runs changes nothing.
package settings

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"qvmremote/daemon/trusted"
	"qvmremote/queue"
)

// Settings are the values in force.
type Settings struct {
	VMs    []string // qubes to look at, in the order given, each once
	VMUser string   // account in the qubes whose home holds the queue

	Transport string // Auto, Stream, Qrexec or Poll
	Legacy    bool   // version 1 is allowed for every qube: insecure

	MaxTimeout int64 // seconds a request may ask for
	MaxScript  int64 // bytes
	MaxStdin   int64 // bytes
	MaxOutput  int64 // bytes of stdout, and of stderr, that are delivered
	MaxPending int64 // requests of one qube that wait

	Concurrent int64 // commands at once
	PerQube    int64 // commands at once of one qube
	MaxRunning int64 // commands at once, with the one that each qube always gets
	StopWait   int64 // seconds running commands get when the daemon stops
	PidsMax    int64 // processes and threads of one command; 0 = no limit
	MemoryMax  int64 // bytes of one command; 0 = no limit

	SpoolQube  int64 // bytes in the spool, of one qube
	SpoolTotal int64 // bytes in the spool, of all
	SpoolFree  int64 // bytes that stay free on its disk

	AuditDays    int64 // days a record is kept
	AuditBytes   int64 // bytes all records may take
	AuditReserve int64 // bytes kept for final records
	Excerpt      int64 // bytes of each end of each output that the log keeps
	Requests     int64 // of one qube a minute, 0 for any number
	SuspendAfter int64 // requests of one qube in a row that are not signed with its key, 0 for any number
	Refusals     int64 // unauthenticated refusals of a qube recorded singly, a minute
}

// Default gives the settings of an empty file.
func Default() Settings {
	var s Settings
	for _, d := range Table() {
		// A test holds that every default passes its own check.
		_ = d.set(&s, d.Default)
	}
	return s
}

// Warning is something odd that does not stop anything.
type Warning struct {
	Where string // "/etc/qubes/remote.conf:7", or "environment"
	Text  string
}

func (w Warning) String() string { return w.Where + ": " + w.Text }

// Source is where settings come from. The first that says something about a
// setting wins: the command line, the environment, the file.
type Source struct {
	Path    string
	Environ []string // as os.Environ gives it
	VMs     []string // from --vm; empty = not given
}

const (
	maxFile = 64 << 10 // bytes
	maxVMs  = 500      // Qubes OS cannot run so many
)

// Load reads the settings. A missing file is no error. The error names the
// first bad line of the file, or the bad variable of the environment.
func (src Source) Load() (Settings, []Warning, error) {
	s, warnings, err := src.load()
	if err != nil {
		err = broken{err}
	}
	return s, warnings, err
}

// ErrBroken is what every error of [Source.Load] is.
var ErrBroken = errors.New("the settings are broken")

type broken struct{ error }

func (b broken) Unwrap() error        { return b.error }
func (b broken) Is(target error) bool { return target == ErrBroken }

func (src Source) load() (Settings, []Warning, error) {
	text, warnings, err := src.read()
	if err != nil {
		return Settings{}, nil, err
	}
	file, err := parse(src.Path, text)
	if err != nil {
		return Settings{}, nil, err
	}
	warnings = append(warnings, unknown(file)...)
	env, more := src.environment()
	warnings = append(warnings, more...)
	s := Default()
	for _, d := range Table() {
		a, from, ok := pick(d, env, file)
		if !ok {
			continue
		}
		if err := d.set(&s, a.value); err != nil {
			return Settings{}, nil, fmt.Errorf("%s: %s: %w", a.where, a.name, err)
		}
		if over, _, also := pick(d, nil, file); from == 0 && also && over.value != a.value {
			warnings = append(warnings, Warning{a.where, fmt.Sprintf("%s overrides %s in %s", a.name, over.name, over.where)})
		}
	}
	if len(src.VMs) > 0 {
		if err := setVMs(&s, strings.Join(src.VMs, " ")); err != nil {
			return Settings{}, nil, fmt.Errorf("--vm: %w", err)
		}
	}
	return s, warnings, s.consistent(src.Path)
}

// consistent refuses limits that contradict one another.
func (s Settings) consistent(path string) error {
	if s.SpoolQube > s.SpoolTotal {
		return fmt.Errorf("%s: QVM_REMOTE_SPOOL_QUBE is more than QVM_REMOTE_SPOOL_TOTAL", path)
	}
	if s.MaxRunning < s.Concurrent {
		return fmt.Errorf("%s: QVM_REMOTE_MAX_RUNNING is less than QVM_REMOTE_CONCURRENT", path)
	}
	return nil
}

// read returns the file's text, or says why it cannot be trusted.
func (src Source) read() (string, []Warning, error) {
	text, mode, err := trusted.Read(src.Path, maxFile)
	var bad *trusted.Error
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", nil, nil
	case errors.As(err, &bad):
		return "", nil, bad
	case err != nil:
		return "", nil, fmt.Errorf("cannot read the settings: %w", err)
	case mode.Perm() != 0o600:
		return string(text), []Warning{{src.Path, fmt.Sprintf("has mode %04o; better: chmod 600 %s", mode.Perm(), src.Path)}}, nil
	}
	return string(text), nil, nil
}

// pick finds the first value that is not empty: for each source in turn, the
// setting's name and then its older names. from is the source's number.
func pick(d Setting, sources ...[]assignment) (a assignment, from int, ok bool) {
	for from, source := range sources {
		for _, name := range append([]string{d.Name}, d.Older...) {
			i := slices.IndexFunc(source, func(a assignment) bool { return a.name == name && a.value != "" })
			if i >= 0 {
				return source[i], from, true
			}
		}
	}
	return assignment{}, 0, false
}

// notSettings are QVM_REMOTE_ names of the environment that belong elsewhere.
var notSettings = []string{"QVM_REMOTE_REAL", "QVM_REMOTE_BUS", "QVM_REMOTE_CRASH", "QVM_REMOTE_CRASH_TRACE", "QVM_REMOTE_QUBE", "QVM_REMOTE_ID"}

func (src Source) environment() ([]assignment, []Warning) {
	var set []assignment
	var warnings []Warning
	for _, e := range src.Environ {
		name, value, _ := strings.Cut(e, "=")
		if known(name) {
			set = append(set, assignment{name: name, value: strings.TrimSpace(value), where: "environment"})
		} else if strings.HasPrefix(name, "QVM_REMOTE_") && !slices.Contains(notSettings, name) {
			warnings = append(warnings, Warning{"environment", queue.Escape(name, 60) + " is no setting"})
		}
	}
	return set, warnings
}

func unknown(file []assignment) []Warning {
	var warnings []Warning
	for _, a := range file {
		if !known(a.name) {
			warnings = append(warnings, Warning{a.where, a.name + " is no setting"})
		}
	}
	return warnings
}

func known(name string) bool {
	return slices.ContainsFunc(Table(), func(d Setting) bool { return d.Name == name || slices.Contains(d.Older, name) })
}
