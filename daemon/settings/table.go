package settings

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"qvmremote/queue"
)

// Setting describes one name of remote.conf.
type Setting struct {
	Name    string
	Older   []string // names of earlier versions, read when Name has no value
	Default string   // as it would stand in the file
	Unit    string   // of the value, for people
	Doc     string   // one sentence, or a few
	AtStart bool     // a change counts from the daemon's next start on

	set   func(s *Settings, value string) error
	text  func(s Settings) string // as set takes it
	field func(*Settings) *int64  // where set puts it; nil for one that is no number
}

// In is the setting's value in s, as it would stand in the file.
func (d Setting) In(s Settings) string { return d.text(s) }

// About is what the setting is, and in brackets what it takes and from when on
// a change counts.
func (d Setting) About() string {
	when := ""
	if d.AtStart {
		when = "; from the daemon's next start"
	}
	return fmt.Sprintf("%s (%s%s)", d.Doc, d.Unit, when)
}

// The ways to reach a qube (docs/protocol.md §7).
const (
	Auto   = "auto"   // a stream, or polling where the qube has no agent; by either program
	Stream = "stream" // the same, by qvm-run only
	Qrexec = "qrexec" // the same, by qrexec-client only
	Poll   = "poll"   // polling only
)

var transports = []string{Auto, Stream, Qrexec, Poll}

