package spool

import (
	"errors"
	"os"
	"testing"

	"qvmremote/queue"
)

// TestAnEntryOutlivesTheDaemon: what an earlier run took is there, and counts.
func TestAnEntryOutlivesTheDaemon(t *testing.T) {
	t.Parallel()
	s := newSpool(t, plenty)
	key := queue.GenerateKey().ResultKey()
	e, err := s.Create(1, "work", 100, "ab12 cd34", key)
	if err != nil {
		t.Fatal(err)
	}
	out, errs := e.Output(queue.Stdout), e.Output(queue.Stderr)
	for _, text := range []string{"one\n", "two\n"} {
		if _, err := out.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(out.Sync(), errs.Sync(), out.Release(), e.SaveResult([]byte("answer"))); err != nil {
		t.Fatal(err)
	}
	later, err := Open(s.dir, plenty)
	if err != nil {
		t.Fatal(err)
	}
	r, err := later.Reopen(1, "work", "ab12 cd34")
	if err != nil {
		t.Fatal(err)
	}
	if later.used["work"] < entryCost+8 {
		t.Errorf("%d bytes are counted", later.used["work"])
	}
	if k, err := r.ResultKey(); err != nil || string(k.Bytes()) != string(key.Bytes()) {
		t.Errorf("the key came back wrong: %v", err)
	}
	if b, ok, err := r.Result(); string(b) != "answer" || !ok || err != nil {
		t.Errorf("%q, %v, %v", b, ok, err)
	}
	out, errs = r.Output(queue.Stdout), r.Output(queue.Stderr)
	if err := errors.Join(out.Recover(), errs.Recover()); err != nil {
		t.Fatal(err)
	}
	if out.Sum() != queue.SumOf([]byte("one\ntwo\n")) || errs.Sum() != queue.SumOf(nil) {
		t.Errorf("recovered %s and %s", out.Sum(), errs.Sum())
	}
	p := make([]byte, 4)
	if _, err := out.ReadAt(p, 4); err != nil || string(p) != "two\n" {
		t.Errorf("read %q, %v", p, err)
	}
	// A power cut may lose the folder of a claimed request, never its key.
	lost, err := later.Reopen(2, "work", "ab12 cd34")
	if err != nil {
		t.Fatal(err)
	}
	if k, err := lost.ResultKey(); err != nil || string(k.Bytes()) != string(key.Bytes()) {
		t.Errorf("a lost folder cannot be answered: %v", err)
	}
}

func TestRecoverFollowsNoLink(t *testing.T) {
	t.Parallel()
	e := newEntry(t, newSpool(t, plenty), 1, "work", 0)
	out := e.Output(queue.Stdout)
	if err := os.Symlink("/etc/passwd", out.path); err != nil {
		t.Fatal(err)
	}
	if err := out.Recover(); err == nil || out.Size() != 0 {
		t.Errorf("%v, %d bytes", err, out.Size())
	}
	if _, err := out.Write([]byte("x")); err == nil {
		t.Error("wrote through a link")
	}
}

func TestAnOutputIsUsedOnAfterRelease(t *testing.T) {
	t.Parallel()
	out := newEntry(t, newSpool(t, plenty), 1, "work", 0).Output(queue.Stderr)
	for range 3 {
		if _, err := out.Write([]byte("ab")); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(out.Release(), out.Release()); err != nil {
			t.Fatal(err)
		}
	}
	p := make([]byte, 6)
	if _, err := out.ReadAt(p, 0); err != nil || string(p) != "ababab" {
		t.Errorf("%q, %v", p, err)
	}
	select {
	case <-out.Grown():
	default:
		t.Error("nobody was told that it grew")
	}
	if out.Size() != 6 {
		t.Errorf("%d bytes", out.Size())
	}
}

func TestNoAnswerYet(t *testing.T) {
	t.Parallel()
	e := newEntry(t, newSpool(t, plenty), 1, "work", 0)
	if b, ok, err := e.Result(); len(b) != 0 || ok || err != nil {
		t.Errorf("%q, %v, %v", b, ok, err)
	}
}
