package dbus

import (
	"context"
	"time"
)

// Approval is something that was approved beyond one request and still counts.
type Approval struct {
	Number uint64 // of the request that it was approved with
	Qube   string
	Sha256 string        // of the bytes, as [Request] has it; "" is whatever the qube asks
	Left   time.Duration // 0: until the reboot
	Count  uint64        // requests left; 0: any number
	Who    string
	Way    string
}

// ListApprovals tells what was approved beyond single requests.
func (c *Client) ListApprovals(ctx context.Context) ([]Approval, error) {
	var rows []struct {
		Number       uint64
		Qube, Sha256 string
		Left, Count  uint64
		Who, Way     string
	}
	if err := c.call(ctx, manager("ListApprovals"), &rows); err != nil {
		return nil, err
	}
	var list []Approval
	for _, r := range rows {
		left := time.Duration(min(r.Left, 1<<33)) * time.Second
		list = append(list, Approval{r.Number, r.Qube, r.Sha256, left, r.Count, r.Who, r.Way})
	}
	return list, nil
}

// RevokeApprovals takes back what was approved for a qube with the request of
// that number, or with number 0 all that was, and tells how much.
func (c *Client) RevokeApprovals(ctx context.Context, qube string, number uint64) (revoked uint32, err error) {
	err = c.call(ctx, manager("RevokeApprovals", qube, number), &revoked)
	return revoked, err
}
