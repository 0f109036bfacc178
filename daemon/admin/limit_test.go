package admin

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"qvmremote/daemon/audit"
	"qvmremote/daemon/boot"
	"qvmremote/daemon/keys"
	"qvmremote/queue"
)

// inBoot puts the lab into the boot of that name, which has lasted for *now.
func (l *lab) inBoot(id string, now *time.Duration) {
	l.Boot = boot.Clock{ID: id, Now: func() time.Duration { return *now }}
}

func (l *lab) keyLine(vm string) Key {
	l.t.Helper()
	list, err := l.Keys(context.Background())
	l.must(err)
	i := slices.IndexFunc(list, func(k Key) bool { return k.VM == vm })
	if i < 0 {
		l.t.Fatalf("%s has no key", vm)
	}
	return list[i]
}

func (l *lab) rulesOf(vm string) string {
	l.t.Helper()
	b, err := os.ReadFile(filepath.Join(l.Root.Keys(), vm+".policy"))
	l.must(err)
	return string(b)
}

func TestAnAuthorisationEndsWithItsTimeWhateverTheWallClockSays(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	vm, key, now, ctx := l.qube("work", "Halted"), queue.GenerateKey(), time.Hour, context.Background()
	l.inBoot("one", &now)
	_, err := l.Authorize(ctx, vm, key, Terms{Limit: Limit{For: 2 * time.Hour}})
	l.must(err)
	if k := l.keyLine(vm); k.Ended || time.Until(k.Until).Round(time.Minute) != 2*time.Hour {
		t.Fatalf("right after: %+v", k)
	}
	wall := time.Now()
	l.Now = func() time.Time { return wall.Add(-1000 * time.Hour) }
	now += time.Hour
	if k := l.keyLine(vm); k.Ended || !k.Until.Equal(l.Now().Add(time.Hour).UTC().Truncate(time.Second)) {
		t.Fatalf("an hour later, the wall clock set back: %+v", k)
	}
	now += time.Hour
	if k := l.keyLine(vm); !k.Ended {
		t.Fatalf("two hours later: %+v", k)
	}
	_, err = l.Limit(ctx, vm, Limit{UntilReboot: true})
	l.must(err)
	if k := l.keyLine(vm); k.Ended || !k.UntilReboot {
		t.Fatalf("extended: %+v", k)
	}
	l.inBoot("two", &now)
	if k := l.keyLine(vm); !k.Ended {
		t.Fatalf("after the reboot: %+v", k)
	}
	c, err := l.Authorize(ctx, vm, key, Terms{})
	l.must(err)
	if k := l.keyLine(vm); !c.Changed || k.Ended || !k.Until.IsZero() || k.UntilReboot {
		t.Fatalf("authorised without an end: %+v", k)
	}
}

func TestALimitThatNobodyMayGive(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	vm, ctx := l.qube("work", "Halted"), context.Background()
	if _, err := l.Limit(ctx, vm, Limit{Count: 3}); !errors.Is(err, keys.ErrNoKey) {
		t.Errorf("without a key: %v", err)
	}
	for _, limit := range []Limit{{For: -1}, {For: time.Millisecond}, {For: 10_000 * time.Hour}, {Count: -1}, {Count: 1 << 40}, {For: time.Hour, UntilReboot: true}} {
		if _, err := l.Authorize(ctx, vm, queue.GenerateKey(), Terms{Limit: limit}); !errors.Is(err, ErrRefused) {
			t.Errorf("%+v: %v", limit, err)
		}
	}
	if list, err := l.Keys(ctx); err != nil || len(list) != 0 {
		t.Errorf("something was authorised: %+v, %v", list, err)
	}
}

func TestAConnectionKeepsTheLimitOfAKeyThatStays(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	vm, key, ctx := l.qube("work", "Running"), queue.GenerateKey(), context.Background()
	_, err := l.Authorize(ctx, vm, key, Terms{Limit: Limit{Count: 5}})
	l.must(err)
	_, err = l.Connect(ctx, vm, key, Terms{})
	l.must(err)
	if k := l.keyLine(vm); k.Count != 5 || k.Left != 5 {
		t.Errorf("after the connection: %+v", k)
	}
	_, err = l.Connect(ctx, vm, key, Terms{Limit: Limit{Count: 3}})
	l.must(err)
	if k := l.keyLine(vm); k.Count != 3 || k.Left != 3 {
		t.Errorf("after one with a limit of its own: %+v", k)
	}
	_, err = l.Connect(ctx, vm, queue.GenerateKey(), Terms{Replace: true})
	l.must(err)
	if k := l.keyLine(vm); k.Count != 0 {
		t.Errorf("another key: %+v", k)
	}
}

