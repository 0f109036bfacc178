package e2e

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"qvmremote/queue"
)

// A liar is an agent that breaks the rules in one way and keeps the others. It
// knows one request with a good MAC, whose script leaves a mark in dom0.
type liar struct {
	layout queue.Layout
	in     *bufio.Reader
	out    io.Writer
	req    queue.Request
	header []byte
	script []byte
	waits  int
}

// lies are the ways. A function gets each question first and reports whether
// it has dealt with it.
var lies = map[string]func(l *liar, f queue.Frame) bool{
	"garbage":     (*liar).garbage,
	"flood":       (*liar).flood,
	"stall":       (*liar).stall,
	"leave":       func(*liar, queue.Frame) bool { os.Exit(0); return true },
	"half":        (*liar).half,
	"ten-k-names": (*liar).tooManyNames,
	"new-names":   (*liar).newNames,
	"spin":        (*liar).spin,
	"unasked":     (*liar).unasked,
	"oversized":   (*liar).oversized,
	"wrong-tag":   (*liar).wrongTag,
	"bad-names":   (*liar).badNames,
	"other-bytes": (*liar).otherBytes,
	"refuse":      (*liar).refuse,
	"huge-size":   (*liar).hugeSize,
}

// lie plays the agent named role in the qube.
func lie(role string) int {
	home, err := os.UserHomeDir()
	if err != nil {
		return 1
	}
	l := &liar{layout: queue.Layout{Root: filepath.Join(home, queue.FolderName)}, in: bufio.NewReader(os.Stdin), out: os.Stdout}
	b, err := os.ReadFile(l.layout.Key())
	if err != nil {
		return 1
	}
	key, err := queue.ParseKey(b)
	if err != nil {
		return 1
	}
	switch role {
	case "wrong-magic":
		fmt.Print("qvm-remote-agent/3\n")
		_, _ = io.Copy(io.Discard, os.Stdin)
		return 0
	case "noise":
		for {
			if _, err := fmt.Print(strings.Repeat("qvm-remote-agent", 4096)); err != nil {
				return 0
			}
		}
	}
	l.script = []byte("touch " + role + "-mark\n" + strings.Repeat("# \n", queue.Chunk/2))
	now := time.Now()
	l.req = queue.Request{Kind: queue.KindScript, ID: queue.NewID(now, os.Getpid()), Qube: queue.AnyQube, Issued: now.Unix(),
		Expires: now.Unix() + 300, Timeout: 60, Body: queue.SumOf(l.script)}
	l.header = l.req.Sign(key.RequestKey())
	fmt.Print(queue.Magic)
	return l.serve(lies[role])
}

func (l *liar) serve(lie func(*liar, queue.Frame) bool) int {
	for {
		f, err := queue.ReadFrame(l.in)
		if err != nil {
			return 0
		}
		if f.Type != queue.FrameHello && lie(l, f) {
			continue
		}
		l.honest(f)
	}
}

// honest answers as an agent with one request in its queue.
func (l *liar) honest(f queue.Frame) {
	switch f.Type {
	case queue.FrameHello:
		l.say(f, &queue.Hello{Version: "0", Qube: "", Time: time.Now().Unix()})
	case queue.FrameWait:
		if l.waits++; l.waits > 1 {
			return // answered never; dom0's deadline is long
		}
		l.say(f, &queue.Names{Number: 1, IDs: []string{l.req.ID}})
	case queue.FrameFetch:
		l.fetch(f)
	case queue.FrameList:
		l.say(f, &queue.Entries{})
	default:
		l.say(f, &queue.Done{})
	}
}

func (l *liar) fetch(f queue.Frame) {
	var q queue.Fetch
	if queue.Unmarshal(f.Payload, &q) != nil {
		os.Exit(1)
	}
	part := map[queue.Part][]byte{queue.PartHeader: l.header, queue.PartBody: l.script}[q.Part]
	if part == nil {
		l.fail(f, queue.CodeGone)
		return
	}
	rest := part[min(int(q.Offset), len(part)):]
	l.say(f, &queue.Data{Size: int64(len(part)), Bytes: rest[:min(len(rest), queue.Chunk)]})
}

func (l *liar) say(question queue.Frame, m queue.Message) {
	l.send(queue.Frame{Type: question.Type | queue.AnswerBit, Tag: question.Tag, Payload: queue.Marshal(m)})
}

func (l *liar) fail(question queue.Frame, code queue.Code) {
	l.send(queue.Frame{Type: queue.FrameError, Tag: question.Tag, Payload: queue.Marshal(&queue.Failure{Code: code, Text: "\x1b[2Jno\n[2026] EXEC forged"})})
}

