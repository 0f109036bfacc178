package backup

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// ArchiveEnding is how an archive's name ends.
const ArchiveEnding = ".tar.gz"

const (
	backupPrefix  = "qvm-remote-backup-"
	safetyPrefix  = "qvm-remote-pre-restore-"
	scratchPrefix = ".qvm-remote-"
	scratchEnding = ".tmp"
)

var archiveName = regexp.MustCompile(`^qvm-remote-(?:backup|pre-restore)-([0-9]{8}-[0-9]{6})(?:-[0-9]{1,4})?\.tar\.gz$`)

// Archive is a backup on the disk, as its name says: nothing of it was read.
type Archive struct {
	Path   string
	Name   string
	Size   int64
	Made   time.Time
	Safety bool // made before a restore
}

// List finds the archives in [Keeper.Dir], the newest first.
func (k *Keeper) List() ([]Archive, error) {
	entries, err := os.ReadDir(k.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot list the backups: %w", err)
	}
	var list []Archive
	for _, e := range entries {
		name := archiveName.FindStringSubmatch(e.Name())
		info, err := e.Info()
		if name == nil || err != nil || !info.Mode().IsRegular() {
			continue
		}
		made, err := time.ParseInLocation("20060102-150405", name[1], time.Local)
		if err != nil {
			continue
		}
		list = append(list, Archive{filepath.Join(k.Dir, e.Name()), e.Name(), info.Size(), made, strings.HasPrefix(e.Name(), safetyPrefix)})
	}
	slices.SortFunc(list, func(a, b Archive) int {
		return cmp.Or(b.Made.Compare(a.Made), cmp.Compare(len(b.Name), len(a.Name)), cmp.Compare(b.Name, a.Name))
	})
	return list, nil
}
