package client

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"qvmremote/queue"
)

// Severity says how much a finding matters.
type Severity string

// The severities.
const (
	OK      Severity = "ok"
	Warning Severity = "warning"
	Problem Severity = "problem" // commands will not run
)

// Finding is one thing the doctor looked at: what is the case, and what to do.
type Finding struct {
	Check    string
	Severity Severity
	Cause    string // may quote files: see [queue.Escape]
	Next     string // "" when nothing is to be done
}

// Doctor looks for what keeps commands from running, the likely causes first.
// It asks dom0 only when all in the qube is in order.
func (c *Client) Doctor(ctx context.Context) []Finding {
	var list []Finding
	name := c.QubeName(ctx)
	add := func(f Finding) {
		if name != queue.AnyQube {
			f.Next = strings.ReplaceAll(f.Next, "NAME", name)
		}
		list = append(list, f)
	}
	account := c.checkAccount()
	add(account)
	if account.Severity == Problem {
		return list // another account's queue is not this one's to look at or make
	}
	if c.Legacy {
		add(c.checkLegacyMode())
	}
	add(c.checkFolder())
	add(c.checkDisk())
	add(c.checkKey())
	add(c.checkName(ctx))
	add(c.checkPersistence(ctx))
	add(c.checkQueue(ctx))
	connection := c.checkConnection()
	if c.Legacy && connection.Severity != OK {
		connection = Finding{Check: "connection", Severity: OK, Cause: "not to be seen with version 1: only an answer shows that dom0 looks"}
	}
	add(connection)
	if _, err := c.Key(); err == nil && connection.Severity == OK {
		add(c.checkPing(ctx))
	}
	return list
}

// checkAccount finds the commonest way to a queue that dom0 never looks at.
func (c *Client) checkAccount() Finding {
	f := Finding{Check: "account", Severity: OK, Cause: "the queue is this account's own"}
	uid := os.Geteuid()
	if login := os.Getenv("SUDO_USER"); login != "" && uid == 0 {
		f.Severity, f.Cause = Problem, "qvm-remote runs under sudo, so it uses root's queue, and dom0 looks into "+login+"'s"
		f.Next = "run qvm-remote as " + login + ", without sudo; commands are root's in dom0 anyway"
		return f
	}
	if owner, own := c.owner(); !own {
		f.Severity, f.Cause = Problem, "the queue belongs to "+owner+", not to the account that runs qvm-remote"
		f.Next = "run qvm-remote as " + owner
		return f
	}
	if uid == 0 {
		f.Severity, f.Cause = Warning, "qvm-remote runs as root; dom0 looks into the queue of the account user unless it was told otherwise"
		f.Next = "run qvm-remote as user, or set QVM_REMOTE_VM_USER in dom0's remote.conf"
	}
	return f
}

// checkLegacyMode is about [Client.Legacy]. An agent serves only a dom0 that
// speaks version 2.
func (c *Client) checkLegacyMode() Finding {
	f := Finding{Check: "mode", Severity: Warning, Cause: LegacyRisk, Next: "install version 2 in dom0, then unset " + LegacyVariable}
	if c.served() {
		f.Cause, f.Next = LegacyRisk+"; and dom0 speaks version 2 here", "unset "+LegacyVariable
	}
	return f
}

// checkFolder comes before what looks into the folder: it makes and repairs.
func (c *Client) checkFolder() Finding {
	open := modesOpen(c.Layout)
	if err := c.Prepare(); err != nil {
		return Finding{Check: "folder", Severity: Problem, Cause: err.Error(),
			Next: "make " + c.Layout.Root + " a folder that this account can write to"}
	}
	f := Finding{Check: "folder", Severity: OK, Cause: c.Layout.Root}
	if open {
		f.Severity, f.Cause = Warning, "other accounts in this qube could read the queue or the key; that is closed now"
	}
	return f
}

func modesOpen(l queue.Layout) bool {
	for _, path := range []string{l.Root, l.Key(), l.PendingDir(), l.RunningDir(), l.ResultsDir()} {
		if info, err := os.Lstat(path); err == nil && info.Mode().Perm()&0o077 != 0 {
			return true
		}
	}
	return false
}

func (c *Client) checkDisk() Finding {
	probe := filepath.Join(c.Layout.PendingDir(), ".doctor.tmp")
	err := queue.Publish(probe, make([]byte, 4096))
	_ = os.Remove(probe)
	if err != nil {
		return Finding{Check: "disk", Severity: Problem, Cause: Explain(err).Error(),
			Next: "make room in this qube (qvm-remote queue clean; old entries in " + c.Layout.History() + " may go)"}
	}
	var fs syscall.Statfs_t
	if syscall.Statfs(c.Layout.Root, &fs) == nil {
		if free := int64(fs.Bavail) * fs.Bsize; free < 32<<20 {
			return Finding{Check: "disk", Severity: Warning, Cause: fmt.Sprintf("only %d MiB are free; long output may not fit", free>>20),
				Next: "make room in this qube"}
		}
	}
	return Finding{Check: "disk", Severity: OK, Cause: "there is room"}
}

