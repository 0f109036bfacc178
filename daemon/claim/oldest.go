package claim

import "slices"

// nthOldest returns the issue time of the claim that n others are older than.
func nthOldest(claims map[digest]held, n int) int64 {
	times := make([]int64, 0, len(claims))
	for _, h := range claims {
		times = append(times, h.issued)
	}
	slices.Sort(times)
	return times[min(n, len(times)-1)]
}
