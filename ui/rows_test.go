//go:build gtk

package ui

import (
	"fmt"
	"math"
	"testing"

	"pgregory.net/rapid"

	"qvmremote/test/stage"
)

// number draws positions and counts: small ones, and such as nobody should ask
// for.
func number(t *rapid.T, name string) int {
	return rapid.OneOf(rapid.IntRange(0, 30), rapid.IntRange(-3, 3),
		rapid.SampledFrom([]int{math.MaxInt32, math.MaxUint32, math.MaxUint32 + 1, math.MaxUint32 + 5, math.MaxInt, math.MinInt})).Draw(t, name)
}

// TestAListFollowsItsRows: one that does only what it is told of has the same
// rows as the model, those that stayed in their order.
func TestAListFollowsItsRows(t *testing.T) {
	stage.Enter(t)
	rapid.Check(t, func(t *rapid.T) {
		r := NewRows()
		model, told := []int{}, []int{}
		next := 0
		grow := func(list []int, at, removed, added int) []int {
			fresh := make([]int, added)
			for i := range fresh {
				fresh[i] = next + i
			}
			return append(append(append([]int{}, list[:at]...), fresh...), list[at+removed:]...)
		}
		changed, wrong := 0, ""
		handle := r.Model().ConnectItemsChanged(func(at, removed, added uint) {
			changed++
			if int(at+removed) > len(told) {
				wrong = fmt.Sprintf("of %d rows %d go at %d", len(told), removed, at)
				return
			}
			told = grow(told, int(at), int(removed), int(added))
		})
		defer r.object.HandlerDisconnect(handle)
		for range rapid.IntRange(1, 20).Draw(t, "times") {
			at, removed, added := number(t, "at"), number(t, "removed"), rapid.IntRange(-2, 30).Draw(t, "added")
			before := changed
			r.Splice(at, removed, added)
			if wrong != "" {
				t.Fatal(wrong)
			}
			at = min(max(at, 0), len(model))
			removed, added = min(max(removed, 0), len(model)-at), max(added, 0)
			model = grow(model, at, removed, added)
			next += added
			if did := changed - before; did > 1 || (did == 1) != (removed+added > 0) {
				t.Fatalf("it tells %d times that %d went and %d came", did, removed, added)
			}
			same(t, r, model, told)
		}
	})
}

func same(t *rapid.T, r *Rows, model, told []int) {
	if r.Len() != len(model) || len(told) != len(model) || int(r.Model().NItems()) != len(model) {
		t.Fatalf("there are %d rows, the model says %d, and %d were told of", len(model), r.Len(), len(told))
	}
	for i := range model {
		if model[i] != told[i] {
			t.Fatalf("row %d is %d, and was told to be %d", i, model[i], told[i])
		}
	}
	for _, i := range []int{0, len(model) - 1, len(model)} {
		if i >= 0 && (r.Model().Item(uint(i)) != nil) != (i < len(model)) {
			t.Fatalf("of %d rows number %d is %v", len(model), i, r.Model().Item(uint(i)))
		}
	}
}