func (c *Client) checkKey() Finding {
	f := Finding{Check: "key"}
	k, err := c.Key()
	switch {
	case errors.Is(err, ErrNoKey):
		f.Severity, f.Cause = Problem, "this qube has no key"
		f.Next = "qvm-remote key gen, then in dom0: " + AuthorizeLine("", c.Legacy)
	case err != nil:
		f.Severity, f.Cause, f.Next = Problem, err.Error(), "qvm-remote key import, or qvm-remote key gen --force"
	default:
		f.Severity, f.Cause = OK, "fingerprint "+k.Fingerprint()
	}
	return f
}

func (c *Client) checkName(ctx context.Context) Finding {
	f := Finding{Check: "name", Severity: OK}
	ctx, stop := context.WithTimeout(ctx, c.Waits.Name)
	defer stop()
	told := c.toldName()
	own, err := c.Database(ctx, "/name")
	if err != nil || !queue.ValidQube(own) {
		own = told
	}
	switch {
	case own == "":
		f.Cause = "this qube does not know its name; dom0 goes by the key alone"
	case told != "" && told != own:
		f.Severity = Problem
		f.Cause = fmt.Sprintf("this qube is called %s, but dom0 last called it %s; was the data copied from there, or the qube renamed?", own, told)
		f.Next = "give this qube a key of its own: qvm-remote key gen --force, then in dom0: " + AuthorizeLine(own, c.Legacy)
	default:
		f.Cause = own
	}
	return f
}

func (c *Client) checkPersistence(ctx context.Context) Finding {
	ctx, stop := context.WithTimeout(ctx, c.Waits.Name)
	defer stop()
	if kept, err := c.Database(ctx, "/qubes-vm-persistence"); err == nil && kept == "none" {
		return Finding{Check: "disposable", Severity: Warning,
			Cause: "this is a disposable qube: key and history vanish when it is shut down",
			Next:  "use a qube that stays, or authorise this one each time"}
	}
	return Finding{Check: "disposable", Severity: OK, Cause: "the home folder stays"}
}

func (c *Client) checkQueue(ctx context.Context) Finding {
	files, _, err := c.Files(ctx, queue.MaxNames)
	if err != nil {
		return Finding{Check: "queue", Severity: Problem, Cause: err.Error(), Next: "qvm-remote queue debug"}
	}
	var s Status
	s.count(files)
	if !s.Clean() {
		return Finding{Check: "queue", Severity: Warning, Cause: fmt.Sprintf("%d files belong to nothing that could still be answered", s.Stale),
			Next: "qvm-remote queue clean"}
	}
	return Finding{Check: "queue", Severity: OK, Cause: fmt.Sprintf("%d waiting, %d running", s.Pending, s.Running)}
}

func (c *Client) checkConnection() Finding {
	connected, last := c.Connected()
	if connected {
		return Finding{Check: "connection", Severity: OK, Cause: "dom0 looks into this queue"}
	}
	f := Finding{Check: "connection", Severity: Problem, Cause: "dom0 has never looked into this queue",
		Next: "in dom0: qvm-remote-dom0 status; if it runs, qvm-remote-dom0 connect NAME; if not, systemctl start qvm-remote-dom0"}
	if !last.IsZero() {
		f.Cause = "dom0 last looked into this queue at " + last.Format(time.DateTime)
	} else if exists(c.Layout.AgentLock()) {
		f.Cause = "dom0 has looked into this queue, but does not now"
	}
	return f
}

// checkPing asks dom0, which knows what the qube cannot.
func (c *Client) checkPing(ctx context.Context) Finding {
	f := Finding{Check: "dom0", Severity: Problem}
	switch o, err := c.Ping(ctx); {
	case errors.Is(err, ErrNotTaken), errors.Is(err, ErrNoAnswer):
		f.Cause, f.Next = "dom0 is connected but does not answer", "in dom0: qvm-remote-dom0 status (is it paused?)"
		if c.Legacy {
			f.Cause, f.Next = "dom0 does not answer", "in dom0: does qvm-remote-dom0 run, and is NAME in QVM_REMOTE_VMS of /etc/qubes/remote.conf?"
		}
	case err != nil:
		f.Cause, f.Next = err.Error(), "compare the keys: qvm-remote status, and in dom0 qvm-remote-dom0 keys"
	case o.State == queue.StateDenied:
		f.Cause, f.Next = fmt.Sprintf("dom0 refuses: %s: %s", o.Reason, o.Sentence), nextFor(o.Reason)
	case o.State != queue.StateExit || o.Exit != 0:
		f.Cause, f.Next = "dom0 answered "+string(o.State), "in dom0: qvm-remote-dom0 status"
	default:
		f.Severity, f.Cause = OK, "dom0 answers and knows the key"
	}
	return f
}

// nextFor says what to do about a refusal; the sentences that dom0 sends say
// why.
func nextFor(r queue.Reason) string {
	switch r {
	case queue.NoKey, queue.OtherQube:
		return "in dom0: qvm-remote-dom0 authorize NAME, and paste what qvm-remote key show prints"
	case queue.BadMAC:
		return "the keys differ: in dom0 qvm-remote-dom0 authorize NAME with what qvm-remote key show prints"
	case queue.Stale, queue.Future, queue.Expired:
		return "the clocks differ: date here and in dom0; in this qube: sudo qvm-sync-clock. A new key is the way out of a time that lies in the future"
	case queue.WrongQube:
		return "this key is another qube's: qvm-remote key gen --force, then in dom0: qvm-remote-dom0 authorize NAME"
	}
	return "in dom0: qvm-remote-dom0 audit show"
}
