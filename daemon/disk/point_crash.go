//go:build crashpoints

package disk

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

var crash struct {
	sync.Mutex
	seen map[string]int
}

// Point kills this process, as a power cut would, when QVM_REMOTE_CRASH is
// "NAME" or "NAME#N" and this is the first (or N-th) time NAME is reached. With
// QVM_REMOTE_CRASH_TRACE=FILE each name reached is appended to FILE.
func Point(name string) {
	crash.Lock()
	defer crash.Unlock()
	if crash.seen == nil {
		crash.seen = map[string]int{}
	}
	crash.seen[name]++
	if trace := os.Getenv("QVM_REMOTE_CRASH_TRACE"); trace != "" {
		f, err := os.OpenFile(trace, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err == nil {
			_, _ = fmt.Fprintln(f, name)
			_ = f.Close()
		}
	}
	want, nth, numbered := strings.Cut(os.Getenv("QVM_REMOTE_CRASH"), "#")
	n := 1
	if numbered {
		n, _ = strconv.Atoi(nth)
	}
	if name == want && crash.seen[name] == n {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}
}
