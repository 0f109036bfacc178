package queue

import (
	"errors"
	"io/fs"
	"strconv"
	"syscall"
)

// Part names one of the files of a request in the qube.
type Part int64

// The parts dom0 may fetch.
const (
	PartHeader Part = 1
	PartBody   Part = 2
	PartStdin  Part = 3
	PartCancel Part = 4
)

// Stream names one of the two outputs of a command.
type Stream int64

// The streams.
const (
	Stdout Stream = 1
	Stderr Stream = 2
)

// Word is what running/<id> shows.
type Word string

// The words.
const (
	WordQueued   Word = "queued"
	WordApproval Word = "approval"
	WordRunning  Word = "running"
)

// Folder names a folder of the queue in List and Clean.
type Folder string

// The folders.
const (
	FolderPending Folder = "pending"
	FolderRunning Folder = "running"
	FolderResults Folder = "results"
	FolderCancel  Folder = "cancel"
	FolderStdin   Folder = "stdin"
)

// Message is the payload of a question or an answer.
type Message interface {
	put(*writer)
	get(*reader)
}

// Marshal spells a payload.
func Marshal(m Message) []byte {
	var w writer
	m.put(&w)
	return w.b
}

// Unmarshal reads a payload into m. The error is [ErrFrame].
func Unmarshal(b []byte, m Message) error {
	r := reader{b: b}
	m.get(&r)
	return r.end()
}

const maxWord = 64 // bytes of a short string

// Hello opens the conversation: dom0 tells its version, the name by which it
// knows the qube, and its clock in Unix seconds; the agent answers with its
// own three.
type Hello struct {
	Version string
	Qube    string
	Time    int64
}

func (m *Hello) put(w *writer) { w.text(m.Version); w.text(m.Qube); w.number(m.Time) }
func (m *Hello) get(r *reader) {
	m.Version = r.text(maxWord)
	m.Qube = r.text(maxWord)
	m.Time = r.number()
}

// Wait asks for the names in the queue as soon as their number differs from
// Seen, at the latest after MaxMS milliseconds.
type Wait struct{ Seen, MaxMS int64 }

func (m *Wait) put(w *writer) { w.number(m.Seen); w.number(m.MaxMS) }
func (m *Wait) get(r *reader) {
	m.Seen, m.MaxMS = r.number(), r.number()
	if m.MaxMS > MaxWait.Milliseconds() {
		r.bad = true
	}
}

// Names answers Wait. Number changes only when a name is added or its header
// replaced. All names passed [ValidID]; at most [MaxNames] of both together.
type Names struct {
	Number       int64
	IDs, Cancels []string
}

func (m *Names) put(w *writer) { w.number(m.Number); w.texts(m.IDs); w.texts(m.Cancels) }
func (m *Names) get(r *reader) {
	m.Number, m.IDs, m.Cancels = r.number(), r.texts(MaxID), r.texts(MaxID)
	if len(m.IDs)+len(m.Cancels) > MaxNames {
		r.bad = true
	}
	for _, list := range [][]string{m.IDs, m.Cancels} {
		for _, id := range list {
			if !ValidID(id) {
				r.bad = true
			}
		}
	}
}

// Fetch asks for at most [Chunk] bytes of a part from Offset on.
type Fetch struct {
	ID     string
	Part   Part
	Offset int64
}

func (m *Fetch) put(w *writer) { w.text(m.ID); w.number(int64(m.Part)); w.number(m.Offset) }
func (m *Fetch) get(r *reader) {
	m.ID, m.Part, m.Offset = r.id(), Part(r.number()), r.number()
	if m.Part < PartHeader || m.Part > PartCancel {
		r.bad = true
	}
}

func (r *reader) id() string {
	id := r.text(MaxID)
	if !ValidID(id) {
		r.bad = true
	}
	return id
}

// Data answers Fetch. Size is the file's at the time of reading. Bytes is a
// part of the frame, not a copy.
type Data struct {
	Size  int64
	Bytes []byte
}

