package qubes

import "sync"

// atOnce is how many qubes are asked at the same time: each answer may take its
// time, and each costs dom0 a process or a connection.
const atOnce = 4

// Each calls ask with 0 to n-1, for as many qubes, some at the same time, and
// returns when all of them did.
func Each(n int, ask func(i int)) {
	var wg sync.WaitGroup
	slots := make(chan struct{}, atOnce)
	for i := range n {
		wg.Add(1)
		slots <- struct{}{}
		go func() {
			defer wg.Done()
			defer func() { <-slots }()
			ask(i)
		}()
	}
	wg.Wait()
}
