//go:build gtk

package client

import (
	"os"
	"strings"
	"testing"

	"qvmremote/client"
	"qvmremote/client/standing"
	"qvmremote/queue"
	"qvmremote/test/stage"
)

// TestOnlyTheKeySpokenOfIsReplaced: not one that was made meanwhile.
func TestOnlyTheKeySpokenOfIsReplaced(t *testing.T) {
	s := open(t)
	named := s.now
	if err := unmoved(s.queue, named); err != nil {
		t.Errorf("the key that was named: %v", err)
	}
	if unmoved(s.queue, standing.Standing{}) == nil {
		t.Error("a key is replaced where none was named")
	}
	if err := s.queue.ImportKey(queue.GenerateKey()); err != nil {
		t.Fatal(err)
	}
	if unmoved(s.queue, named) == nil {
		t.Error("another key than the one named is replaced")
	}
	if err := os.WriteFile(s.queue.Layout.Key(), []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	if unmoved(s.queue, named) == nil {
		t.Error("a key that was named is now damaged, and is replaced")
	}
	_, damaged := s.queue.Key()
	if err := unmoved(s.queue, standing.Standing{KeyProblem: damaged}); err != nil {
		t.Errorf("a damaged key that was named: %v", err)
	}
	if err := os.Remove(s.queue.Layout.Key()); err != nil {
		t.Fatal(err)
	}
	if err := unmoved(s.queue, named); err != nil {
		t.Errorf("nothing is replaced: %v", err)
	}
}

// TestVersion1IsNotCalledLost: nothing shows whether it looks, so it is asked.
func TestVersion1IsNotCalledLost(t *testing.T) {
	s := open(t)
	k := s.page("key").(*keyPage)
	s.Show("run")
	now := standing.Standing{Qube: "work", Fingerprint: s.now.Fingerprint, Legacy: true}
	s.report(now)
	if text, _, _ := s.attention(); text != "" {
		t.Errorf("the banner says %q", text)
	}
	if got := linkLook(now).Word; got != "Version 1: it cannot be seen" {
		t.Errorf("the window says %q", got)
	}
	if !k.test.Sensitive() {
		t.Error("it cannot be asked")
	}
	if got, want := k.Line.Text(), "qvm-run -p work 'qvm-remote key show' | qvm-remote-dom0 authorize --legacy --policy ask work"; got != want {
		t.Errorf("to pair it the page says %q, not %q", got, want)
	}
	k.tested = now.Fingerprint
	k.report()
	if got := k.State.Text(); got != "dom0 answers" {
		t.Errorf("after it answered the page says %q", got)
	}
}

// TestAnUnsignedAnswerIsNotDom0s: anybody in the qube can write it.
func TestAnUnsignedAnswerIsNotDom0s(t *testing.T) {
	for _, signed := range []bool{true, false} {
		o := client.Outcome{State: queue.StateDenied, Sentence: "no rule", Signed: signed}
		for _, text := range []string{denial(o), endedBefore(o)} {
			if strings.Contains(text, "not confirmed by dom0") == signed {
				t.Errorf("signed %t: %q", signed, text)
			}
		}
	}
}

// TestAKeyThatBecameAnotherIsDoubted: dom0 may not know one that the command line
// put in its place, as little as one that was made here.
func TestAKeyThatBecameAnotherIsDoubted(t *testing.T) {
	s := open(t)
	k := s.page("key").(*keyPage)
	if k.steps[1].row.Visible() {
		t.Fatal("it guides through pairing before")
	}
	now := s.now
	now.Fingerprint = queue.GenerateKey().Fingerprint()
	s.report(now)
	if !k.steps[1].row.Visible() || !k.LineBox.Visible() {
		t.Error("nothing says that dom0 has to know the new key")
	}
	k.tested = now.Fingerprint
	s.report(now)
	if k.steps[1].row.Visible() {
		t.Error("it is doubted after dom0 answered to it")
	}
}

// TestAKeyMadeMeanwhileIsNotReplaced: the question named another one.
func TestAKeyMadeMeanwhileIsNotReplaced(t *testing.T) {
	s := open(t)
	k := s.page("key").(*keyPage)
	named, meanwhile := s.now, queue.GenerateKey()
	if err := s.queue.ImportKey(meanwhile); err != nil {
		t.Fatal(err)
	}
	made := func() queue.Key {
		k.makeKey(true, named)
		stage.Until(t, "it was tried", func() bool { return k.Generate.Sensitive() })
		now, err := s.queue.Key()
		if err != nil {
			t.Fatal(err)
		}
		return now
	}
	if !made().Equal(meanwhile) {
		t.Error("a key that nobody asked about was replaced")
	}
	named.Fingerprint = meanwhile.Fingerprint()
	if made().Equal(meanwhile) {
		t.Error("the one that was asked about was not replaced")
	}
}
