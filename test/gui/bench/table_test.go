package main

import (
	"testing"
	"time"
)

func TestTable(t *testing.T) {
	t.Parallel()
	const m = time.Millisecond
	rows := []row{
		told("rows", "7"),
		atMost("start", 700*m, 650*m, 400*m, 500*m),
		atMost("key", 100*m, 20*m, 101*m),
		atMost("nothing", 100*m),
		none("messages", 0),
		none("wakes", 2),
	}
	const want = "| what | measured | limit | met |\n|---|---|---|---|\n" +
		"| rows | 7 |  |  |\n" +
		"| start | 500 ms, worst of 3: 650 ms | ≤ 700 ms | yes |\n" +
		"| key | 101 ms, worst of 2: 101 ms | ≤ 100 ms | **no** |\n" +
		"| nothing | never | ≤ 100 ms | **no** |\n" +
		"| messages | 0 | 0 | yes |\n" +
		"| wakes | 2 | 0 | **no** |\n"
	if got := table(rows); got != want {
		t.Errorf("it is\n%s\nwant\n%s", got, want)
	}
	if n := len(over(rows)); n != 3 {
		t.Errorf("%d rows are over their limits", n)
	}
	for n, want := range map[int]string{7: "7", 1234: "1,234", 1000000: "1,000,000"} {
		if got := thousands(n); got != want {
			t.Errorf("%d is %s", n, got)
		}
	}
}