func (m *Data) put(w *writer) { w.number(m.Size); w.bytes(m.Bytes) }
func (m *Data) get(r *reader) {
	m.Size, m.Bytes = r.number(), r.bytes()
	if len(m.Bytes) > Chunk {
		r.bad = true
	}
}

// SetState tells how far a claimed request is. The first one makes
// running/<id> and removes the request's pending and stdin files, which dom0
// holds by then.
type SetState struct {
	ID   string
	Word Word
}

func (m *SetState) put(w *writer) { w.text(m.ID); w.text(string(m.Word)) }
func (m *SetState) get(r *reader) {
	m.ID, m.Word = r.id(), Word(r.text(maxWord))
	if m.Word != WordQueued && m.Word != WordApproval && m.Word != WordRunning {
		r.bad = true
	}
}

// Write puts output at its offset, so that a repeated one does no harm.
type Write struct {
	ID     string
	Stream Stream
	Offset int64
	Bytes  []byte
}

func (m *Write) put(w *writer) {
	w.text(m.ID)
	w.number(int64(m.Stream))
	w.number(m.Offset)
	w.bytes(m.Bytes)
}

func (m *Write) get(r *reader) {
	m.ID, m.Stream, m.Offset, m.Bytes = r.id(), Stream(r.number()), r.number(), r.bytes()
	if m.Stream != Stdout && m.Stream != Stderr || len(m.Bytes) > Chunk {
		r.bad = true
	}
}

// Finish delivers a claimed request's final state. The agent cuts out and err
// to their sizes, writes .meta and .auth, then .denied or .exit as the sign
// that all is there, adds Log to audit.log, and removes what is left of the
// request. Repeating it changes nothing.
type Finish struct {
	ID               string
	OutSize, ErrSize int64
	Meta             []byte
	Auth             []byte // the signed result, or empty in version 1
	Exit             string // decimal; empty when denied
	Denied           []byte // content of .denied; empty unless denied
	Log              string // one line, no LF
}

func (m *Finish) put(w *writer) {
	w.text(m.ID)
	w.number(m.OutSize)
	w.number(m.ErrSize)
	w.bytes(m.Meta)
	w.bytes(m.Auth)
	w.text(m.Exit)
	w.bytes(m.Denied)
	w.text(m.Log)
}

func (m *Finish) get(r *reader) {
	m.ID, m.OutSize, m.ErrSize = r.id(), r.number(), r.number()
	m.Meta, m.Auth, m.Exit, m.Denied, m.Log = r.bytes(), r.bytes(), r.text(3), r.bytes(), r.text(MaxHeader)
	if len(m.Meta) > MaxHeader || len(m.Auth) > MaxHeader || len(m.Denied) > MaxDenied || (m.Exit == "") == (len(m.Denied) == 0) {
		r.bad = true
	}
	// .exit is read by people's scripts; nothing but an exit code comes there.
	if n, err := strconv.ParseUint(m.Exit, 10, 8); m.Exit != "" && (err != nil || strconv.FormatUint(n, 10) != m.Exit) {
		r.bad = true
	}
}

// Deny refuses what lies in pending without being a claimed request. The agent
// removes it; it writes the denial only where it holds nothing of that id in
// running, results or history, so that no refusal of a copy can hide an answer.
type Deny struct {
	ID     string
	Auth   []byte // signed result, or empty where dom0 has no key
	Denied []byte
	Log    string
}

func (m *Deny) put(w *writer) { w.text(m.ID); w.bytes(m.Auth); w.bytes(m.Denied); w.text(m.Log) }
func (m *Deny) get(r *reader) {
	m.ID, m.Auth, m.Denied, m.Log = r.id(), r.bytes(), r.bytes(), r.text(MaxHeader)
	if len(m.Auth) > MaxHeader || len(m.Denied) > MaxDenied || len(m.Denied) == 0 {
		r.bad = true
	}
}

// List asks for what is in the queue's folders; it has no fields.
type List struct{}

