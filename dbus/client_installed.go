package dbus

import (
	"context"
	"slices"
)

// Installed reports whether calls can have an answer: somebody owns the
// service's name, or the bus would start somebody for it. It never starts the
// service.
func (c *Client) Installed(ctx context.Context) (bool, error) {
	present, err := c.Present(ctx)
	if err != nil || present {
		return present, err
	}
	var names []string
	err = c.call(ctx, request{dest: busName, path: busPath, iface: busName, method: "ListActivatableNames"}, &names)
	return slices.Contains(names, Name), err
}
