package audit

import (
	"context"
	"fmt"
	"os"
	"sync/atomic"
	"testing"
	"time"
)

// An admin command must get its record in although a daemon on a slow disk
// appends without a pause.
func TestWhoWaitsForTheLockComesNext(t *testing.T) {
	t.Parallel()
	dir := logDir(t)
	slow := noSync()
	slow.sync = func(string, *os.File) error { time.Sleep(5 * time.Millisecond); return nil }
	busy, _ := openLog(t, dir, Options{hooks: slow})
	other, _ := openLog(t, dir, Options{hooks: noSync()})
	var commits atomic.Int64
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	for range 2 { // two, so that one always waits when the other is done
		go func() {
			defer func() { ended <- struct{}{} }()
			for ctx.Err() == nil {
				_, err := busy.Update(context.Background(), func(tx *Tx) error { tx.Add(claim("x")); return nil })
				if err != nil {
					t.Error(err)
					return
				}
				commits.Add(1)
			}
		}()
	}
	const updates = 5
	var passed int64
	for i := range updates {
		before := commits.Load()
		add(t, other, claim(fmt.Sprint(i)))
		passed += commits.Load() - before
	}
	cancel()
	<-ended
	<-ended
	if passed > 6*updates {
		t.Errorf("%d updates of the other process went first", passed)
	}
}
