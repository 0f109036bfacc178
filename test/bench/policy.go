package main

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"qvmremote/daemon/policy"
)

const decisions = 5000

// policyRows times decisions about 50 commands, each of which the last of 100
// rules allows.
func policyRows(ctx context.Context, _ *lab) ([]row, error) {
	var rules, script strings.Builder
	for i := range 99 {
		fmt.Fprintf(&rules, "allow qvm-prefs qube-%d {memory,maxmem} 256..%d\n", i, 1000+i)
	}
	rules.WriteString("allow qvm-* {work,personal} *\n")
	for i := range 50 {
		fmt.Fprintf(&script, "qvm-prefs 'personal' \"property-%d\"\n", i)
	}
	p, err := policy.Parse("bench", []byte(rules.String()), nil)
	if err != nil {
		return nil, err
	}
	var took, bash []time.Duration
	for range decisions {
		began := time.Now()
		if d := p.Decide([]byte(script.String())); d.Verdict != policy.Allow {
			return nil, fmt.Errorf("the decision is %s", d)
		}
		took = append(took, time.Since(began))
	}
	for range 50 {
		began := time.Now()
		if err := exec.CommandContext(ctx, "bash", "-n", "-c", script.String()).Run(); err != nil {
			return nil, fmt.Errorf("bash -n: %w", err)
		}
		bash = append(bash, time.Since(began))
	}
	p50, theirs := quantile(took, 0.5), quantile(bash, 0.5)
	return []row{{"policy decision, 100 rules and 50 commands, p50", fmt.Sprintf("%d µs", p50.Microseconds()),
		fmt.Sprintf("%.3f × `bash -n` of them", p50.Seconds()/theirs.Seconds()), "≤ 100 µs", p50 <= 100*time.Microsecond}}, nil
}
