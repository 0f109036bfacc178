//go:build gtk

package client

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"qvmremote/client"
	"qvmremote/gui/say"
	"qvmremote/queue"
	"qvmremote/test/desktop"
	"qvmremote/test/life"
)

// unwaited is a command that ends when it is told to, and for whose answer nobody
// waits.
const unwaited = "until [ -e release ]; do sleep 0.02; done; echo it-came"

// sent has another program send it, and waits until dom0 runs it.
func (s *scene) sent(t *testing.T) (id string) {
	t.Helper()
	a, err := s.Client(t.Context(), qube, "--detach", "--", unwaited)
	if err != nil || a.Code != 0 {
		t.Fatal(a, err)
	}
	return strings.TrimSpace(a.Out)
}

// release ends it, and waits until its answer lies in the queue or the history.
func (s *scene) release(t *testing.T, id string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(s.Dom0(), "root", "release"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s.ended(t, queue.StateExit)
	desktop.Await(t, "the answer has come", func() bool { return len(s.inQueue(t, id)) > 0 || s.filed(t, id) })
}

// inQueue are the files of a request's answer that lie in the queue, once all of
// them do.
func (s *scene) inQueue(t *testing.T, id string) []string {
	t.Helper()
	if _, err := os.Stat(s.Layout(qube).Result(id, queue.Exit)); err != nil {
		return nil
	}
	files, err := filepath.Glob(filepath.Join(s.Layout(qube).ResultsDir(), id+".*"))
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// filed reports whether the answer is in the history, as dom0 signed it.
func (s *scene) filed(t *testing.T, id string) bool {
	t.Helper()
	e, err := s.theirs().Find(id)
	if err != nil {
		t.Fatal(err)
	}
	d, err := s.theirs().Detail(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	out, err := os.ReadFile(filepath.Join(s.Layout(qube).History(), e.Day, id, "out"))
	return err == nil && string(out) == "it-came\n" && d.Trust == client.Verified && d.Exit == 0
}

// collected waits until the answer is in the history and nothing of it in the
// queue, and looks at it.
func (s *scene) collected(t *testing.T, id string) {
	t.Helper()
	s.app.Find(t, "list item", "*done: until*")
	desktop.Await(t, "the answer is in the history", func() bool { return s.filed(t, id) })
	if left, err := filepath.Glob(filepath.Join(s.Layout(qube).ResultsDir(), id+"*")); err != nil || len(left) != 0 {
		t.Errorf("in the queue there is still %v, %v", left, err)
	}
	s.app.Find(t, "list item", "*done: until*").Press(t)
	s.app.Find(t, "label", "it-came")
	s.app.Find(t, "label", "Verified*")
}

// TestAnAnswerNobodyWaitedForIsInTheQueue with its age, until History takes it.
func TestAnAnswerNobodyWaitedForIsInTheQueue(t *testing.T) {
	t.Parallel()
	s := open(t, life.Options{}, "queue")
	s.app.Find(t, "", "The queue is empty")
	id := s.sent(t)
	s.app.Find(t, "list item", "running, *")
	s.release(t, id)
	s.app.Find(t, "list item", "answered, since *")
	s.turn(t, "Log")
	files := s.inQueue(t, id)
	if len(files) == 0 || s.filed(t, id) {
		t.Errorf("looking at the queue has changed it: %v", files)
	}
	then := time.Now().Truncate(time.Second).Add(-10*time.Minute - time.Second/2)
	for _, f := range files {
		if err := os.Chtimes(f, then, then); err != nil {
			t.Fatal(err)
		}
	}
	s.turn(t, "Queue")
	s.app.Find(t, "list item", "answered, since "+say.Clock(then)+" · 1*").Press(t)
	s.onPage(t, "History")
	s.app.Find(t, "label", "it-came")
	s.Desktop.Key(t, "alt+Left")
	s.collected(t, id)
	s.turn(t, "Queue")
	s.app.Find(t, "", "The queue is empty")
}

// TestAnAnswerComesWhileTheHistoryIsShown: the list has it at once.
func TestAnAnswerComesWhileTheHistoryIsShown(t *testing.T) {
	t.Parallel()
	s := open(t, life.Options{}, "history")
	s.app.Find(t, "", "Nothing was run yet")
	id := s.sent(t)
	s.app.Find(t, "list item", "*no answer yet: until*")
	s.release(t, id)
	s.collected(t, id)
}

// TestAnAnswerComesAfterTheWindow was closed: the next one has it.
func TestAnAnswerComesAfterTheWindow(t *testing.T) {
	t.Parallel()
	s := open(t, life.Options{}, "run")
	s.runs(t, unwaited)
	s.app.Find(t, "label", "Running")
	s.Desktop.Key(t, "ctrl+q")
	s.app.Find(t, "dialog", "Close while commands run?").Find(t, "button", "Close*").Press(t)
	if err := s.run.Wait(t); err != nil {
		t.Errorf("it ended: %v", err)
	}
	list := s.theirs().History(2)
	if len(list) != 1 {
		t.Fatalf("the history has %+v", list)
	}
	s.release(t, list[0].ID)
	if len(s.inQueue(t, list[0].ID)) == 0 {
		t.Error("somebody took the answer that nobody waited for")
	}
	s.launch(t, "--page", "history")
	s.collected(t, list[0].ID)
}
