package admin

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"qvmremote/daemon/audit"
	"qvmremote/daemon/claim"
	"qvmremote/daemon/keys"
	"qvmremote/queue"
)

func (l *lab) records() []audit.Record {
	l.t.Helper()
	var all []audit.Record
	l.must(audit.Read(context.Background(), l.Root.Audit(), 0, func(r audit.Record, _ []byte) error {
		all = append(all, r)
		return nil
	}))
	return all
}

// events are those of the log, without what the log writes about itself.
func (l *lab) events() []audit.Event {
	l.t.Helper()
	var events []audit.Event
	for _, r := range l.records() {
		if r.Event == audit.CarryEvent {
			continue
		}
		if r.Who != "tester" || r.Way != "test" {
			l.t.Errorf("record %d (%s) is by %q, way %q", r.Seq, r.Event, r.Who, r.Way)
		}
		events = append(events, r.Event)
	}
	return events
}

func (l *lab) wantEvents(want ...audit.Event) {
	l.t.Helper()
	if got := l.events(); !slices.Equal(got, want) {
		l.t.Errorf("the log has %v, want %v", got, want)
	}
}

func (l *lab) authorizeNew(vm string) queue.Key {
	l.t.Helper()
	key := queue.GenerateKey()
	_, err := l.Authorize(context.Background(), vm, key, Terms{})
	l.must(err)
	return key
}

func TestAuthorizeStoresKeyMetaAndList(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	work := l.qube("work", "Halted")
	key := queue.GenerateKey()
	c, err := l.Authorize(context.Background(), work, key, Terms{})
	l.must(err)
	if !c.Changed || c.Fingerprint != key.Fingerprint() || !slices.Equal(c.VMs, []string{work}) {
		t.Errorf("change: %+v", c)
	}
	stored, err := os.ReadFile(filepath.Join(string(l.Root), "etc/qubes/remote.d", work+".key"))
	l.must(err)
	if string(stored) != string(key.Reveal()) {
		t.Error("the file does not hold the key, byte for byte")
	}
	list, err := l.Keys(context.Background())
	l.must(err)
	if len(list) != 1 || list[0].State != KeyGood || !list[0].Configured || list[0].UUID != property(work, "uuid") ||
		time.Since(list[0].Authorised) > time.Hour {
		t.Errorf("keys: %+v", list)
	}
	l.wantEvents(audit.Setting, audit.Authorized, audit.Setting)
	floor := l.records()[2].Floor
	if age := time.Now().Unix() - floor; age < 60 || age > 600 {
		t.Errorf("the floor is %d s ago, want about 60", age)
	}

	again, err := l.Authorize(context.Background(), work, key, Terms{})
	l.must(err)
	if again.Changed {
		t.Error("storing the same key again changed something")
	}
	l.wantEvents(audit.Setting, audit.Authorized, audit.Setting)
}

func TestAuthorizeRefuses(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	work, other := l.qube("work", "Running"), l.qube("other", "Running")
	key := l.authorizeNew(work)
	for _, vm := range []string{"dom0", "none", "work-dm", "../../tmp/x", "", "a b", "$(id)", "no-such-qube", strings.Repeat("a", 40), "x\x1b[31m"} {
		if _, err := l.Authorize(context.Background(), vm, queue.GenerateKey(), Terms{Replace: true}); !errors.Is(err, ErrRefused) {
			t.Errorf("%q: %v", vm, err)
		}
	}
	_, err := l.Authorize(context.Background(), other, key, Terms{})
	if !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), work) {
		t.Errorf("a key that %s has: %v", work, err)
	}
	_, err = l.Revoke(context.Background(), work)
	l.must(err)
	_, err = l.Authorize(context.Background(), other, key, Terms{})
	if !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), work) {
		t.Errorf("a key that %s had: %v", work, err)
	}
	if _, err := l.Authorize(context.Background(), other, queue.Key{}, Terms{}); !errors.Is(err, queue.ErrKey) {
		t.Errorf("no key: %v", err)
	}
	if list, _ := l.Keys(context.Background()); len(list) != 0 {
		t.Errorf("keys were stored: %+v", list)
	}
}

func TestAnotherKeyNeedsReplace(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	work := l.qube("work", "Running")
	old := l.authorizeNew(work)
	key := queue.GenerateKey()
	_, err := l.Authorize(context.Background(), work, key, Terms{})
	var replace *ReplaceError
	if !errors.As(err, &replace) || replace.Old != old.Fingerprint() || replace.New != key.Fingerprint() || !strings.Contains(err.Error(), "rotate") {
		t.Fatalf("error %v", err)
	}
	if list, _ := l.Keys(context.Background()); list[0].Fingerprint != old.Fingerprint() {
		t.Error("the key was replaced all the same")
	}
	_, err = l.Authorize(context.Background(), work, key, Terms{Replace: true})
	l.must(err)
	if list, _ := l.Keys(context.Background()); list[0].Fingerprint != key.Fingerprint() {
		t.Error("the key was not replaced")
	}
}

