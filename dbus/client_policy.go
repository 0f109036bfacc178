package dbus

import "context"

// Policy is what dom0 holds of a qube's rules.
type Policy struct {
	Text  string // the qube's own file, "" where there is none
	Hash  string // of Text, for [Client.SetPolicy]
	Error string // what is wrong in it; then there is nothing below
	// Limits are lines "limit NAME VALUE", Rules "FILE:LINE: TEXT" in the order
	// in which they are held against a request, those of included files too.
	Limits, Rules []string
	Warnings      []string // what does less, or lets through more, than it seems to
}

// Policy reads the rules of a qube.
func (c *Client) Policy(ctx context.Context, qube string) (p Policy, err error) {
	err = c.call(ctx, manager("GetPolicy", qube), &p.Text, &p.Hash, &p.Error, &p.Limits, &p.Rules, &p.Warnings)
	return p, err
}

// SetPolicy replaces the rules of a qube. replaces is the hash of those that
// were looked at: other ones there by now are the error Refused.
func (c *Client) SetPolicy(ctx context.Context, qube, text, replaces string) (warnings []string, err error) {
	err = c.call(ctx, manager("SetPolicy", qube, text, replaces).slowly(), &warnings)
	return warnings, err
}

// Explanation is what would become of a request, and why.
type Explanation struct {
	Verdict, Reason, Rule string
	Obstacle              string          // why it is a script; "" where it is plain commands
	Parts                 []ExplainedPart // each command of it, or the script as one
	More                  uint64          // commands that are not in Parts, for there are so many
}

// ExplainedPart is a command, or a script, and what the rules say to it.
type ExplainedPart struct {
	Words                 []string // none: a script
	Verdict, Reason, Rule string
	Steps                 []ExplainedStep
}

// ExplainedStep is a rule held against one part.
type ExplainedStep struct {
	Matched   bool
	Rule, Why string
}

// Explain says what would become of a request with that script by the rules of
// the qube, or where text is not "" by those in it. Nothing is run.
func (c *Client) Explain(ctx context.Context, qube, text, script string) (e Explanation, err error) {
	err = c.call(ctx, manager("ExplainRequest", qube, text, script), &e.Verdict, &e.Reason, &e.Rule, &e.Obstacle, &e.Parts, &e.More)
	return e, err
}
