package archive

import (
	"slices"

	"qvmremote/client"
)

// find is where an entry is in a sorted list, or would be.
func find(list []client.Entry, e client.Entry) (int, bool) {
	return slices.BinarySearchFunc(list, e, client.Entry.Compare)
}

// differences of two sorted lists.
func differences(before, now []client.Entry) (came, went []client.Entry) {
	for len(before) > 0 || len(now) > 0 {
		switch {
		case len(now) == 0 || len(before) > 0 && before[0].Compare(now[0]) < 0:
			went, before = append(went, before[0]), before[1:]
		case len(before) == 0 || now[0].Compare(before[0]) < 0:
			came, now = append(came, now[0]), now[1:]
		default:
			before, now = before[1:], now[1:]
		}
	}
	return came, went
}