// TestFloorNeverFalls: a key that comes back keeps the floor it had, and one
// whose log is gone gets a floor ahead of all that could have been claimed.
func TestFloorNeverFalls(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	work := l.qube("work", "Running")
	key := l.authorizeNew(work)
	ahead := time.Now().Add(time.Hour).Unix()
	_, err := l.record(context.Background(), audit.Record{Event: audit.Floor, Qube: work, Key: key.Fingerprint(), Floor: ahead})
	l.must(err)
	_, err = l.Revoke(context.Background(), work)
	l.must(err)
	_, err = l.Authorize(context.Background(), work, key, Terms{})
	l.must(err)
	if book, err := l.book(context.Background()); err != nil || l.floorOf(book, work, key) < ahead {
		t.Errorf("the floor fell to %d, below %d (%v)", l.floorOf(book, work, key), ahead, err)
	}

	l.must(os.RemoveAll(l.Root.Audit()))
	book, err := l.book(context.Background()) // whoever opens the new log first
	l.must(err)
	if floor := l.floorOf(book, work, key); floor <= time.Now().Unix() {
		t.Errorf("after the log was lost the floor is %d", floor)
	}
}

func (l *lab) floorOf(b *claim.Book, vm string, k queue.Key) int64 {
	floor, _ := b.Floor(vm, k.Fingerprint())
	return floor
}

func TestAuthorizeAgainAfterRecreation(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	work := l.qube("work", "Running")
	key := l.authorizeNew(work)
	const uuid = "99999999-2222-3333-4444-555555555555"
	l.set(work, "uuid", uuid)
	c, err := l.Authorize(context.Background(), work, key, Terms{})
	l.must(err)
	if list, _ := l.Keys(context.Background()); !c.Changed || list[0].UUID != uuid {
		t.Errorf("the new qube was not taken: %+v", list)
	}
}

func TestAuthorizeMendsABadFile(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	work := l.qube("work", "Running")
	key := l.authorizeNew(work)
	l.must(os.Chmod(l.keyFile(work), 0o644))
	if list, _ := l.Keys(context.Background()); list[0].State != KeyBad || strings.Contains(list[0].Problem, string(key.Reveal())) {
		t.Errorf("keys: %+v", list)
	}
	c, err := l.Authorize(context.Background(), work, key, Terms{})
	l.must(err)
	if len(c.Warnings) == 0 {
		t.Error("nothing says that the file could not be trusted")
	}
	if list, _ := l.Keys(context.Background()); list[0].State != KeyGood {
		t.Errorf("keys: %+v", list)
	}
}

func TestAuthorizeNeedsGoodSettings(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	work := l.qube("work", "Running")
	l.must(makeFolder(filepath.Dir(l.Root.Config()), 0o755))
	l.must(os.WriteFile(l.Root.Config(), []byte("QVM_REMOTE_VMS=$(id)\n"), 0o600))
	_, err := l.Authorize(context.Background(), work, queue.GenerateKey(), Terms{})
	if err == nil || !strings.Contains(err.Error(), "remote.conf:1") {
		t.Errorf("error %v", err)
	}
	if exists(l.keyFile(work)) {
		t.Error("a key was stored")
	}
}

// TestWithoutQvmLs: where there is only qvm-check, it decides.
func TestWithoutQvmLs(t *testing.T) {
	l := newLab(t)
	work := l.qube("work", "Running")
	withoutTools(t, "qvm-check")
	key := l.authorizeNew(work)
	if list, _ := l.Keys(context.Background()); len(list) != 1 || list[0].Fingerprint != key.Fingerprint() {
		t.Errorf("keys: %+v", list)
	}
	if _, err := l.Authorize(context.Background(), "nobody", queue.GenerateKey(), Terms{}); !errors.Is(err, ErrRefused) {
		t.Errorf("unknown qube: %v", err)
	}
	withoutTools(t)
	if _, err := l.Authorize(context.Background(), work, key, Terms{}); err == nil {
		t.Error("authorised without any tool to ask")
	}
}

