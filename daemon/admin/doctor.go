package admin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"qvmremote/daemon"
	"qvmremote/daemon/audit"
	"qvmremote/daemon/claim"
	"qvmremote/daemon/qubes"
	"qvmremote/daemon/settings"
	"qvmremote/queue"
)

// Level says how bad a finding is. It has the words of [audit.Severity], and
// one for what is as it should be.
type Level string

// The levels.
const (
	Good    Level = "good"
	Info    Level = "info"
	Warning Level = "warning"
	Bad     Level = "error"
)

// Finding is one thing that the doctor looked at.
type Finding struct {
	Level Level  `json:"level"`
	Text  string `json:"text"`           // what is, and why it matters
	Next  string `json:"next,omitempty"` // what to do
}

// examination is one Doctor under way.
type examination struct {
	a      *Admin
	set    settings.Settings
	broken bool // the settings; set is the default then
	keys   []Key
	found  []Finding
}

func (x *examination) say(l Level, next, format string, args ...any) {
	x.found = append(x.found, Finding{Level: l, Text: fmt.Sprintf(format, args...), Next: next})
}

// Doctor looks for what keeps requests from being answered, and says for each
// finding what to do next. It repairs only what opening the audit log repairs.
func (a *Admin) Doctor(ctx context.Context) []Finding {
	x := &examination{a: a}
	x.account()
	x.settings()
	x.tools()
	x.storedKeys(ctx)
	if !x.broken { // else nobody knows which qubes are configured
		x.configured()
	}
	x.log(ctx)
	x.clock(ctx)
	x.space()
	x.executor(ctx)
	return x.found
}

func (x *examination) account() {
	if x.a.Root.Real() && os.Geteuid() != 0 {
		x.say(Bad, "sudo qvm-remote-dom0 doctor", "this does not run as root: keys and the audit log cannot be read")
	}
}

func (x *examination) settings() {
	set, warnings, err := x.a.source().Load()
	if err != nil {
		x.set, x.broken = settings.Default(), true
		x.say(Bad, "mend that line; a running daemon goes on with the last good settings", "the settings are broken: %v", err)
		return
	}
	x.set = set
	for _, w := range warnings {
		x.say(Warning, "", "%s", w)
	}
	x.say(Good, "", "settings: good, in %s; dom0 looks at: %s", x.a.Root.Config(), cmp.Or(strings.Join(set.VMs, " "), "no qube"))
}

func (x *examination) tools() {
	if _, err := qubes.Tool(x.a.Root, "qvm-run"); err != nil {
		x.say(Bad, "run this in dom0; there the package qubes-core-admin-client brings qvm-run", "no qube can be called: %v", err)
	}
	for _, name := range []string{"qvm-ls", "qvm-prefs"} {
		if _, err := qubes.Tool(x.a.Root, name); err != nil {
			x.say(Warning, "", "%s cannot be used: halted, renamed and re-created qubes are not told apart: %v", name, err)
		}
	}
}

func (x *examination) storedKeys(ctx context.Context) {
	var err error
	if x.keys, err = x.a.Keys(ctx); err != nil {
		x.say(Bad, "", "the keys cannot be read: %v", err)
		return
	}
	list, err := x.a.Tools.List(ctx)
	if err != nil && !errors.Is(err, qubes.ErrNoTool) {
		x.say(Bad, "see whether qvm-ls works", "dom0 cannot say which qubes there are: %v", err)
	}
	for _, k := range x.keys {
		x.key(k)
		if err == nil {
			x.identity(ctx, k, list)
		}
	}
	x.say(Good, "", "keys: %d in %s", len(x.keys), x.a.Root.Keys())
}

func (x *examination) key(k Key) {
	x.terms(k)
	if k.Legacy {
		x.say(Warning, "give it the newer client, then: qvm-remote-dom0 authorize "+k.VM+" (without --legacy), and QVM_REMOTE_LEGACY=0",
			"%s may use version 1 (legacy, insecure): %s", k.VM, LegacyRisk)
	}
	switch {
	case k.State == KeyBad:
		x.say(Bad, "", "the key of %s cannot be used, its requests are denied: %s", k.VM, k.Problem)
	case k.Problem != "":
		x.say(Warning, "qvm-remote-dom0 rotate --cancel "+k.VM, "%s: %s", k.VM, k.Problem)
	case k.State == KeyRotating:
		x.say(Info, "use it once, in the qube: qvm-remote ping; or drop it: qvm-remote-dom0 rotate --cancel "+k.VM,
			"%s has two keys: the new one (%s) was not used yet", k.VM, k.Next)
	case k.ByHand:
		x.say(Info, "qvm-remote-dom0 authorize "+k.VM+" with the same key records it", "the key of %s was placed by hand; nothing says who did", k.VM)
	}
}

