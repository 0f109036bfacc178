package daemon

import (
	"cmp"
	"slices"
	"strings"

	"qvmremote/daemon/audit"
)

// Health is something to know about how the executor is.
type Health struct {
	Code     string         `json:"code"` // names the cause, such as "mirror", "key-QUBE", or "audit-" and the finding
	Severity audit.Severity `json:"severity"`
	Title    string         `json:"title"` // the cause in a few words, the same each time
	Text     string         `json:"text"`  // what is the matter this time
}

// The codes of what the executor itself finds; those of the audit log are
// healthAudit and the finding's kind. docs/architecture.md lists them all.
const (
	HealthKey      = "key-" // and the qube's name
	HealthPaused   = "paused"
	HealthPolicy   = "policy-" // and the qube's name
	HealthSettings = "settings"

	healthApprovals = "approvals"
	healthBurn      = "burn-" // and the qube's name
	healthEvents    = "events"
	healthLoudest   = "loudest"
	healthMirror    = "mirror"
	healthPause     = "pause"
	healthAudit     = "audit-"
)

// registered is what can be wrong, by code; one that ends in "-" stands for all
// that begin with it.
var registered = map[string]struct {
	severity audit.Severity
	title    string
}{
	HealthKey:       {audit.Warning, "A qube's key cannot be read"},
	healthBurn:      {audit.Error, "A qube's used version-1 ids are lost"},
	healthEvents:    {audit.Warning, "The qubes' power states are asked for, not followed"},
	healthLoudest:   {audit.Warning, "A qube has filled the audit log"},
	healthMirror:    {audit.Warning, "The log for people cannot be written"},
	healthPause:     {audit.Error, "It is not known whether the daemon is paused"},
	HealthPaused:    {audit.Warning, "The service is paused"},
	HealthPolicy:    {audit.Error, "A qube's policy has an error"},
	healthApprovals: {audit.Warning, "Earlier approvals are lost"},
	HealthSettings:  {audit.Warning, "The settings are broken"},

	healthAudit + string(audit.New):        {audit.New.Severity(), "The audit log is new"},
	healthAudit + string(audit.TornTail):   {audit.TornTail.Severity(), "The audit log ended in half a record"},
	healthAudit + string(audit.Short):      {audit.Short.Severity(), "Records are missing from the audit log"},
	healthAudit + string(audit.Damaged):    {audit.Damaged.Severity(), "The audit log is damaged"},
	healthAudit + string(audit.NoHead):     {audit.NoHead.Severity(), "The audit log has lost its signature"},
	healthAudit + string(audit.ChangedKey): {audit.ChangedKey.Severity(), "The audit log has lost its signing key"},
	healthAudit + string(audit.TreeGone):   {audit.TreeGone.Severity(), "The audit log's hashes were made again"},
	healthAudit + string(audit.Broken):     {audit.Broken.Severity(), "The audit log takes nothing more"},
	healthAudit + string(audit.Failing):    {audit.Failing.Severity(), "The audit log cannot be written"},
	healthAudit + string(audit.Unsigned):   {audit.Unsigned.Severity(), "The newest audit records are not signed yet"},
	healthAudit + string(audit.NoReserve):  {audit.NoReserve.Severity(), "The audit log's disk is too full"},
	healthAudit + string(audit.Young):      {audit.Young.Severity(), "The audit log is too large"},
	healthAudit + string(audit.NoRotation): {audit.NoRotation.Severity(), "The audit log cannot begin a new file"},
	healthAudit + string(audit.Unsettled):  {audit.Unsettled.Severity(), "The audit log's signature is not on the disk yet"},
}

// NewHealth is one trouble of a registered code. A code that is not registered
// is an error, so that nothing is hidden.
func NewHealth(code, text string) Health {
	known, ok := registered[code]
	for _, prefix := range []string{HealthKey, HealthPolicy, healthBurn} {
		if !ok && strings.HasPrefix(code, prefix) {
			known, ok = registered[prefix]
		}
	}
	if !ok {
		known.severity, known.title = audit.Error, "Something is wrong"
	}
	return Health{Code: code, Severity: known.severity, Title: known.title, Text: text}
}

// health lists what is to be known now, by code.
func (s *status) health() (all []Health) {
	for _, f := range s.x.log.Findings() {
		all = append(all, NewHealth(healthAudit+string(f.Kind), f.Detail))
	}
	s.mu.Lock()
	for code, text := range s.warnings {
		all = append(all, NewHealth(code, text))
	}
	s.mu.Unlock()
	slices.SortStableFunc(all, func(a, b Health) int { return cmp.Compare(a.Code, b.Code) })
	return all
}