func TestRotate(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	work, other := l.qube("work", "Running"), l.qube("other", "Running")
	ctx := context.Background()
	if _, err := l.Rotate(ctx, work, queue.GenerateKey()); !errors.Is(err, keys.ErrNoKey) {
		t.Errorf("without a key: %v", err)
	}
	old, foreign := l.authorizeNew(work), l.authorizeNew(other)
	for _, k := range []queue.Key{old, foreign} {
		if _, err := l.Rotate(ctx, work, k); !errors.Is(err, ErrRefused) {
			t.Errorf("a key that is in use: %v", err)
		}
	}
	if _, err := l.Rotate(ctx, work, queue.Key{}); !errors.Is(err, queue.ErrKey) {
		t.Errorf("no key: %v", err)
	}
	next := queue.GenerateKey()
	for _, k := range []queue.Key{queue.GenerateKey(), next, next} {
		_, err := l.Rotate(ctx, work, k)
		l.must(err)
	}
	list, _ := l.Keys(ctx)
	i := slices.IndexFunc(list, func(k Key) bool { return k.VM == work })
	if list[i].State != KeyRotating || list[i].Fingerprint != old.Fingerprint() || list[i].Next != next.Fingerprint() {
		t.Errorf("keys: %+v", list)
	}
	l.wantEvents(audit.Setting, audit.Authorized, audit.Setting, audit.Setting, audit.Authorized, audit.Setting, audit.Rotating, audit.Rotating)
	_, err := l.CancelRotation(ctx, work)
	l.must(err)
	if _, err := l.CancelRotation(ctx, work); !errors.Is(err, keys.ErrNoNext) {
		t.Errorf("a second time: %v", err)
	}
	if list, _ := l.Keys(ctx); list[i].State != KeyGood || list[i].Fingerprint != old.Fingerprint() {
		t.Errorf("keys: %+v", list)
	}
}

// TestManyAtOnce: administration from several sides, while somebody else
// appends to the log, ends in one log that verifies and in a complete list.
func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	ctx := context.Background()
	vms := []string{l.qube("a", "Running"), l.qube("b", "Running"), l.qube("c", "Halted"), l.qube("d", "Halted")}
	l.authorizeNew(vms[0])
	log, err := audit.Open(ctx, l.Root.Audit(), audit.Options{}, claim.NewBook())
	l.must(err)
	done := make(chan struct{})
	var wg, appender sync.WaitGroup
	appender.Add(1)
	go func() {
		defer appender.Done()
		for {
			select {
			case <-done:
				return
			default:
			}
			if _, err := log.Update(ctx, func(tx *audit.Tx) error {
				tx.Add(audit.Record{Event: audit.Refused, Qube: vms[0], Reason: "no-key"})
				return nil
			}); err != nil {
				t.Error(err)
				return
			}
		}
	}()
	for _, vm := range vms[1:] {
		wg.Add(1)
		go func() {
			defer wg.Done()
			a := New(l.Root, nil, "tester", "test")
			if _, err := a.Authorize(ctx, vm, queue.GenerateKey(), Terms{}); err != nil {
				t.Error(err)
			}
		}()
	}
	wg.Wait()
	close(done)
	appender.Wait()
	l.must(log.Close())
	report, err := audit.Verify(ctx, l.Root.Audit(), nil)
	if err != nil || !report.OK() {
		t.Errorf("%v %v", report, err)
	}
	list, err := l.Keys(ctx)
	if err != nil || len(list) != len(vms) {
		t.Errorf("keys: %+v %v", list, err)
	}
	for _, k := range list {
		if !k.Configured {
			t.Errorf("%s is not in the list of qubes", k.VM)
		}
	}
}

// TestLegacyDoesNotGoToAnotherQube: one that was made anew under the name of one
// for which version 1 was chosen.
func TestLegacyDoesNotGoToAnotherQube(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	ctx := context.Background()
	work := l.qube("work", "Running")
	c, err := l.Authorize(ctx, work, queue.GenerateKey(), Terms{Legacy: true})
	if err != nil || !slices.Contains(c.Warnings, LegacyRisk) {
		t.Fatalf("%q, %v", c.Warnings, err)
	}
	if c, err = l.Connect(ctx, work, queue.GenerateKey(), Terms{Replace: true}); err != nil || !slices.Contains(c.Warnings, LegacyRisk) {
		t.Errorf("a new key: %q, %v", c.Warnings, err)
	}
	l.set(work, "uuid", "99999999-2222-3333-4444-555555555555")
	if _, err := l.Connect(ctx, work, queue.GenerateKey(), Terms{Replace: true}); err != nil {
		t.Fatal(err)
	}
	if list, err := l.Keys(ctx); err != nil || list[0].Legacy {
		t.Errorf("another qube may use version 1: %+v, %v", list, err)
	}
}