// terms finds a key that does not count, for its rules or its limit.
func (x *examination) terms(k Key) {
	switch k.Rules {
	case "":
	case NoRules:
		x.say(Bad, "qvm-remote-dom0 policy edit "+k.VM+", or authorize "+k.VM+" with the same key once more: it writes rules",
			"%s has a key and no rules: each of its requests is denied (no-policy). A key that was authorised before there were rules has none", k.VM)
	default:
		x.say(Bad, "qvm-remote-dom0 policy edit "+k.VM, "the rules of %s have an error, each of its requests is denied (bad-policy): %s", k.VM, k.Rules)
	}
	if !k.Suspended.IsZero() {
		x.say(Bad, "see which key it has (in the qube: qvm-remote status), then: qvm-remote-dom0 resume "+k.VM,
			"%s is suspended since %s: too many of its requests were not signed with its key", k.VM, k.Suspended.Local().Format(time.DateTime))
	}
	if k.Ended {
		x.say(Info, "qvm-remote-dom0 limit "+k.VM+" --for 2h", "what %s was authorised for is over: each of its requests is denied", k.VM)
	}
}

// identity finds a key that belongs to another qube than the one that has its
// name now.
func (x *examination) identity(ctx context.Context, k Key, list []qubes.Qube) {
	i := slices.IndexFunc(list, func(q qubes.Qube) bool { return q.Name == k.VM })
	if i < 0 {
		x.say(Warning, "qvm-remote-dom0 disconnect "+k.VM, "there is a key for %s, but no such qube: whoever makes one of that name gets nearer to dom0", k.VM)
		return
	}
	uuid := list[i].UUID
	if uuid == "" {
		uuid = x.a.uuid(ctx, k.VM)
	}
	if uuid != "" && k.UUID != "" && uuid != k.UUID {
		x.say(Bad, "if you trust the new one: qvm-remote-dom0 authorize "+k.VM,
			"%s is another qube than the one that was authorised (uuid %s, was %s): its requests are denied", k.VM, uuid, k.UUID)
	}
}

func (x *examination) configured() {
	for _, vm := range x.set.VMs {
		if !slices.ContainsFunc(x.keys, func(k Key) bool { return k.VM == vm }) {
			x.say(Warning, "qvm-remote-dom0 authorize "+vm+", or disconnect "+vm, "%s is configured but has no key: each of its requests is denied", vm)
		}
	}
	for _, k := range x.keys {
		if !slices.Contains(x.set.VMs, k.VM) {
			x.say(Info, "qvm-remote-dom0 authorize "+k.VM+" adds it, revoke "+k.VM+" takes the key away", "%s has a key but is not configured: dom0 does not look at it", k.VM)
		}
	}
}

func (x *examination) log(ctx context.Context) {
	if _, err := os.Stat(x.a.Root.Audit()); errors.Is(err, fs.ErrNotExist) {
		x.say(Info, "", "there is no audit log yet; the first change begins it")
		return
	}
	l, err := x.a.unlocked(ctx)
	if err != nil {
		x.say(Bad, "", "the audit log cannot be opened, so nothing runs: %v", err)
		return
	}
	good := true
	for _, f := range l.log.Findings() {
		good = good && f.Kind.Severity() != audit.Error
		level, next := Level(f.Kind.Severity()), "qvm-remote-dom0 audit verify"
		switch f.Kind {
		case audit.TornTail, audit.TreeGone, audit.New:
			next = "" // normal, or mended
		case audit.Young:
			next = "see with qvm-remote-dom0 audit show which qube writes so much; QVM_REMOTE_AUDIT_BYTES allows more"
		case audit.NoRotation, audit.Unsettled:
			next = "see that the folder of the audit log can be written and synced: " + x.a.Root.Audit()
		case audit.Broken, audit.Failing, audit.NoReserve, audit.Unsigned:
			next = "free space where the audit log lies, see that it can be written, then restart the daemon"
		}
		x.say(level, next, "audit log: %s: %s", f.Kind, f.Detail)
	}
	x.floors(l.book)
	if good {
		x.say(Good, "", "audit log: it can be read and written")
	}
	if err := l.close(); err != nil {
		x.say(Bad, "", "%v", err)
	}
}

