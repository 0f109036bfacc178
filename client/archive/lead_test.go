package archive

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"qvmremote/client"
)

// waited is a context that says when somebody waits for its end.
type waited struct {
	context.Context
	begins func()
}

func (w waited) Done() <-chan struct{} {
	w.begins()
	return w.Context.Done()
}

// TestTheRestWaitsForTheFirstRows until these are shown.
func TestTheRestWaitsForTheFirstRows(t *testing.T) {
	t.Parallel()
	const more = 30
	var list []client.Entry
	for n := range screenful + more {
		list = append(list, client.Entry{Day: "20261120", ID: fmt.Sprintf("20261120-120000-1-%08x", n)})
	}
	told, waits := 0, false
	shown := make(chan struct{})
	f := &follower{shown: shown, wait: time.Hour, tell: func(c Change) { told += len(c.Splices[0].Added) }}
	ctx := waited{t.Context(), sync.OnceFunc(func() {
		waits = true
		if told != screenful {
			t.Errorf("it waits with %d rows told of", told)
		}
		close(shown)
	})}
	if rest := f.lead(ctx, list); !waits || len(rest) != more {
		t.Errorf("it waited: %t; %d rows are left", waits, len(rest))
	}
}
