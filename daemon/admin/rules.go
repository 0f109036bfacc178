package admin

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"qvmremote/daemon/audit"
	"qvmremote/daemon/disk"
	"qvmremote/daemon/keys"
	"qvmremote/daemon/policy"
	"qvmremote/daemon/trusted"
)

// The rules that an authorisation writes by itself: of what the qube asks,
// scripts included, all is allowed, asked about, or denied.
const (
	RulesAllow = "allow **\n"
	RulesAsk   = "ask **\n"
	RulesDeny  = "deny **\n"
)

const maxRules = 64 << 10 // bytes, as for any file of rules

func (a *Admin) rulesFile(vm string) string { return filepath.Join(a.Root.Keys(), vm+".policy") }

// checkRules refuses rules that would deny everything for an error in them.
func (a *Admin) checkRules(vm, text string) error {
	if text == "" {
		return nil
	}
	if _, err := a.parseRules(vm, text); err != nil {
		return refused("the rules are not taken: %v", err)
	}
	return nil
}

// rules gives the qube those of the terms if it has none, or if they replace
// what it has. Nobody's rules are ever lost unasked.
func (l *ledger) rules(ctx context.Context, c *Change, terms Terms) error {
	path, text := l.a.rulesFile(c.VM), terms.Rules
	if text == "" {
		text = RulesAllow
	}
	held, _, err := trusted.Read(path, maxRules)
	switch {
	case err == nil && string(held) == text:
		l.warnOfRules(c, text)
		return nil
	case !errors.Is(err, fs.ErrNotExist) && !terms.ReplaceRules:
		c.Warnings = append(c.Warnings, fmt.Sprintf("%s has rules already, which stay as they are: %s", c.VM, path))
		if p, err := policy.Load(l.a.Root.Keys(), c.VM); err == nil && p.Decide([]byte("eval :")).Verdict == policy.Allow {
			c.Warnings = append(c.Warnings, fmt.Sprintf("by its rules %s may run anything as root in dom0, and nobody is asked", c.VM))
		}
		return nil
	}
	if err := l.replaceRules(ctx, c, text); err != nil {
		return err
	}
	l.warnOfRules(c, text)
	return nil
}

// replaceRules records the change before it counts.
func (l *ledger) replaceRules(ctx context.Context, c *Change, text string) error {
	if err := l.recordRules(ctx, c, text); err != nil {
		return err
	}
	path := l.a.rulesFile(c.VM)
	if err := disk.Replace("admin.rules", path, []byte(text), 0o600); err != nil {
		return fmt.Errorf("cannot write the rules of %s: %w", c.VM, err)
	}
	return nil
}

func (l *ledger) recordRules(ctx context.Context, c *Change, text string) error {
	r := audit.Record{Event: audit.Setting, Qube: c.VM, Detail: filepath.Base(l.a.rulesFile(c.VM)) + ": " + firstLine(text), Hash: HashOfRules(text)}
	if err := l.add(ctx, r); err != nil {
		return fmt.Errorf("nothing was changed: %w", err)
	}
	c.Changed = true
	return nil
}

// shut denies the qube everything until it has its new key and then its new
// rules: whatever ends this in between leaves no key under another one's rules.
// The rules that it had are nil where they could not be read.
func (l *ledger) shut(ctx context.Context, c *Change) (done bool, former []byte, err error) {
	path := l.a.rulesFile(c.VM)
	held, _, err := trusted.Read(path, maxRules)
	if errors.Is(err, fs.ErrNotExist) || err == nil && string(held) == RulesDeny {
		return false, nil, nil
	}
	if err != nil {
		held = nil
	}
	if err := l.recordRules(ctx, c, RulesDeny); err != nil {
		return false, nil, err
	}
	if err := disk.Replace("admin.shut", path, []byte(RulesDeny), 0o600); err != nil {
		return false, nil, fmt.Errorf("cannot write the rules of %s: %w", c.VM, err)
	}
	return true, held, nil
}

// newRules are those of a key that is stored: whoever asked may be gone, and the
// qube must not stay shut for that.
func (l *ledger) newRules(ctx context.Context, c *Change, terms Terms, shut bool) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordWait)
	defer cancel()
	err := l.rules(ctx, c, terms)
	if err != nil && shut {
		return fmt.Errorf("%s has its new key, but everything of it is denied until its rules are written: %w", c.VM, err)
	}
	return err
}

// reopen gives the qube its former rules back if it still has the key that they
// were for, and says what is so where that cannot be.
func (l *ledger) reopen(ctx context.Context, s *keys.Store, c *Change, before keys.Held, former []byte, why error) error {
	// Whoever asked may be gone.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordWait)
	defer cancel()
	now, err := s.Get(c.VM)
	if err == nil && former != nil && now.Current.Equal(before.Current) {
		if err = l.replaceRules(ctx, c, string(former)); err == nil {
			return fmt.Errorf("%s keeps its key and its rules: %w", c.VM, why)
		}
	}
	return fmt.Errorf("everything of %s is denied by its rules until it is authorised again: %w", c.VM, errors.Join(why, err))
}

// warnOfRules says what it means that nobody is asked.
func (l *ledger) warnOfRules(c *Change, text string) {
	if text == RulesAllow {
		c.Warnings = append(c.Warnings, fmt.Sprintf("%s may run anything as root in dom0, and nobody is asked (allow **, in %s); to be asked: --policy ask", c.VM, l.a.rulesFile(c.VM)))
	}
}

func firstLine(text string) string {
	line, more, _ := strings.Cut(strings.TrimSpace(text), "\n")
	if more != "" {
		line += " …"
	}
	return line
}
