package queue

import "testing"

func TestInputIsPartOfWhatIsApproved(t *testing.T) {
	t.Parallel()
	script, a, b := SumOf([]byte("cat")), SumOf([]byte("a")), SumOf([]byte("b"))
	seen := map[string]bool{HashOf(script, Sum{}): true, HashOf(script, a): true, HashOf(script, b): true, HashOf(a, script): true, HashOf(script, SumOf(nil)): true}
	if len(seen) != 5 {
		t.Error("two requests of other bytes have one hash")
	}
	text := []byte("script " + script.String() + "\nstdin " + a.String() + "\n")
	for _, text := range [][]byte{text, append([]byte{0}, text...)} {
		if CheckScript(text) == nil && HashOf(SumOf(text), Sum{}) == HashOf(script, a) {
			t.Errorf("%q is a script with the hash of a request that has input", text)
		}
	}
	if got := HashOf(SumOf([]byte("abc")), Sum{}); got != "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" {
		t.Errorf("the hash of a script alone is %s, not what sha256sum prints", got)
	}
}
