package audit

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

// writerEnv makes the test binary a process that appends to a log: the folder,
// how many claims, and a name for them.
const writerEnv = "AUDIT_TEST_WRITER"

func TestMain(m *testing.M) {
	if job := os.Getenv(writerEnv); job != "" {
		if err := writer(strings.Split(job, "\t")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func writer(job []string) error {
	if len(job) != 3 {
		return errors.New("bad job")
	}
	times, err := strconv.Atoi(job[1])
	if err != nil {
		return err
	}
	q := newRequests()
	o := Options{Reserve: -1, SegmentBytes: 3000, hooks: noSync()}
	l, err := Open(context.Background(), job[0], o, q)
	if err != nil {
		return err
	}
	fmt.Println("ready")
	if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil {
		return err
	}
	for i := range times {
		id := fmt.Sprintf("%s-%d", job[2], i)
		_, err := l.Update(context.Background(), func(tx *Tx) error {
			tx.Add(claim(id))
			return nil
		})
		if err != nil {
			return err
		}
	}
	if err := l.Close(); err != nil {
		return err
	}
	// What was folded while others wrote is what a start would fold.
	again := newRequests()
	l, err = Open(context.Background(), job[0], o, again)
	if err != nil {
		return err
	}
	defer l.Close()
	for id, seq := range q.Claims {
		if again.Claims[id] != seq {
			return fmt.Errorf("claim %s was %d and is %d", id, seq, again.Claims[id])
		}
	}
	return nil
}

func TestSeveralProcessesMakeOneLog(t *testing.T) {
	t.Parallel()
	const processes, times = 3, 60
	dir := logDir(t)
	l, q := openLog(t, dir, Options{SegmentBytes: 3000, hooks: noSync()})
	var start []func() error
	var done []*exec.Cmd
	for p := range processes {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		t.Cleanup(cancel)
		cmd := exec.CommandContext(ctx, os.Args[0])
		cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s\t%d\tp%d", writerEnv, dir, times, p))
		cmd.Stderr = os.Stderr
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "ready\n" {
			t.Fatalf("writer says %q, %v", line, err)
		}
		start = append(start, func() error { _, err := fmt.Fprintln(in); return err })
		done = append(done, cmd)
	}
	for _, s := range start {
		if err := s(); err != nil {
			t.Fatal(err)
		}
	}
	for i := range times {
		add(t, l, claim(fmt.Sprintf("own-%d", i)))
	}
	for _, cmd := range done {
		if err := cmd.Wait(); err != nil {
			t.Errorf("writer: %v", err)
		}
	}
	add(t, l, claim("last"))
	if want := (processes+1)*times + 1; len(q.Claims) != want || q.Total != int64(want) {
		t.Errorf("%d claims are folded, %d applied; want %d", len(q.Claims), q.Total, want)
	}
	all := records(t, dir)
	for i, r := range all {
		if r.Seq != int64(i) {
			t.Fatalf("record %d has seq %d", i, r.Seq)
		}
	}
	if n := count(all, Claim); n != int(q.Total) || count(all, CarryEvent) < 3 || count(all, Loss)+count(all, Torn) != 0 {
		t.Errorf("%d claims, %d carries, %d losses", n, count(all, CarryEvent), count(all, Loss))
	}
	mustVerify(t, dir)
}

// A process that is killed anywhere in its appending leaves a log that the
// others, and a start, can go on with; what it was told is recorded is.
func TestKilledProcessLeavesAGoodLog(t *testing.T) {
	t.Parallel()
	for round := range 4 {
		dir := logDir(t)
		l, q := openLog(t, dir, Options{SegmentBytes: 3000, hooks: noSync()})
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s\t%d\tp", writerEnv, dir, 100000))
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := fmt.Fprintln(in); err != nil {
			t.Fatal(err)
		}
		// It is killed once it has appended some, wherever it is then.
		for deadline := time.Now().Add(time.Minute); ; {
			if _, err := l.Update(context.Background(), func(*Tx) error { return nil }); err != nil {
				t.Fatal(err)
			}
			if len(q.Claims) > 10*(round+1) {
				break
			}
			if time.Now().After(deadline) {
				t.Fatal("the other process appended nothing")
			}
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		add(t, l, claim("survivor"))
		mustVerify(t, dir)
		total := q.Total
		mustClose(t, l)
		l, q = openLog(t, dir, Options{})
		if q.Total != total || count(records(t, dir), Loss) != 0 {
			t.Errorf("after a restart %d claims of %d, findings %v", q.Total, total, l.Findings())
		}
		mustVerify(t, dir)
	}
}
