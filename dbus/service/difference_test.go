package service

import (
	"strings"
	"testing"

	"qvmremote/daemon"
	"qvmremote/queue"
)

// TestOnlyTheSameBytesHaveNoDifference: also where a line looks like what is
// said of another input, or of an end that is missing.
func TestOnlyTheSameBytesHaveNoDifference(t *testing.T) {
	t.Parallel()
	none, some, other := queue.Sum{}, queue.SumOf([]byte("some")), queue.SumOf([]byte("other"))
	for _, c := range []struct {
		was, is     string
		had, has    queue.Sum
		want        []string
		wantNothing bool
	}{
		{was: "ls\n", is: "ls\n", wantNothing: true},
		{was: "ls\n", is: "ls\n", had: some, has: some, wantNothing: true},
		{was: "ls\n", is: "ls\n", had: some, has: other, want: []string{"its input was " + some.String() + " and is " + other.String()}},
		{was: "ls\n", is: "ls\n", had: none, has: some, want: []string{"its input was none and is sha256:"}},
		{was: "ls\n", is: "ls", want: []string{"its last line was ended and is not ended by a newline"}},
		{was: "a\n", is: "a\nits input was none\n", want: []string{"+its input was none"}},
		{was: "a\n", is: "a\nits last line was ended", want: []string{"+its last line was ended", "its last line was ended and"}},
		{was: "a\n", is: "a\x1b[2K\n", want: []string{`+a\x1b[2K`}},
		{was: "", is: "\n", want: []string{"+\n", "its last line was not"}},
	} {
		got := difference(daemon.Approved{Script: []byte(c.was), Stdin: c.had}, []byte(c.is), c.has)
		if c.wantNothing != (got == "") {
			t.Errorf("%q, then %q: %q", c.was, c.is, got)
		}
		for _, want := range c.want {
			if !strings.Contains("\n"+got, "\n"+want) {
				t.Errorf("%q, then %q: %q lacks %q", c.was, c.is, got, want)
			}
		}
	}
}
