package transport

import "context"

// Budget bounds what all connections together may have under way in large
// answers.
type Budget struct{ slots chan struct{} }

// NewBudget allows bytes of answers, at least one.
func NewBudget(bytes, each int) *Budget {
	return &Budget{slots: make(chan struct{}, max(1, bytes/each))}
}

func (b *Budget) take(ctx context.Context) error {
	select {
	case b.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (b *Budget) give() { <-b.slots }
