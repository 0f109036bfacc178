package admin

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	"qvmremote/daemon/audit"
	"qvmremote/daemon/claim"
	"qvmremote/daemon/keys"
	"qvmremote/queue"
)

func TestRevoke(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	ctx := context.Background()
	work, other := l.qube("work", "Running"), l.qube("other", "Running")
	l.authorizeNew(work)
	l.authorizeNew(other)
	_, err := l.Rotate(ctx, work, queue.GenerateKey())
	l.must(err)
	c, err := l.Revoke(ctx, work)
	l.must(err)
	for _, file := range []string{".key", ".key.new", ".meta"} {
		if exists(strings.TrimSuffix(c.KeyFile, ".key") + file) {
			t.Errorf("%s%s is still there", work, file)
		}
	}
	if list, _ := l.Keys(ctx); len(list) != 1 || list[0].VM != other {
		t.Errorf("keys: %+v", list)
	}
	st, err := l.Status(ctx)
	l.must(err)
	if len(st.Qubes) != 2 || st.Qubes[0].Key != KeyNone || !st.Qubes[0].Configured {
		t.Errorf("the qube must stay configured: %+v", st.Qubes)
	}
	l.wantEvents(audit.Setting, audit.Authorized, audit.Setting, audit.Setting, audit.Authorized, audit.Setting, audit.Rotating, audit.Revoked)
	if _, err := l.Revoke(ctx, work); !errors.Is(err, keys.ErrNoKey) {
		t.Errorf("a second time: %v", err)
	}
	if _, err := l.Revoke(ctx, "../../etc/passwd"); !errors.Is(err, ErrRefused) {
		t.Errorf("a path: %v", err)
	}
}

// TestRevokeWithoutALog: an audit log that cannot be written must not keep a
// qube authorised; that the record is missing is said.
func TestRevokeWithoutALog(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	work := l.qube("work", "Running")
	l.authorizeNew(work)
	l.must(os.RemoveAll(l.Root.Audit()))
	l.must(os.WriteFile(l.Root.Audit(), nil, 0o600)) // no folder can be made there
	c, err := l.Revoke(context.Background(), work)
	if err == nil || !c.Changed || !strings.Contains(err.Error(), "is gone, but") {
		t.Errorf("%+v, %v", c, err)
	}
	if exists(c.KeyFile) {
		t.Error("the key is still there")
	}
	if _, err := l.Authorize(context.Background(), work, queue.GenerateKey(), Terms{}); err == nil || exists(c.KeyFile) {
		t.Errorf("authorised without a record: %v", err)
	}
	if _, err := l.Disconnect(context.Background(), work); err == nil {
		t.Error("disconnected without a word about the record")
	}
	if st, _ := l.Status(context.Background()); len(st.Qubes) != 0 {
		t.Errorf("it is still looked at: %+v", st.Qubes)
	}
}

func TestRevokeWithBrokenSettings(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	work := l.qube("work", "Running")
	l.authorizeNew(work)
	l.must(os.WriteFile(l.Root.Config(), []byte("what?\n"), 0o600))
	c, err := l.Revoke(context.Background(), work)
	if err != nil || exists(c.KeyFile) {
		t.Errorf("not revoked: %v", err)
	}
}

