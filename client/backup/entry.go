package backup

import (
	"fmt"

	"qvmremote/queue"
)

// entry is one request of the history while its members go by.
type entry struct {
	day, id string
	files   map[string]Member
	header  []byte // the file request
}

func newEntry(day, id string) *entry { return &entry{day: day, id: id, files: map[string]Member{}} }

func (e *entry) name(file string) string { return historyDir + "/" + e.day + "/" + e.id + "/" + file }

// check holds the files of an entry against each other. What an answer says is
// not judged here: it is believed or not by its signature, whenever it is shown.
func (e *entry) check() error {
	command, ok := e.files["command"]
	if !ok {
		return refuse("%s is no request of the history: it has no command", queue.Quote(e.id, 0))
	}
	if _, ok := e.files["request"]; !ok {
		return nil // the first releases kept none
	}
	r, err := queue.ReadOwnRequest(e.header)
	switch {
	case err != nil:
		return refuse("%s is not readable: %v", queue.Quote(e.name("request"), 0), err)
	case r.ID != e.id:
		return refuse("%s belongs to another request", queue.Quote(e.name("request"), 0))
	case r.Body.SHA256 != command.SHA256 || r.Body.Size != command.Size:
		return refuse("%s is not the command of its request", queue.Quote(e.name("command"), 0))
	}
	if in, ok := e.files["stdin"]; ok && (r.Stdin.SHA256 != in.SHA256 || r.Stdin.Size != in.Size) {
		return refuse("%s is not the input of its request", queue.Quote(e.name("stdin"), 0))
	}
	return nil
}

// ended reports whether the request has an answer.
func (e *entry) ended() bool {
	_, exit := e.files["exit"]
	_, denied := e.files["denied"]
	return exit || denied
}

// LeftOut is what a backup does not hold, and why.
type LeftOut struct{ Name, Why string }

func (l LeftOut) String() string { return fmt.Sprintf("%s: %s", queue.Quote(l.Name, 120), l.Why) }
