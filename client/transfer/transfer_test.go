package transfer_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"qvmremote/client"
	"qvmremote/client/transfer"
	"qvmremote/queue"
	"qvmremote/queue/piece"
)

const twoPieces = piece.Max + 1000

func TestEachWay(t *testing.T) {
	t.Parallel()
	s := newStage(t).serve()
	for _, n := range []int{0, 1, piece.Max, twoPieces} {
		b := noise(n)
		local := write(t, filepath.Join(s.here, "a file's \"$name\""), b)
		r, err := s.Push(limited(t), local, s.over+"/")
		must(t, err)
		if r.Size != int64(n) || r.Path != filepath.Join(s.over, filepath.Base(local)) {
			t.Errorf("%+v", r)
		}
		s.same(r.Path, b)
		if p := s.moved(); p != (transfer.Progress{Phase: transfer.Moving, Done: int64(n), Size: int64(n)}) {
			t.Errorf("last told: %+v", p)
		}
		must(t, os.Remove(local))
		back, err := s.Pull(limited(t), r.Path, s.here)
		must(t, err)
		if back.Path != local || back.SHA256 != r.SHA256 {
			t.Errorf("%+v, then %+v", r, back)
		}
		s.same(local, b)
		if info, err := os.Stat(local); err != nil || info.Mode() != 0o600 {
			t.Errorf("mode %v, %v", info.Mode(), err)
		}
		if p := s.moved(); p != (transfer.Progress{Phase: transfer.Moving, Done: int64(n), Size: int64(n)}) {
			t.Errorf("last told: %+v", p)
		}
		s.holds(s.over, 0, filepath.Base(local))
		s.holds(s.here, 0, filepath.Base(local))
		must(t, errors.Join(os.Remove(local), os.Remove(r.Path)))
	}
	if files, _, err := s.c.Files(t.Context(), 100); err != nil || len(files) > 0 {
		t.Errorf("left in the queue: %v, %v", files, err)
	}
}

// TestTheHistoryDoesNotHoldTheDataAgain: it has room for a gigabyte.
func TestTheHistoryDoesNotHoldTheDataAgain(t *testing.T) {
	t.Parallel()
	s := newStage(t).serve()
	_, err := s.Push(limited(t), write(t, filepath.Join(s.here, "f"), noise(twoPieces)), s.over+"/f")
	must(t, err)
	_, err = s.Pull(limited(t), s.over+"/f", s.here+"/back")
	must(t, err)
	past := s.c.History(100)
	// The ids of one second are in no order.
	slices.SortFunc(past, func(a, b client.Past) int { return strings.Compare(a.Command, b.Command) })
	if len(past) != 2 || !strings.HasSuffix(past[0].Command, "/f 0 0") || !strings.HasSuffix(past[1].Command, " begin") {
		t.Errorf("%+v", past)
	}
}

func TestNothingIsReplacedUnasked(t *testing.T) {
	t.Parallel()
	s := newStage(t).serve()
	here, over := write(t, filepath.Join(s.here, "f"), []byte("here")), write(t, filepath.Join(s.over, "f"), []byte("over"))
	if _, err := s.Push(limited(t), here, over); !errors.Is(err, fs.ErrExist) {
		t.Errorf("push: %v", err)
	}
	if _, err := s.Pull(limited(t), over, here); !errors.Is(err, fs.ErrExist) {
		t.Errorf("pull: %v", err)
	}
	s.same(here, []byte("here"))
	s.same(over, []byte("over"))
	// and not one that comes up meanwhile
	late := filepath.Join(s.here, "late")
	s.between("echo late > '" + late + "'")
	if _, err := s.Pull(limited(t), over, late); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a file that came up: %v", err)
	}
	s.same(late, []byte("late\n"))
	s.free()
	s.Overwrite = true
	must(t, os.Chmod(here, 0o640))
	_, err := s.Pull(limited(t), over, here)
	must(t, err)
	s.same(here, []byte("over"))
	if info, err := os.Stat(here); err != nil || info.Mode() != 0o640 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	must(t, os.WriteFile(here, []byte("here"), 0o600))
	_, err = s.Push(limited(t), here, over)
	must(t, err)
	s.same(over, []byte("here"))
}

