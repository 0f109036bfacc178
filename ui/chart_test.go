//go:build gtk

package ui

import (
	"math"
	"testing"

	"qvmremote/test/stage"
)

func TestABarIsAsHighAsItsParts(t *testing.T) {
	t.Parallel()
	for want, parts := range map[uint64][]Part{
		0: nil, 7: {{3, "good"}, {0, "bad"}, {4, "warn"}}, 2 * math.MaxUint32: {{math.MaxUint32, "good"}, {math.MaxUint32, "bad"}},
	} {
		if got := uint64((Bar{Parts: parts}).total()); got != want {
			t.Errorf("%v add up to %d, not %d", parts, got, want)
		}
	}
}

// TestAChartIsDrawnAndSaid, whatever its numbers are.
func TestAChartIsDrawnAndSaid(t *testing.T) {
	stage.Enter(t)
	scope := NewScope(nil)
	defer scope.Close()
	c := NewChart()
	c.Bind(scope)
	show(t, c)
	for _, bars := range [][]Bar{
		nil, {{}}, {{Parts: []Part{{0, "good"}}}}, {{Parts: []Part{{1, "good"}, {1, "no such tone"}}}, {Parts: []Part{{math.MaxUint32, "bad"}}}}, make([]Bar, 5000),
	} {
		c.Set(bars, "3 done, 1 <failed>")
		stage.Settle()
		stage.Name(t, c, "3 done, 1 <failed>")
	}
}
