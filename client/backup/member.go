package backup

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

	"qvmremote/queue"
)

// Member is one file of a backup.
type Member struct {
	Name   string // such as history/2026-11-28/<id>/command
	Size   int64
	SHA256 [sha256.Size]byte
}

// Where members lie in a backup.
const (
	manifestName = "MANIFEST"
	historyDir   = "history"
	LogName      = "log/audit.log"
	oldLogName   = "log/audit.log.1"
	keyName      = "key.age"
	settingsName = "settings/client.conf"
)

// entryFiles are the files that the history keeps of a request, with the most
// bytes of each.
var entryFiles = map[string]int64{
	"command": queue.MaxScript, "denied": queue.MaxDenied, "err": queue.MaxOutput + 1<<10, "exit": 16,
	"legacy": 0, "meta": queue.MaxHeader, "out": queue.MaxOutput + 1<<10, "request": queue.MaxHeader,
	"result": queue.MaxHeader, "stdin": queue.MaxStdin,
}

// singles are the other members, with the most bytes of each.
var singles = map[string]int64{LogName: 16 << 20, oldLogName: 16 << 20, keyName: 4 << 10, settingsName: 64 << 10}

// limits bound a backup as a whole.
type limits struct {
	members  int
	total    int64 // bytes of all members
	manifest int64 // bytes of the manifest
}

// bounds leave room for more than the history keeps.
var bounds = limits{members: 200_000, total: 4 << 30, manifest: 64 << 20}

// ErrNotSafe says that a backup holds what no backup may hold.
var ErrNotSafe = errors.New("refused")

func refuse(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrNotSafe, fmt.Sprintf(format, args...))
}

// Entry tells which request of the history a member belongs to.
func (m Member) Entry() (day, id, file string, ok bool) {
	parts := strings.Split(m.Name, "/")
	if len(parts) != 4 || parts[0] != historyDir {
		return "", "", "", false
	}
	_, known := entryFiles[parts[3]]
	return parts[1], parts[2], parts[3], known && validDay(parts[1]) && queue.ValidID(parts[2])
}

func validDay(s string) bool {
	t, err := time.Parse(time.DateOnly, s)
	return err == nil && t.Format(time.DateOnly) == s
}

// Check refuses a member that no backup has.
func (m Member) Check() error {
	limit, known := singles[m.Name]
	if _, _, file, ok := m.Entry(); ok {
		limit, known = entryFiles[file], true
	}
	shown := queue.Quote(m.Name, 120)
	switch {
	case strings.HasPrefix(m.Name, "/"):
		return refuse("%s is an absolute path", shown)
	case strings.Contains("/"+m.Name+"/", "/../"):
		return refuse("%s leads out of the folder", shown)
	case !known || path.Clean(m.Name) != m.Name:
		return refuse("%s is no name that belongs into a backup", shown)
	case m.Size < 0 || m.Size > limit:
		return refuse("%s has %d bytes, at most %d belong there", shown, m.Size, limit)
	}
	return nil
}

// tally holds members, as they come, against the bounds of all together.
type tally struct {
	limits
	count int
	bytes int64
	last  string
}

// add refuses a member that is out of order, and so each that comes twice.
func (t *tally) add(m Member) error {
	if err := m.Check(); err != nil {
		return err
	}
	switch shown := queue.Quote(m.Name, 120); {
	case m.Name == t.last:
		return refuse("%s is there twice", shown)
	case m.Name < t.last:
		return refuse("%s is out of order", shown)
	case t.count >= t.members:
		return refuse("it has more than %d members", t.members)
	case t.bytes+m.Size > t.total:
		return refuse("its members have more than %d bytes together", t.total)
	}
	t.count, t.bytes, t.last = t.count+1, t.bytes+m.Size, m.Name
	return nil
}
