package poll

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"qvmremote/daemon/transport"
	"qvmremote/queue"
)

// good is a whole answer to a look.
const good = "cancel c aA==\nrequest a 3 aA==\nbody a YWJj\nrequest b - -\nok deny x\nno clean cancel/y\nbare d\nend 7\n"

func readOf(text string) (found, map[string]bool, error) {
	wanted := map[string]bool{"deny x": true, "clean cancel/y": true}
	return readLook(&answer{in: bufio.NewReader(strings.NewReader(text)), left: maxCall}, wanted)
}

func TestAnswer(t *testing.T) {
	f, acks, err := readOf(good)
	if err != nil || len(f.requests) != 2 || string(f.requests[0].script) != "YWJj" || f.requests[1].length != -1 ||
		len(f.cancels) != 1 || len(f.bare) != 1 || !acks["deny x"] || acks["clean cancel/y"] {
		t.Errorf("%+v, %v, %v", f, acks, err)
	}
}

// TestBadAnswers: what is not whole, or not in the form, counts as nothing.
func TestBadAnswers(t *testing.T) {
	ids := ""
	for i := range maxRequests + 1 {
		ids += fmt.Sprintf("request a%d - -\n", i)
	}
	for name, text := range map[string]string{
		"nothing":                "",
		"no end mark":            strings.TrimSuffix(good, "end 7\n"),
		"half an end mark":       strings.TrimSuffix(good, "\n"),
		"another count":          strings.ReplaceAll(good, "end 7", "end 6"),
		"a count that is none":   strings.ReplaceAll(good, "end 7", "end +7"),
		"truncated base64":       "request a 3 aA=\nend 1\n",
		"base64 of another kind": "request a 3 a_==\nend 1\n",
		"a header twice too big": "request a 3 " + strings.Repeat("aaaa", 1000) + "\nend 1\n",
		"no id":                  "request ../x 3 aA==\nend 1\n",
		"an id with a blank":     "request a b 3 aA==\nend 1\n",
		"an ending":              "request a.auth 3 aA==\nend 1\n",
		"a negative size":        "request a -3 aA==\nend 1\n",
		"a size with a sign":     "request a +3 aA==\nend 1\n",
		"a huge size":            "request a 99999999999999999999 aA==\nend 1\n",
		"twice the same":         "request a 3 aA==\nrequest a 3 aA==\nend 2\n",
		"too many":               ids + fmt.Sprintf("end %d\n", maxRequests+1),
		"a script of nobody":     "body a YWJj\nend 1\n",
		"two scripts":            "request a 3 aA==\nbody a YWJj\nbody a YWJj\nend 3\n",
		"another word":           "hello a\nend 1\n",
		"an empty line":          "\nend 1\n",
		"an endless line":        "request a 3 " + strings.Repeat("a", maxLine+1),
		"endless lines":          strings.Repeat("ok deny a\n", maxCall/10+1),
	} {
		if f, _, err := readOf(text); !errors.Is(err, transport.ErrProtocol) {
			t.Errorf("%s: %+v, %v", name, f, err)
		}
	}
}

// TestBadScripts: the script that a look brought is of the size its header
// names, and base64, or it is none.
func TestBadScripts(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		line string
		want error
	}{
		"shorter":          {"request a 4 aA==\nbody a YWJj", transport.ErrChanged},
		"longer":           {"request a 4 aA==\nbody a YWJjZGVm", transport.ErrChanged},
		"another size":     {"request a 3 aA==\nbody a YWJj", transport.ErrChanged},
		"truncated base64": {"request a 4 aA==\nbody a YWJjZA=", transport.ErrProtocol},
		"no base64":        {"request a 4 aA==\nbody a $(id)", transport.ErrProtocol},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			q := newQube(t)
			q.answers("printf 'qvm-remote-poll/1\\n" + strings.ReplaceAll(c.line, "\n", `\n`) + "\\nend 2\\n'")
			w := q.dial()
			if err := w.Copy(t.Context(), io.Discard, "a", queue.PartBody, 4); !errors.Is(err, c.want) {
				t.Errorf("%v", err)
			}
		})
	}
}

// TestHostileCalls: noise is dropped, a flood and silence come to an end.
func TestHostileCalls(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		text string
		want error // nil: it is a look like any other
	}{
		"noise":            {"echo Welcome; printf 'prompt$ '; " + typed, nil},
		"noise like magic": {"printf 'qvm-remote-poll/qvm-remote-poll/2\\n'; " + typed, nil},
		"a held stream":    {"sleep 1000 & " + typed, nil},
		"chatter":          {"yes no | head -c 200000 >&2; " + typed, nil},
		"too much noise":   {"yes", transport.ErrNoAgent},
		"endless":          {"printf 'qvm-remote-poll/1\\n'; yes 'ok deny a'", transport.ErrProtocol},
		"silence":          {"exec sleep 1000", transport.ErrProtocol},
		"half an answer":   {"printf 'qvm-remote-poll/1\\nrequest a'; exec sleep 1000", transport.ErrProtocol},
		"no shell":         {"exit 127", transport.ErrNoAgent},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			q := newQube(t)
			if name == "silence" || name == "half an answer" {
				q.d.Times.Call = 300 * time.Millisecond
			}
			q.answers(c.text)
			w, err := q.d.Dial(t.Context(), "work")
			if err == nil {
				w.Close()
			}
			if !errors.Is(err, c.want) || c.want == nil && err != nil {
				t.Errorf("%v, want %v", err, c.want)
			}
		})
	}
}

func FuzzAnswer(f *testing.F) {
	f.Add(good)
	f.Add("request a 3 aA==\nbody a YWJj\nend 2\n")
	f.Add("end 0\n")
	f.Fuzz(func(t *testing.T, text string) {
		found, _, err := readOf(text)
		if err != nil {
			return
		}
		for _, r := range found.requests {
			if !queue.ValidID(r.id) || len(r.header) > queue.MaxHeader+1 {
				t.Errorf("%+v", r)
			}
		}
		if !strings.Contains(text, "end ") {
			t.Error("an answer without an end")
		}
	})
}