// TestANewKeyNeverHasTheOldRules: also where it is stored and then all fails.
func TestANewKeyNeverHasTheOldRules(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	vm, ctx := l.qube("work", "Halted"), context.Background()
	_, err := l.Authorize(ctx, vm, queue.GenerateKey(), Terms{Rules: RulesAllow})
	l.must(err)
	if c, err := l.Authorize(ctx, vm, queue.GenerateKey(), Terms{Rules: RulesAsk, Replace: true}); err != nil || !strings.Contains(strings.Join(c.Warnings, "\n"), "nobody is asked") {
		t.Errorf("of the wide rules that stay: %q, %v", c.Warnings, err)
	}
	_, err = l.Authorize(ctx, vm, queue.GenerateKey(), Terms{Rules: RulesAsk, Replace: true, ReplaceRules: true})
	l.must(err)
	var told []string
	for _, r := range l.records() {
		if r.Event == audit.Authorized || r.Event == audit.Setting && strings.Contains(r.Detail, ".policy") {
			told = append(told, strings.TrimPrefix(strings.TrimSpace(r.Detail), vm+".policy: "))
		}
	}
	n := len(told)
	if n < 3 || told[n-3] != "deny **" || !strings.HasPrefix(told[n-2], "replaces") || told[n-1] != "ask **" {
		t.Errorf("in the order %q", told)
	}
}

// TestAReplacementThatIsCutOff leaves the old key with its old rules, or the new
// one with the new rules, wherever whoever asked goes away.
func TestAReplacementThatIsCutOff(t *testing.T) {
	t.Parallel()
	failed, done := false, false
	for cut := 1; !done; cut++ {
		l := newLab(t)
		vm, key, next := l.qube("work", "Halted"), queue.GenerateKey(), queue.GenerateKey()
		_, err := l.Authorize(t.Context(), vm, key, Terms{Rules: "ask qvm-ls\n"})
		l.must(err)
		ctx, cancel := context.WithCancel(t.Context())
		calls := 0
		l.Now = func() time.Time {
			if calls++; calls == cut {
				cancel()
			}
			return time.Now()
		}
		_, err = l.Authorize(ctx, vm, next, Terms{Replace: true, ReplaceRules: true, Rules: "allow qvm-ls\n"})
		done = calls < cut
		cancel()
		failed = failed || err != nil && strings.Contains(err.Error(), "keeps its key and its rules")
		rules, want := l.rulesOf(vm), "ask qvm-ls\n"
		if l.keyLine(vm).Fingerprint == next.Fingerprint() {
			want = "allow qvm-ls\n"
		} else if err == nil {
			t.Errorf("cut at %d: it has the old key, and nobody says so", cut)
		}
		if rules != want {
			t.Errorf("cut at %d: the rules are %q, want %q; it says %v", cut, rules, want, err)
		}
	}
	if !failed {
		t.Error("it was never cut off between the old rules and the new key")
	}
}

// TestTheSameKeyAuthorisedAnewIsAnotherAuthorisation, also within a second:
// what was approved for the first does not count for it.
func TestTheSameKeyAuthorisedAnewIsAnotherAuthorisation(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	vm, key, now := l.qube("work", "Halted"), queue.GenerateKey(), time.Now()
	l.Now = func() time.Time { return now }
	store, err := keys.Open(l.Root.Keys())
	l.must(err)
	var seen []string
	for range 2 {
		_, err := l.Authorize(t.Context(), vm, key, Terms{})
		l.must(err)
		held, err := store.Get(vm)
		l.must(err)
		seen = append(seen, held.Meta.Authorisation())
		_, err = l.Revoke(t.Context(), vm)
		l.must(err)
	}
	if seen[0] == seen[1] {
		t.Errorf("both are %s", seen[0])
	}
}