func (l *liar) send(f queue.Frame) {
	if queue.WriteFrame(l.out, f) != nil {
		os.Exit(0) // dom0 hung up
	}
}

func (l *liar) raw(b []byte) {
	if _, err := l.out.Write(b); err != nil {
		os.Exit(0)
	}
}

func (l *liar) garbage(queue.Frame) bool {
	l.raw(bytes.Repeat([]byte{0xde, 0xad, 0xbe, 0xef}, 1024))
	return true
}

// flood answers with 400 MB, in frames that are too long.
func (l *liar) flood(f queue.Frame) bool {
	l.raw([]byte{0x18, 0, 0, 0, byte(f.Type | queue.AnswerBit), 0, 0, 0, byte(f.Tag)})
	for chunk := make([]byte, 1<<20); ; {
		l.raw(chunk)
	}
}

func (l *liar) stall(f queue.Frame) bool {
	l.raw([]byte{0, 0, 0, 50, byte(f.Type | queue.AnswerBit), 0, 0})
	select {} // the daemon ends this process
}

func (l *liar) half(f queue.Frame) bool {
	l.raw([]byte{0, 0, 0, 50, byte(f.Type | queue.AnswerBit), 0, 0})
	os.Exit(0)
	return true
}

func names(from, n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf("name-%d", from+i)
	}
	return list
}

func (l *liar) tooManyNames(f queue.Frame) bool {
	if f.Type != queue.FrameWait {
		return false
	}
	l.say(f, &queue.Names{Number: 1, IDs: names(0, 10_000)})
	return true
}

// newNames has fresh names for every question, none with a header that counts.
func (l *liar) newNames(f queue.Frame) bool {
	switch f.Type {
	case queue.FrameWait:
		l.waits++
		l.say(f, &queue.Names{Number: int64(l.waits), IDs: names(l.waits*1000, 500), Cancels: names(l.waits*1000+500, 500)})
	case queue.FrameFetch:
		l.say(f, &queue.Data{Size: 7, Bytes: []byte("nothing")})
	default:
		return false
	}
	return true
}

// spin answers every wait at once, with nothing, and counts them.
func (l *liar) spin(f queue.Frame) bool {
	if f.Type != queue.FrameWait {
		return false
	}
	l.waits++
	_ = os.WriteFile(filepath.Join(l.layout.Root, "waits"), []byte(fmt.Sprint(l.waits)), 0o600)
	l.say(f, &queue.Names{Number: int64(l.waits)})
	return true
}

func (l *liar) unasked(f queue.Frame) bool {
	l.send(queue.Frame{Type: queue.FrameWait | queue.AnswerBit, Tag: f.Tag + 1000, Payload: queue.Marshal(&queue.Names{Number: 9, IDs: []string{l.req.ID}})})
	return false
}

func (l *liar) oversized(f queue.Frame) bool {
	if f.Type != queue.FrameState {
		return false
	}
	l.send(queue.Frame{Type: f.Type | queue.AnswerBit, Tag: f.Tag, Payload: make([]byte, 100<<10)})
	return true
}

func (l *liar) wrongTag(f queue.Frame) bool {
	l.send(queue.Frame{Type: f.Type | queue.AnswerBit, Tag: f.Tag ^ 1, Payload: queue.Marshal(&queue.Names{Number: 1})})
	return true
}

func (l *liar) badNames(f queue.Frame) bool {
	if f.Type != queue.FrameWait {
		return false
	}
	l.say(f, &queue.Names{Number: 1, IDs: []string{"../../../etc/shadow", "$(touch bad-names-mark)", "a\nb", "\x1b[2J", "'"}})
	return true
}

// otherBytes gives the script's second piece with other bytes of the same
// length.
func (l *liar) otherBytes(f queue.Frame) bool {
	var q queue.Fetch
	if f.Type != queue.FrameFetch || queue.Unmarshal(f.Payload, &q) != nil || q.Part != queue.PartBody || q.Offset == 0 {
		return false
	}
	l.say(f, &queue.Data{Size: int64(len(l.script)), Bytes: bytes.Repeat([]byte("\n"), len(l.script)-int(q.Offset))})
	return true
}

// refuse never moves a file and never takes an answer.
func (l *liar) refuse(f queue.Frame) bool {
	if f.Type != queue.FrameState && f.Type != queue.FrameFinish && f.Type != queue.FrameWrite && f.Type != queue.FrameDeny {
		return false
	}
	l.fail(f, queue.CodeFull)
	return true
}

// hugeSize says that a header has 2^62 bytes.
func (l *liar) hugeSize(f queue.Frame) bool {
	if f.Type != queue.FrameFetch {
		return false
	}
	l.say(f, &queue.Data{Size: 1 << 62, Bytes: make([]byte, queue.Chunk)})
	return true
}
