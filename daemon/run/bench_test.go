package run

import (
	"os/exec"
	"testing"
	"time"
)

// BenchmarkTrue measures a whole Run of the shortest command, and how many
// times a bare bash -c true that is.
func BenchmarkTrue(b *testing.B) {
	for name, grouped := range map[string]bool{"cgroup": true, "no-cgroup": false} {
		b.Run(name, func(b *testing.B) {
			r := newRunner(b, grouped)
			c := command(b, "true")
			var bare time.Duration
			for b.Loop() {
				if o := r.Run(b.Context(), c); o.State != Exit || o.Exit != 0 || o.Err != nil {
					b.Fatalf("got %+v", o)
				}
				b.StopTimer()
				start := time.Now()
				if err := exec.Command("bash", "-c", "true").Run(); err != nil {
					b.Fatal(err)
				}
				bare += time.Since(start)
				b.StartTimer()
			}
			ours, theirs := float64(b.Elapsed())/float64(b.N), float64(bare)/float64(b.N)
			b.ReportMetric((ours-theirs)/1e6, "ms-over-bash")
			b.ReportMetric(ours/theirs, "x-bash")
		})
	}
}