// Table lists all settings, in the order of the template.
func Table() []Setting {
	return []Setting{
		{Name: "QVM_REMOTE_VMS", Older: []string{"QUBES_REMOTE_VMS", "QVM_REMOTE_VM", "QUBES_REMOTE_VM"}, Unit: "names, space between",
			Doc: "Qubes that dom0 looks at. One without a key gets each request denied.", set: setVMs,
			text: func(s Settings) string { return strings.Join(s.VMs, " ") }},
		{Name: "QVM_REMOTE_VM_USER", Default: "user", Unit: "account", Doc: "Account in the qubes whose home holds the queue.", set: setUser,
			text: func(s Settings) string { return s.VMUser }},
		{Name: "QVM_REMOTE_TRANSPORT", Default: Auto, Unit: strings.Join(transports, ", "),
			Doc: "How dom0 reaches a qube: one long qvm-run, or with qrexec one long qrexec-client; where our program is not in the qube, single calls of it, and with poll those only. With auto it is qvm-run first, qrexec-client, where that is in PATH, for connecting again, for more than 10 qubes and for single calls, which with poll are by it, too.",
			set: setTransport, text: func(s Settings) string { return s.Transport }},
		{Name: "QVM_REMOTE_LEGACY", Default: "0", Unit: "0 or 1",
			Doc: "1 takes requests of version 1 from every qube with a key. That is insecure: such a request does not say what it runs. For one qube: authorize --legacy.",
			set: setLegacy, text: func(s Settings) string {
				if s.Legacy {
					return "1"
				}
				return "0"
			}},

		number("MAX_TIMEOUT", "86400", "seconds", 1, queue.MaxTimeout, "Longest timeout a request may ask for.", func(s *Settings) *int64 { return &s.MaxTimeout }),
		size("MAX_SCRIPT", "1M", 1, queue.MaxScript, "Largest script.", func(s *Settings) *int64 { return &s.MaxScript }),
		size("MAX_STDIN", "64M", 1, queue.MaxStdin, "Largest standard input.", func(s *Settings) *int64 { return &s.MaxStdin }),
		size("MAX_OUTPUT", "10M", 1<<10, queue.MaxOutput, "Most of stdout, and of stderr, that is delivered; then it is truncated.", func(s *Settings) *int64 { return &s.MaxOutput }),
		number("MAX_PENDING", "1000", "requests", 1, queue.MaxPending, "Requests of one qube that may wait.", func(s *Settings) *int64 { return &s.MaxPending }),

		number("REQUESTS", "0", "requests", 0, 6000, "Requests of one qube that are taken a minute, on average; 0 is no limit.", func(s *Settings) *int64 { return &s.Requests }),
		number("SUSPEND_AFTER", "100", "requests", 0, 1000, "Requests of one qube in a row that are not signed with its key, after which nothing of it is taken until qvm-remote-dom0 resume VM; 0 is never.", func(s *Settings) *int64 { return &s.SuspendAfter }),

		number("CONCURRENT", "8", "commands", 1, 1000, "Commands that run at once.", func(s *Settings) *int64 { return &s.Concurrent }),
		number("PER_QUBE", "4", "commands", 1, 1000, "Commands of one qube that run at once.", func(s *Settings) *int64 { return &s.PerQube }),
		number("MAX_RUNNING", "50", "commands", 1, 1000, "Commands at once with the one that a qube with none running always gets.", func(s *Settings) *int64 { return &s.MaxRunning }),
		number("STOP_WAIT", "30", "seconds", 0, 3600, "Time that running commands get when the daemon stops.", func(s *Settings) *int64 { return &s.StopWait }),
		atStart(number("PIDS_MAX", "0", "processes", 0, 1<<22, "Most processes and threads of one command; 0 is no limit.", func(s *Settings) *int64 { return &s.PidsMax })),
		atStart(size("MEMORY_MAX", "0", 0, 1<<50, "Most memory of one command; 0 is no limit.", func(s *Settings) *int64 { return &s.MemoryMax })),

		atStart(size("SPOOL_QUBE", "256M", 1<<20, 1<<50, "Most that one qube's open and undelivered requests take on disk.", func(s *Settings) *int64 { return &s.SpoolQube })),
		atStart(size("SPOOL_TOTAL", "1G", 1<<20, 1<<50, "Most that all of them take.", func(s *Settings) *int64 { return &s.SpoolTotal })),
		atStart(size("SPOOL_FREE", "512M", 0, 1<<50, "What stays free on that disk in any case.", func(s *Settings) *int64 { return &s.SpoolFree })),

		atStart(number("AUDIT_DAYS", "400", "days", 30, 36500, "How long audit records are kept.", func(s *Settings) *int64 { return &s.AuditDays })),
		atStart(size("AUDIT_BYTES", "1G", 16<<20, 1<<50, "Most that audit records take; none younger than 30 days is removed for it.", func(s *Settings) *int64 { return &s.AuditBytes })),
		atStart(size("AUDIT_RESERVE", "4M", 1<<20, 1<<30, "Kept in the audit folder for final records; without it nothing new is taken.", func(s *Settings) *int64 { return &s.AuditReserve })),
		number("EXCERPT", "1024", "bytes", 0, 4<<10, "Kept of the beginning, and of the end, of each output in the audit log; 0 is nothing.", func(s *Settings) *int64 { return &s.Excerpt }),
		number("REFUSALS", "20", "records", 1, 1000, "Unauthenticated refusals of one qube that are recorded singly, a minute; the rest is counted.", func(s *Settings) *int64 { return &s.Refusals }),
	}
}

func number(name, def, unit string, lo, hi int64, doc string, field func(*Settings) *int64) Setting {
	return Setting{Name: "QVM_REMOTE_" + name, Default: def, Unit: fmt.Sprintf("%s, %d to %d", unit, lo, hi), Doc: doc, field: field,
		text: func(s Settings) string { return strconv.FormatInt(*field(&s), 10) },
		set: func(s *Settings, value string) error {
			n, err := strconv.ParseInt(value, 10, 64)
			if err != nil || strconv.FormatInt(n, 10) != value {
				return fmt.Errorf("%s is not a whole number", queue.Quote(value, 40))
			}
			return store(field(s), n, lo, hi)
		}}
}

func size(name, def string, lo, hi int64, doc string, field func(*Settings) *int64) Setting {
	return Setting{Name: "QVM_REMOTE_" + name, Default: def, Unit: fmt.Sprintf("bytes, or with K, M, G, T; %s to %s", bytes(lo), bytes(hi)), Doc: doc, field: field,
		text: func(s Settings) string { return bytes(*field(&s)) },
		set: func(s *Settings, value string) error {
			n, err := ParseSize(value)
			if err != nil {
				return err
			}
			return store(field(s), n, lo, hi)
		}}
}

