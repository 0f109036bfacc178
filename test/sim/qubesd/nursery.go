package qubesd

import (
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"qvmremote/test/sim/proctree"
)

// nursery knows which children of the power manager are first processes of
// qubes. All others are orphans that a qube without a pid namespace left when
// its first process died.
type nursery struct {
	mu   sync.Mutex
	pids map[int]bool
}

// newNursery makes the power manager the parent of such orphans.
func newNursery() (*nursery, error) {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return nil, fmt.Errorf("become the reaper: %w", err)
	}
	return &nursery{pids: map[int]bool{}}, nil
}

func (n *nursery) start(cmd *exec.Cmd) error {
	// sweep must not take a process for an orphan that is just being born
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := cmd.Start(); err != nil {
		return err
	}
	n.pids[cmd.Process.Pid] = true
	return nil
}

// wait collects a first process and what it left.
func (n *nursery) wait(cmd *exec.Cmd) error {
	cmd.Wait()
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.pids, cmd.Process.Pid)
	return n.sweep(time.Now().Add(10 * time.Second))
}

func (n *nursery) sweep(deadline time.Time) error {
	for {
		var orphans []int
		for _, pid := range proctree.Children(os.Getpid()) {
			if !n.pids[pid] {
				orphans = append(orphans, pid)
			}
		}
		if len(orphans) == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("processes %v do not end", orphans)
		}
		for _, pid := range orphans {
			proctree.Freeze(pid)
			unix.Kill(pid, unix.SIGKILL)
			// its children become ours, for the next round
			syscall.Wait4(pid, nil, 0, nil)
		}
	}
}
