//go:build gtk

package client

import (
	"testing"
	"time"

	"qvmremote/client/backup"
	"qvmremote/test/stage"
)

// backupSteps open and close what the page Backup has.
func backupSteps(t *testing.T, s *opened) map[string]func() {
	t.Helper()
	b := s.page("backup").(*backupPage)
	one := backup.Listed{Archive: backup.Archive{Path: "/one", Name: "one", Size: 1, Made: time.Now()}}
	c := compared{Contents: backup.Contents{Entries: 2, Log: true, Settings: true, Keys: true}, path: "/one", missing: 1}
	return map[string]func(){
		"backups": func() {
			s.Show("backup")
			b.shelf.take([]backup.Listed{one, one}, 3)
			stage.Settle()
			b.shelf.take(nil, 0)
			s.Show("key")
		},
		"a restore": func() { b.askRestore(c, backup.Choice{Keys: true}, backup.ErrPassphrase); s.closeAll() },
		"a push": func() {
			b.git.address.SetText("/nonexistent")
			b.git.send(false)
			stage.Until(t, "it asks", b.idle)
			s.closeAll()
		},
		"a backup": func() {
			b.form.with.SetActive(true)
			b.form.clear()
			b.form.with.SetActive(false)
			b.check("/nonexistent")
			stage.Until(t, "it has failed", b.idle)
		},
	}
}