func TestAuthorizeWritesRulesAndNeverLosesAny(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	vm, key, ctx := l.qube("work", "Halted"), queue.GenerateKey(), context.Background()
	c, err := l.Authorize(ctx, vm, key, Terms{})
	l.must(err)
	if l.rulesOf(vm) != RulesAllow || !strings.Contains(strings.Join(c.Warnings, "\n"), "nobody is asked") {
		t.Errorf("rules %q, warnings %q", l.rulesOf(vm), c.Warnings)
	}
	path := filepath.Join(l.Root.Keys(), vm+".policy")
	l.must(os.WriteFile(path, []byte("# mine\nask qvm-ls\n"), 0o600))
	c, err = l.Authorize(ctx, vm, key, Terms{Rules: RulesAsk})
	l.must(err)
	if l.rulesOf(vm) != "# mine\nask qvm-ls\n" || c.Changed || !strings.Contains(strings.Join(c.Warnings, "\n"), path) {
		t.Errorf("rules %q, %+v", l.rulesOf(vm), c)
	}
	_, err = l.Revoke(ctx, vm)
	l.must(err)
	if l.rulesOf(vm) != "# mine\nask qvm-ls\n" {
		t.Error("revoke took the rules away")
	}
	c, err = l.Authorize(ctx, vm, key, Terms{Rules: RulesAsk, ReplaceRules: true})
	l.must(err)
	if l.rulesOf(vm) != RulesAsk || !c.Changed {
		t.Errorf("rules %q, %+v", l.rulesOf(vm), c)
	}
	if _, err = l.Authorize(ctx, vm, key, Terms{Rules: "allow\x00", ReplaceRules: true}); !errors.Is(err, ErrRefused) {
		t.Errorf("rules with an error: %v", err)
	}
	l.must(os.Remove(path))
	if k := l.keyLine(vm); k.Rules != NoRules {
		t.Errorf("without rules: %+v", k)
	}
	_, err = l.Authorize(ctx, vm, key, Terms{})
	l.must(err)
	if l.rulesOf(vm) != RulesAllow {
		t.Error("a key of before there were rules got none")
	}
}

func TestARefusedAuthorisationWritesNoRules(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	work, other := l.qube("work", "Running"), l.qube("other", "Running")
	key := l.authorizeNew(work)
	if _, err := l.Authorize(context.Background(), other, key, Terms{}); !errors.Is(err, ErrRefused) {
		t.Fatal(err)
	}
	if exists(filepath.Join(l.Root.Keys(), other+".policy")) {
		t.Error("there are rules for a qube that was refused")
	}
}

func TestASuspendedQubeIsReadmitted(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	vm, ctx := l.qube("work", "Halted"), context.Background()
	l.authorizeNew(vm)
	s, err := keys.Open(l.Root.Keys())
	l.must(err)
	held, err := s.Get(vm)
	l.must(err)
	held.Meta.Suspended = 1795444952
	l.must(s.PutMeta(vm, held.Meta))
	if k := l.keyLine(vm); k.Suspended.Unix() != 1795444952 {
		t.Errorf("suspended: %+v", k)
	}
	for _, want := range []bool{true, false} {
		if c, err := l.Readmit(ctx, vm); err != nil || c.Changed != want {
			t.Errorf("readmitted: %+v, %v", c, err)
		}
	}
	if k := l.keyLine(vm); !k.Suspended.IsZero() {
		t.Errorf("still suspended: %+v", k)
	}
	if events := l.events(); events[len(events)-1] != audit.Readmitted {
		t.Errorf("events %v", events)
	}
}

// TestALimitOfAKeyPlacedByHand is of the qube there is now, and counts at once:
// what the service does when it first sees such a key.
func TestALimitOfAKeyPlacedByHand(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	vm, key, ctx := l.qube("work", "Halted"), queue.GenerateKey(), context.Background()
	l.must(os.MkdirAll(l.Root.Keys(), 0o700))
	l.must(os.WriteFile(l.keyFile(vm), append(key.Reveal(), '\n'), 0o600))
	began := time.Now().Unix()
	_, err := l.Limit(ctx, vm, Limit{For: time.Hour})
	l.must(err)
	k := l.keyLine(vm)
	if k.UUID != property(vm, "uuid") || k.ByHand || k.Until.IsZero() || k.Authorised.Unix() < began {
		t.Errorf("limited: %+v", k)
	}
	var floors []int64
	l.must(audit.Read(ctx, l.Root.Audit(), 0, func(r audit.Record, _ []byte) error {
		if r.Event == audit.Floor && r.Qube == vm && r.Key == key.Fingerprint() {
			floors = append(floors, r.Floor)
		}
		return nil
	}))
	if len(floors) != 1 || floors[0] > time.Now().Unix() {
		t.Errorf("its floors: %d; it is %d", floors, time.Now().Unix())
	}

	l.must(os.RemoveAll(filepath.Join(os.Getenv(qubesEnv), vm))) // nobody knows which qube the next key is for
	l.must(os.Remove(filepath.Join(l.Root.Keys(), vm+".meta")))
	if _, err := l.Limit(ctx, vm, Limit{For: time.Hour}); !errors.Is(err, ErrNoQube) {
		t.Errorf("limited the key of no qube: %v", err)
	}
	if k := l.keyLine(vm); !k.ByHand {
		t.Errorf("it was limited: %+v", k)
	}
}