// floors finds keys whose requests are refused as stale because a clock jumped.
func (x *examination) floors(book *claim.Book) {
	limit := x.a.Now().Add(2 * queue.ClockSlack).Unix()
	for _, k := range x.keys {
		if floor, _ := book.Floor(k.VM, k.Fingerprint); k.Fingerprint != "" && floor > limit {
			x.say(Bad, "give it a new key, in the qube: qvm-remote key gen; then: qvm-remote-dom0 authorize "+k.VM+" --replace",
				"requests of %s are refused as stale until %s: dom0's or the qube's clock was ahead", k.VM, time.Unix(floor, 0).UTC().Format(time.RFC3339))
		}
	}
	for _, r := range book.All() {
		if age := x.a.Now().Sub(r.Claim.Time); r.Final != nil && age > 24*time.Hour {
			x.say(Info, "start the qube; it is told as soon as dom0 reaches it", "%s has not taken the answer to %s for %s", r.Claim.Qube, r.Claim.ID, age.Truncate(time.Hour))
		}
	}
}

func (x *examination) clock(ctx context.Context) {
	now := x.a.Now()
	if now.Year() < 2024 {
		x.say(Bad, "set dom0's clock", "dom0's clock says %s", now.Format(time.RFC3339))
	}
	last, err := audit.ReadLast(ctx, x.a.Root.Audit(), 1)
	if err == nil && len(last) == 1 && last[0].Time.After(now.Add(queue.ClockSlack)) {
		x.say(Warning, "set dom0's clock; if it is right now, it was wrong when that was written",
			"the newest audit record is from the future (%s): requests may be refused as stale", last[0].Time.UTC().Format(time.RFC3339))
	}
}

func (x *examination) executor(ctx context.Context) {
	pid, running := executor(x.a.Root.ExecutorLock())
	auto := x.a.Autostart(ctx)
	if x.a.Paused() != NotPaused {
		x.say(Warning, "qvm-remote-dom0 resume", "the daemon is paused: requests stay in the qubes, unanswered, until they expire")
	}
	if !running {
		x.say(Bad, "start it until the next boot: systemctl start "+Service+"; for good: qvm-remote-dom0 enable", "the daemon is not running: no request is answered")
		return
	}
	x.say(Good, "", "the daemon runs (process %d, at boot: %s)", pid, orUnknown(auto))
	told, err := daemon.ReadStatus(x.a.Root.Status())
	if err != nil {
		x.say(Warning, "", "the daemon cannot be asked how it is: %v", err)
		return
	}
	if told.DryRun {
		x.say(Warning, "restart it without --dry-run", "the daemon only pretends: requests are used up and nothing runs")
	}
	for _, h := range told.Health {
		x.say(Level(h.Severity), "", "the daemon says: %s: %s", h.Code, h.Text)
	}
	for _, q := range told.Qubes {
		x.connection(ctx, q)
	}
	x.limits(pid)
}

// connection says how the daemon reaches a qube. Whether it runs is asked anew:
// the daemon may not have looked since the connection broke.
func (x *examination) connection(ctx context.Context, q daemon.QubeStatus) {
	state, err := x.a.Tools.State(ctx, q.Name, 5*time.Second)
	if err == nil && state != "" && state != qubes.Running {
		q.State = string(state)
	}
	switch {
	case q.State == daemon.StateNew: // the next look tells
	case q.State == daemon.StateConnected:
		x.say(Good, "", "%s is connected", q.Name)
	case q.State == daemon.StateNoAgent:
		x.say(Warning, "install qvm-remote in the template of "+q.Name, "%s has no qvm-remote that dom0 could call", q.Name)
	case q.Failing():
		x.say(Warning, "see why: journalctl -u "+Service, "%s is not connected: %s, since %s", q.Name, q.State, q.Since.Local().Format(time.DateTime))
	case q.State == string(qubes.Paused):
		x.say(Info, "qvm-unpause "+q.Name, "%s is paused: dom0 answers it when it goes on", q.Name)
	default:
		x.say(Info, "qvm-start "+q.Name, "%s is not running (%s): dom0 answers it when it runs", q.Name, q.State)
	}
}

func orUnknown(s string) string {
	if s == "" {
		return "unknown"
	}
	return s
}
