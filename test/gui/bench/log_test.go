package main

import (
	"strings"
	"testing"
	"time"
)

const sample = `main 1000
frame 2000 500 400 overview 0 0 0 0 0 0 0 none
key 3000 65364 record17
frame 3100 200 200 activity 1 250 100 20 1 3 0 record17
frame 3400 60000 9000 activity 1 251 110 20 0 0 18 record16
key 9`

func TestParse(t *testing.T) {
	t.Parallel()
	r, err := parse(sample)
	if err != nil {
		t.Fatal(err)
	}
	if r.began != 1000 || len(r.frames) != 3 || len(r.keys) != 1 {
		t.Fatalf("it is %+v", r)
	}
	want := frame{at: 3400, took: 60 * time.Millisecond, work: 9 * time.Millisecond, page: "activity", told: true,
		rows: 251, held: 110, seen: 20, top: 18, focus: "record16"}
	if r.frames[2] != want {
		t.Errorf("the last frame is %+v", r.frames[2])
	}
	if at, ok := r.answered(r.keys[0]); !ok || at != 63400 {
		t.Errorf("the key was answered at %d: %v", at, ok)
	}
	if took, work := longest(r.after(2001)); took != 60*time.Millisecond || work != 9*time.Millisecond || len(r.after(2001)) != 2 {
		t.Errorf("the longest of %d later frames took %v and %v", len(r.after(2001)), took, work)
	}
	if _, ok := r.answered(key{at: 3200, focus: "record16"}); ok {
		t.Error("a key that moved nothing was answered")
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"frame 1 2 overview 0\n", "fame 1\n", "key x 1 none\n", "main\n"} {
		if r, err := parse(text); err == nil || !strings.Contains(err.Error(), "log of frames") {
			t.Errorf("%q is %+v: %v", text, r, err)
		}
	}
}
