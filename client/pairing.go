package client

import (
	"context"
	"strings"

	"qvmremote/queue"
)

// LegacyOptions is what whoever is told [AuthorizeLine] for version 1 has to
// know: which dom0 answers it cannot be seen from the qube.
const LegacyOptions = "The first implementation there has no options; leave them out."

// AuthorizeLine is the command that lets a qube in, to be typed in dom0. A
// dom0 of version 2 takes version 1 only from a qube that it is told of.
func AuthorizeLine(qube string, legacy bool, options ...string) string {
	words := []string{"qvm-remote-dom0", "authorize"}
	if legacy {
		words = append(words, "--legacy")
	}
	return strings.Join(append(append(words, options...), NameInDom0(qube)), " ")
}

// Authorize is [AuthorizeLine] for this qube.
func (c *Client) Authorize(ctx context.Context) string {
	return AuthorizeLine(c.QubeName(ctx), c.Legacy)
}

// NameInDom0 is what to call a qube in a command for dom0.
func NameInDom0(qube string) string {
	if qube == "" || qube == queue.AnyQube {
		return "NAME"
	}
	return qube
}
