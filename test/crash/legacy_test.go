//go:build crashpoints

package crash

import (
	"os"
	"slices"

	"qvmremote/queue"
)

// takingOld is a dom0 that takes version 1.
func takingOld(s *scene) {
	s.placeKeys()
	f, err := os.OpenFile(s.root.Config(), os.O_APPEND|os.O_WRONLY, 0)
	must(s.t, err)
	_, err = f.WriteString("QVM_REMOTE_LEGACY=1\n")
	must(s.t, err)
	must(s.t, f.Close())
}

// old is a request of version 1, whose token is put back after its answer came.
func (d *day) old() {
	const id = "old"
	l, token, script := d.s.client.Layout, []byte(queue.LegacyToken(d.s.key, "old")), []byte(d.mark(id))
	must(d.s.t, queue.Publish(l.Body(id), script))
	must(d.s.t, queue.Publish(l.Header(id), token))
	d.wg.Add(1)
	go func() {
		defer d.wg.Done()
		if d.until(func() bool { return d.ended(id) && d.delivered(id) }) != nil {
			d.s.t.Error("a version-1 request has no answer")
			return
		}
		exit, err := os.ReadFile(l.Result(id, queue.Exit))
		if err != nil || !slices.Contains([]string{"0", "130"}, string(exit)) {
			d.s.t.Errorf("its exit code is %q, %v", exit, err)
		}
		if err := queue.Publish(l.Body(id), script); err == nil {
			_ = queue.Publish(l.Header(id), token)
		}
		d.vanishes("a token that was used", l.Header(id))
		if n := d.s.marks()[id]; n > 1 || n == 0 && string(exit) == "0" {
			d.s.t.Errorf("it ran %d times, exit %s", n, exit)
		}
	}()
}