// TestItSaysWhatIsInTheWay: by a sentence that dom0 gave, and by a number.
func TestItSaysWhatIsInTheWay(t *testing.T) {
	t.Parallel()
	s := newStage(t).serve()
	file := write(t, filepath.Join(s.here, "f"), []byte("x"))
	for _, c := range []struct {
		what string
		do   func() error
		is   error
		says string
	}{
		{"no source", func() error { _, err := s.Pull(limited(t), s.over+"/none", s.here+"/n"); return err }, fs.ErrNotExist, "no such file in dom0"},
		{"a folder", func() error { _, err := s.Pull(limited(t), s.over, s.here+"/n"); return err }, syscall.EISDIR, "is a folder"},
		{"a device", func() error { _, err := s.Pull(limited(t), "/dev/zero", s.here+"/n"); return err }, syscall.ENODEV, "device"},
		{"no local folder", func() error { _, err := s.Pull(limited(t), s.over+"/none", s.here+"/n/n"); return err }, fs.ErrNotExist, s.here + "/n"},
		{"no folder", func() error { _, err := s.Push(limited(t), file, s.over+"/none/f"); return err }, fs.ErrNotExist, "there is no folder"},
		{"to a folder", func() error { _, err := s.Push(limited(t), file, s.over); return err }, syscall.EISDIR, "is a folder"},
		{"relative", func() error { _, err := s.Push(limited(t), file, "f"); return err }, syscall.EINVAL, "begins with /"},
		{"no local file", func() error { _, err := s.Push(limited(t), s.here+"/none", s.over+"/f"); return err }, fs.ErrNotExist, s.here + "/none"},
		{"a local folder", func() error { _, err := s.Push(limited(t), s.here, s.over+"/f"); return err }, syscall.EISDIR, s.here},
		{"a local device", func() error { _, err := s.Push(limited(t), "/dev/zero", s.over+"/f"); return err }, queue.ErrNotRegular, "/dev/zero"},
	} {
		if err := c.do(); !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", c.what, err)
		}
	}
	s.between("exit 127")
	if _, err := s.Push(limited(t), file, s.over+"/f"); !errors.Is(err, transfer.ErrOld) {
		t.Errorf("no program: %v", err)
	}
	s.between(`echo "qvm-remote-dom0: unknown command: $1" >&2; exit 1`)
	if _, err := s.Push(limited(t), file, s.over+"/f"); !errors.Is(err, transfer.ErrOld) {
		t.Errorf("an older program: %v", err)
	}
	s.between("echo done >&2; exit 0")
	if _, err := s.Pull(limited(t), s.over+"/f", s.here+"/n"); !errors.Is(err, piece.ErrNoState) {
		t.Errorf("another program: %v", err)
	}
	s.holds(s.here, 0, "f")
	s.holds(s.over, 0)
	s.c.Legacy = true
	if _, err := s.Pull(limited(t), s.over+"/f", s.here+"/n"); !errors.Is(err, client.ErrLegacyCannot) {
		t.Errorf("version 1: %v", err)
	}
}

func TestAChangedSourceIsFoundOut(t *testing.T) {
	t.Parallel()
	s := newStage(t).serve()
	over := write(t, filepath.Join(s.over, "f"), noise(twoPieces))
	s.between(`case $3 in 0) ;; *) echo more >> "$2"; esac`)
	if _, err := s.Pull(limited(t), over, s.here+"/back"); !errors.Is(err, transfer.ErrChanged) {
		t.Errorf("pull: %v", err)
	}
	s.holds(s.here, 0)
	s.free()
	must(t, os.Remove(over))

	local := write(t, filepath.Join(s.here, "f"), noise(twoPieces))
	s.between("case $5 in 0) echo more >> '" + local + "'; esac")
	if _, err := s.Push(limited(t), local, over); !errors.Is(err, transfer.ErrChanged) {
		t.Errorf("push: %v", err)
	}
	s.holds(s.over, 0)
	s.free()
	// a change that leaves size and time as they were: the hash tells
	small := write(t, filepath.Join(s.here, "small"), []byte("0123456789"))
	s.between(`exec $real "$@" < <(echo -n 9876543210)`)
	if _, err := s.Push(limited(t), small, s.over+"/small"); !errors.Is(err, syscall.EBADMSG) {
		t.Errorf("other bytes: %v", err)
	}
	s.holds(s.over, 0)
}

// TestInterruptedIsGoneOnWith: and the first half does not go over again.
func TestInterruptedIsGoneOnWith(t *testing.T) {
	t.Parallel()
	s := newStage(t).serve()
	b := noise(twoPieces)
	local, over := write(t, filepath.Join(s.here, "f"), b), filepath.Join(s.over, "f")
	stopAt := func(ctx context.Context) (context.Context, func()) {
		ctx, stop := context.WithCancel(ctx)
		tell := s.Progress
		s.Progress = func(p transfer.Progress) {
			if p.Phase == transfer.Moving && p.Done == piece.Max {
				stop()
			}
		}
		return ctx, func() { s.Progress = tell }
	}
	ctx, again := stopAt(limited(t))
	if _, err := s.Push(ctx, local, over); !errors.Is(err, context.Canceled) {
		t.Fatalf("push: %v", err)
	}
	again()
	s.holds(s.over, 1)
	s.between(`echo "$5" >> "$(dirname "$2")/steps"`)
	_, err := s.Push(limited(t), local, over)
	must(t, err)
	s.same(over, b)
	s.same(filepath.Join(s.over, "steps"), []byte("begin\n8388608\n"))
	s.free()
	must(t, os.Remove(filepath.Join(s.over, "steps")))

	back := filepath.Join(s.here, "back")
	ctx, again = stopAt(limited(t))
	if _, err := s.Pull(ctx, over, back); !errors.Is(err, context.Canceled) {
		t.Fatalf("pull: %v", err)
	}
	again()
	s.holds(s.here, 1, "f")
	s.between(`echo "$3" >> "$(dirname "$2")/steps"`)
	_, err = s.Pull(limited(t), over, back)
	must(t, err)
	s.same(back, b)
	s.same(filepath.Join(s.over, "steps"), []byte("0\n8388608\n"))
	s.holds(s.here, 0, "back", "f")
	s.holds(s.over, 0, "f", "steps")
}

