package admin

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"unicode/utf8"

	"qvmremote/daemon/policy"
	"qvmremote/daemon/trusted"
	"qvmremote/queue"
)

// Rules are those of one qube as they are on the disk.
type Rules struct {
	Text   string
	Hash   string         // see [HashOfRules]
	Policy *policy.Policy // nil where there is none, or one with an error
	Err    error          // what is wrong in them
}

// HashOfRules is the SHA-256 of rules as hex, "" of none: who replaces rules
// names those that were looked at.
func HashOfRules(text string) string {
	if text == "" {
		return ""
	}
	return fmt.Sprintf("%x", sha256.Sum256([]byte(text)))
}

// Rules reads the rules of vm. A qube that has none has the zero Rules.
func (a *Admin) Rules(vm string) (Rules, error) {
	if err := checkName(vm); err != nil {
		return Rules{}, err
	}
	text, _, err := trusted.Read(a.rulesFile(vm), maxRules)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Rules{}, nil
	case err != nil:
		return Rules{}, refused("the rules of %s cannot be read: %v", vm, err)
	case !utf8.Valid(text) || bytes.IndexByte(text, 0) >= 0: // which no message can hold
		return Rules{}, refused("%s is no text in UTF-8; mend it with another program", a.rulesFile(vm))
	}
	r := Rules{Text: string(text), Hash: HashOfRules(string(text))}
	r.Policy, r.Err = a.parseRules(vm, r.Text)
	return r, nil
}

func (a *Admin) parseRules(vm, text string) (*policy.Policy, error) {
	return policy.Parse(filepath.Base(a.rulesFile(vm)), []byte(text), policy.Includes(a.Root.Keys()))
}

// SetRules gives vm these rules if it still has those of the hash replaces, and
// records that before they count. Rules with an error, or none, are refused.
// c.Changed is not set where they were the same.
func (a *Admin) SetRules(ctx context.Context, vm, text, replaces string) (c Change, err error) {
	c = a.change(vm)
	if err := checkName(vm); err != nil {
		return c, err
	}
	if len(text) > maxRules || text == "" {
		return c, refused("rules have 1 to %d bytes", maxRules)
	}
	p, err := a.parseRules(vm, text)
	if err != nil {
		return c, refused("the rules are not taken: %v", err)
	}
	s, unlock, err := a.keystore(ctx)
	if err != nil {
		return c, err
	}
	defer unlock()
	held, err := a.Rules(vm)
	switch {
	case err != nil:
		return c, err
	case held.Hash != replaces:
		return c, refused("the rules of %s were changed by somebody else meanwhile; look at them again", vm)
	case held.Text == text:
		return c, nil
	}
	l, err := a.ledger(ctx, s)
	if err != nil {
		return c, fmt.Errorf("nothing was changed: %w", err)
	}
	err = l.replaceRules(ctx, &c, text)
	c.Warnings = append(append(c.Warnings, l.odd...), p.Warnings()...)
	return c, errors.Join(err, l.close())
}

// Explain says what would become of a request with that script by the rules of
// vm, or by those of draft where there are some. Nothing is run.
func (a *Admin) Explain(vm, draft string, script []byte) (policy.Explanation, error) {
	if len(script) > queue.MaxScript {
		return policy.Explanation{}, refused("a script of more than %d bytes is refused whatever the rules say", queue.MaxScript)
	}
	if len(draft) > maxRules {
		return policy.Explanation{}, refused("rules have at most %d bytes", maxRules)
	}
	r, err := a.Rules(vm)
	if draft != "" && err == nil {
		r.Policy, r.Err = a.parseRules(vm, draft)
	}
	if err == nil && r.Err != nil {
		err = refused("the rules have an error, so each request would be denied: %v", r.Err)
	}
	if err != nil {
		return policy.Explanation{}, err
	}
	return r.Policy.Explain(script), nil
}