// TestRevokeABadFile: also what is no key must go.
func TestRevokeABadFile(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	work := l.qube("work", "Running")
	l.authorizeNew(work)
	l.must(os.WriteFile(l.keyFile(work), []byte("not a key"), 0o600))
	c, err := l.Revoke(context.Background(), work)
	if err != nil || exists(c.KeyFile) || c.Fingerprint != "" {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestConnectTakesTheKeyOfTheQube(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	ctx := context.Background()
	work, halted := l.qube("work", "Running"), l.qube("halted", "Halted")
	key := queue.GenerateKey()
	layout := l.layout(work)
	l.file(layout.Key(), string(key.Reveal())+"\n", 0)
	l.set(work, "noise", "Welcome to work\n\x1b[0m\n")
	got, err := l.FetchKey(ctx, work)
	if err != nil || !got.Equal(key) {
		t.Fatalf("key %v, %v", got, err)
	}
	c, err := l.Connect(ctx, work, got, Terms{})
	if err != nil || c.Fingerprint != key.Fingerprint() {
		t.Errorf("%+v, %v", c, err)
	}
	l.wantEvents(audit.Setting, audit.Authorized, audit.Setting, audit.Connected)
	if _, err := l.FetchKey(ctx, halted); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "qvm-start") {
		t.Errorf("a halted qube: %v", err)
	}
	if _, err := l.Connect(ctx, halted, queue.GenerateKey(), Terms{}); !errors.Is(err, ErrRefused) {
		t.Errorf("a halted qube: %v", err)
	}
	if _, err := l.FetchKey(ctx, "nobody"); !errors.Is(err, ErrRefused) {
		t.Errorf("no qube: %v", err)
	}
}

func TestFetchKeyBelievesNothingElse(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	work := l.qube("work", "Running")
	layout := l.layout(work)
	digits := strings.Repeat("a", queue.KeyLen)
	for name, answer := range map[string]string{
		"empty": "", "short": digits[1:], "long": digits + "a", "spaces": " " + digits[2:] + " ", "two words": digits + " " + digits,
		"not hex": strings.Repeat("g", queue.KeyLen), "full width": strings.Repeat("０", queue.KeyLen),
		"flood": strings.Repeat("x\n", 1024) + digits, "escape": "\x1b[2J" + digits, "trailing": digits + "\n\n",
	} {
		l.file(layout.Key(), answer, 0)
		if k, err := l.FetchKey(context.Background(), work); err == nil {
			t.Errorf("%s: took %v", name, k)
		} else if strings.ContainsAny(err.Error(), "\x1b") || strings.Contains(err.Error(), digits) {
			t.Errorf("%s: the error shows what the qube said: %q", name, err)
		}
	}
	l.must(os.Remove(layout.Key()))
	if _, err := l.FetchKey(context.Background(), work); err == nil || !strings.Contains(err.Error(), "key gen") {
		t.Errorf("no key: %v", err)
	}
}

func TestDisconnect(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	ctx := context.Background()
	work, halted := l.qube("work", "Running"), l.qube("halted", "Halted")
	l.authorizeNew(work)
	l.authorizeNew(halted)
	layout := l.layout(work)
	l.file(layout.Body("r1"), "true", 0)
	l.file(layout.Header("r1"), "x", 0)
	c, err := l.Disconnect(ctx, work)
	l.must(err)
	if c.Cleaned != 2 || exists(layout.Body("r1")) || len(c.VMs) != 1 || c.VMs[0] != halted || exists(c.KeyFile) {
		t.Errorf("%+v", c)
	}
	c, err = l.Disconnect(ctx, halted)
	l.must(err)
	if len(c.Warnings) != 1 || len(c.VMs) != 0 {
		t.Errorf("%+v", c)
	}
	if _, err := l.Disconnect(ctx, work); !errors.Is(err, ErrRefused) {
		t.Errorf("a second time: %v", err)
	}
	if _, err := l.Disconnect(ctx, "dom0"); !errors.Is(err, ErrRefused) {
		t.Errorf("dom0: %v", err)
	}
	got := l.events()
	want := []audit.Event{audit.Revoked, audit.Setting, audit.Disconnected, audit.Cleaned, audit.Revoked, audit.Setting, audit.Disconnected}
	if len(got) < len(want) {
		t.Fatalf("the log has %v", got)
	}
	for i, e := range got[len(got)-len(want):] {
		if e != want[i] {
			t.Errorf("the log ends in %v, want %v", got, want)
			break
		}
	}
}

// TestRevokeAgainstPromotion: an executor that makes the second key the only
// one at that very moment must not bring a revoked key back.
func TestRevokeAgainstPromotion(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	ctx := context.Background()
	work := l.qube("work", "Running")
	l.authorizeNew(work)
	s, err := keys.Open(l.Root.Keys())
	l.must(err)
	log, err := audit.Open(ctx, l.Root.Audit(), audit.Options{}, claim.NewBook())
	l.must(err)
	defer log.Close()
	for range 10 {
		_, err := l.Authorize(ctx, work, queue.GenerateKey(), Terms{Replace: true})
		l.must(err)
		_, err = l.Rotate(ctx, work, queue.GenerateKey())
		l.must(err)
		promoted := make(chan error, 1)
		go func() {
			_, err := log.Update(ctx, func(*audit.Tx) error { return s.Promote(work) })
			promoted <- err
		}()
		if _, err := l.Revoke(ctx, work); err != nil {
			t.Error(err)
		}
		if err := <-promoted; err != nil && !errors.Is(err, keys.ErrNoNext) {
			t.Error(err)
		}
		if _, err := s.Get(work); !errors.Is(err, keys.ErrNoKey) {
			t.Fatalf("after the revoke: %v", err)
		}
	}
}
