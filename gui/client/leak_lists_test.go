//go:build gtk

package client

import (
	"fmt"
	"testing"
	"time"

	"qvmremote/client"
	"qvmremote/client/archive"
	"qvmremote/client/backlog"
	"qvmremote/client/dom0test"
	"qvmremote/queue"
	"qvmremote/test/stage"
)

// listSteps open and close what the pages History, Queue and Log have.
func listSteps(t *testing.T, s *opened) map[string]func() {
	t.Helper()
	key, err := s.queue.Key()
	if err != nil {
		t.Fatal(err)
	}
	var first client.Entry
	for n := range 60 {
		p := dom0test.Past{At: time.Now().Add(-time.Duration(n) * time.Minute), Number: n, Script: "hostname", State: queue.StateExit, Out: "dom0\n"}
		day, id, err := p.File(s.queue.Layout, key)
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			first = client.Entry{Day: day, ID: id}
		}
	}
	for range 50 {
		if err := queue.AppendLine(s.queue.Layout.AuditLog(), "a line"); err != nil {
			t.Fatal(err)
		}
	}
	h, q, l := s.page("history").(*history), s.page("queue").(*queuePage), s.page("log").(*logPane)
	return map[string]func(){
		"a past command": func() {
			s.Show("history")
			h.detail.begin(first)
			stage.Until(t, "it is shown", func() bool { return h.Root.VisibleChildName() == "detail" })
			s.GoBack()
		},
		"a search": func() {
			s.Show("history")
			h.filter = archive.Filter{Text: "host"}
			h.begin()
			stage.Until(t, "all are found", func() bool { return h.rows.Len() == 60 })
			h.filter = archive.Filter{}
			h.begin()
			stage.Until(t, "all are listed", func() bool { return h.rows.Len() == 60 })
		},
		"a deletion": func() {
			s.Show("history")
			h.deleted.deleteShown()
			s.closeAll()
		},
		"a queue": func() {
			s.Show("queue")
			var list backlog.List
			for i := range 20 {
				id := fmt.Sprintf("20261120-101010-%d-00000000", i)
				list.Requests = append(list.Requests, client.Queued{ID: id, Name: id, Stage: client.StageRunning, Own: true, Command: "hostname"})
			}
			q.take(list)
			stage.Settle()
			q.take(backlog.List{})
		},
		"a log": func() {
			s.Show("log")
			l.begin()
			stage.Until(t, "lines are shown", func() bool { return len(l.have) == 50 })
		},
	}
}