func atStart(d Setting) Setting {
	d.AtStart = true
	return d
}

// Waiting names the settings whose change from old to now has to wait for the
// daemon's next start.
func Waiting(old, now Settings) []string {
	var names []string
	for _, d := range Table() {
		if d.AtStart && *d.field(&old) != *d.field(&now) {
			names = append(names, d.Name)
		}
	}
	return names
}

// InForce is now, but for the settings that count from the daemon's next start
// on: those as the daemon started with them.
func InForce(started, now Settings) Settings {
	for _, d := range Table() {
		if d.AtStart {
			*d.field(&now) = *d.field(&started)
		}
	}
	return now
}

func store(field *int64, n, lo, hi int64) error {
	if n < lo || n > hi {
		return fmt.Errorf("%d is not between %d and %d", n, lo, hi)
	}
	*field = n
	return nil
}

const unitLetters = "KMGT"

// ParseSize reads bytes: 4096, 64K, 64KiB, 10M, 1G; each letter is 1024 times
// the one before.
func ParseSize(value string) (int64, error) {
	bad := fmt.Errorf("%s is not a size such as 4096, 64K, 10M, 1G", queue.Quote(value, 40))
	digits := strings.TrimRight(strings.TrimSuffix(value, "iB"), unitLetters)
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || strconv.FormatInt(n, 10) != digits || n < 0 {
		return 0, bad
	}
	letter, binary := strings.CutSuffix(value[len(digits):], "iB")
	if len(letter) > 1 || binary && letter == "" {
		return 0, bad
	}
	if letter == "" {
		return n, nil
	}
	shift := 10 * (strings.Index(unitLetters, letter) + 1)
	if n > math.MaxInt64>>shift {
		return 0, bad
	}
	return n << shift, nil
}

// bytes writes a size the way it is read.
func bytes(n int64) string {
	letter := ""
	for i := 0; i < len(unitLetters) && n != 0 && n%1024 == 0; i++ {
		n, letter = n/1024, unitLetters[i:i+1]
	}
	return strconv.FormatInt(n, 10) + letter
}

func setVMs(s *Settings, value string) error {
	s.VMs = nil
	for _, vm := range strings.Fields(value) {
		if !queue.ValidQube(vm) {
			return fmt.Errorf("%s is not a qube's name (a letter, then letters, digits, '_', '-', '.', at most 31 in all; not dom0)", queue.Quote(vm, 40))
		}
		if !slices.Contains(s.VMs, vm) {
			s.VMs = append(s.VMs, vm)
		}
	}
	if len(s.VMs) > maxVMs {
		return fmt.Errorf("more than %d qubes", maxVMs)
	}
	return nil
}

func setUser(s *Settings, value string) error {
	if !queue.ValidAccount(value) {
		return fmt.Errorf("%s is not an account name (a-z, 0-9, '_', '-')", queue.Quote(value, 40))
	}
	s.VMUser = value
	return nil
}

func setTransport(s *Settings, value string) error {
	if !slices.Contains(transports, value) {
		return fmt.Errorf("%s is none of %s", queue.Quote(value, 40), strings.Join(transports, ", "))
	}
	s.Transport = value
	return nil
}

func setLegacy(s *Settings, value string) error {
	if value != "0" && value != "1" {
		return fmt.Errorf("%s is neither 0 nor 1", queue.Quote(value, 40))
	}
	s.Legacy = value == "1"
	return nil
}

// Template is the text of a new remote.conf: every setting with its meaning
// and its default, none of them set.
func Template() string {
	var b strings.Builder
	b.WriteString("# Settings of qvm-remote-dom0, NAME=VALUE. A change counts at once, but where\n# a line says that it counts from the daemon's next start.\n")
	b.WriteString("# The environment overrides this file, --vm overrides both.\n")
	for _, d := range Table() {
		fmt.Fprintf(&b, "\n# %s\n#%s=%s\n", d.About(), d.Name, d.Default)
	}
	return b.String()
}