func (m *List) put(*writer) {}
func (m *List) get(*reader) {}

// Entry is one file in the queue.
type Entry struct {
	Folder Folder
	Name   string // an id, with an ending where the folder has them
	Size   int64  // bytes
	Age    int64  // seconds since it was last changed
	Word   string // running: its word, else ""
}

// Entries answers List: at most [MaxNames] entries, and how many more there
// are, those with names that are no ids included.
type Entries struct {
	List []Entry
	More int64
}

func (m *Entries) put(w *writer) {
	w.number(int64(len(m.List)))
	for _, e := range m.List {
		w.text(string(e.Folder))
		w.text(e.Name)
		w.number(e.Size)
		w.number(e.Age)
		w.text(e.Word)
	}
	w.number(m.More)
}

func (m *Entries) get(r *reader) {
	n := r.number()
	if n > MaxNames {
		r.bad = true
	}
	m.List = nil
	for i := int64(0); i < n && !r.bad; i++ {
		e := Entry{Folder: Folder(r.text(maxWord)), Name: r.text(MaxID + 8), Size: r.number(), Age: r.number(), Word: r.text(maxWord)}
		if !ValidName(e.Folder, e.Name) {
			r.bad = true
		}
		m.List = append(m.List, e)
	}
	m.More = r.number()
}

// ValidName reports whether name may lie in folder: an id, with one of the
// endings that folder has. In a folder that is none of the queue's nothing may.
func ValidName(folder Folder, name string) bool {
	var endings []string
	switch folder {
	case FolderPending:
		endings = []string{"", Auth, ".cmd"}
	case FolderResults:
		endings = []string{Out, Err, Meta, Auth, Denied, Exit}
	case FolderRunning, FolderCancel, FolderStdin:
		endings = []string{""}
	}
	for _, e := range endings {
		if n := len(name) - len(e); n > 0 && name[n:] == e && ValidID(name[:n]) {
			return true
		}
	}
	return false
}

// Clean removes one file from the queue: a cancel that was dealt with, or what
// an administrator wants gone.
type Clean struct {
	Folder Folder
	Name   string
}

func (m *Clean) put(w *writer) { w.text(string(m.Folder)); w.text(m.Name) }
func (m *Clean) get(r *reader) {
	m.Folder, m.Name = Folder(r.text(maxWord)), r.text(MaxID+8)
	if !ValidName(m.Folder, m.Name) {
		r.bad = true
	}
}

// Done answers what needs no answer but "done".
type Done struct{}

func (m *Done) put(*writer) {}
func (m *Done) get(*reader) {}

// Code says why the agent could not do what it was asked.
type Code int64

// The codes. dom0 treats one it does not know as CodeFailed.
const (
	CodeFailed     Code = 1 // any other input/output error
	CodeGone       Code = 2 // no such file
	CodeNotRegular Code = 3 // a symlink, FIFO, folder or device
	CodeFull       Code = 4 // the qube's disk is full or read-only
)

// Failure is the payload of an error frame.
type Failure struct {
	Code Code
	Text string // from the qube: quote it on output
}

func (m *Failure) put(w *writer) { w.number(int64(m.Code)); w.text(m.Text) }
func (m *Failure) get(r *reader) { m.Code, m.Text = Code(r.number()), r.text(MaxHeader) }

// Error makes a Failure an error. The text came from the other side and is
// quoted by the callers that print it.
func (m *Failure) Error() string { return "the qube's agent failed: " + m.Text }

// FailureOf turns an error of the agent's files into a Failure.
func FailureOf(err error) *Failure {
	f := &Failure{Code: CodeFailed, Text: err.Error()}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		f.Code = CodeGone
	case errors.Is(err, ErrNotRegular):
		f.Code = CodeNotRegular
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT), errors.Is(err, syscall.EROFS):
		f.Code = CodeFull
	}
	if len(f.Text) > MaxHeader {
		f.Text = f.Text[:MaxHeader]
	}
	return f
}