// TestADamagedPartIsNotTakenForWhole: it is sent anew after it was found out.
func TestADamagedPartIsNotTakenForWhole(t *testing.T) {
	t.Parallel()
	s := newStage(t).serve()
	b := noise(100)
	local, over := write(t, filepath.Join(s.here, "f"), b), filepath.Join(s.over, "f")
	_, err := s.Push(limited(t), local, over)
	must(t, err)
	r, err := s.Pull(limited(t), over, filepath.Join(s.here, "back"))
	must(t, err)
	must(t, os.Remove(r.Path))
	write(t, piece.PartPath(r.Path, r.Size, r.SHA256), make([]byte, 50))
	if _, err := s.Pull(limited(t), over, r.Path); !errors.Is(err, transfer.ErrCorrupt) {
		t.Errorf("pull: %v", err)
	}
	_, err = s.Pull(limited(t), over, r.Path)
	must(t, err)
	s.same(r.Path, b)
	must(t, os.Remove(over))
	write(t, piece.PartPath(over, r.Size, r.SHA256), make([]byte, 50))
	if _, err := s.Push(limited(t), local, over); !errors.Is(err, syscall.EBADMSG) {
		t.Errorf("push: %v", err)
	}
	_, err = s.Push(limited(t), local, over)
	must(t, err)
	s.same(over, b)
}

// TestADom0ThatTakesLess: of input, of output, of requests in a minute.
func TestADom0ThatTakesLess(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	var asked atomic.Int64
	s.dom0.Refuse = func(r *queue.Request) *queue.Denial {
		switch {
		case asked.Add(1)%3 == 0:
			return &queue.Denial{Reason: queue.Rate, Detail: "2 requests a minute"}
		case r.Stdin.Size > 70<<10:
			return &queue.Denial{Reason: queue.Limit, Detail: "input", Authentic: true}
		}
		return nil
	}
	s.serve()
	b := noise(300_000)
	over := filepath.Join(s.over, "f")
	_, err := s.Push(limited(t), write(t, filepath.Join(s.here, "f"), b), over)
	must(t, err)
	s.same(over, b)
	s.between(`set -o pipefail; $real "$@" | { head -c 100000; [ "$(head -c 1 | wc -c)" = 0 ] || { cat >/dev/null; printf '\n[truncated at 100000 bytes]\n'; }; }; exit $?`)
	back := filepath.Join(s.here, "back")
	_, err = s.Pull(limited(t), over, back)
	must(t, err)
	s.same(back, b)
	if s.phases()[transfer.Waiting] == 0 {
		t.Error("it never said that it waits")
	}
	s.holds(s.here, 0, "back", "f")
}

// TestGivenUpButNotTakenBack: dom0 does not confirm the cancel.
func TestGivenUpButNotTakenBack(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.c.Waits.Cancel = time.Millisecond
	local := write(t, filepath.Join(s.here, "f"), []byte("x"))
	ctx, stop := context.WithCancel(limited(t))
	defer stop()
	ended := make(chan error, 1)
	go func() {
		_, err := s.Push(ctx, local, s.over+"/f")
		ended <- err
	}()
	for waits := false; !waits && ctx.Err() == nil; time.Sleep(time.Millisecond) {
		list, _, _ := s.c.Queued(ctx, 10)
		waits = len(list) == 1 && list[0].Stage == client.StagePending
	}
	stop()
	err := <-ended
	if !errors.Is(err, context.Canceled) || !errors.Is(err, transfer.ErrUnderWay) {
		t.Errorf("%v", err)
	}
}

func TestADenialEndsIt(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.dom0.Refuse = func(*queue.Request) *queue.Denial { return &queue.Denial{Reason: queue.NoRule, Authentic: true} }
	s.serve()
	_, err := s.Push(limited(t), write(t, filepath.Join(s.here, "f"), []byte("x")), s.over+"/f")
	var end *transfer.EndError
	if !errors.As(err, &end) || end.Outcome.Exit != queue.ExitDenied || !strings.Contains(err.Error(), "denied(no-rule)") {
		t.Errorf("%v", err)
	}
	s.holds(s.over, 0)
}

func TestApprovalIsTold(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.dom0.Approve = make(chan struct{})
	var once atomic.Bool
	tell := s.Progress
	s.Progress = func(p transfer.Progress) {
		tell(p)
		if p.Phase == transfer.Approval && !once.Swap(true) {
			close(s.dom0.Approve)
		}
	}
	s.serve()
	_, err := s.Push(limited(t), write(t, filepath.Join(s.here, "f"), []byte("x")), s.over+"/f")
	must(t, err)
	if s.phases()[transfer.Approval] == 0 {
		t.Error("not told")
	}
}
