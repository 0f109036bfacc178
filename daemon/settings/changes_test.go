package settings

import (
	"reflect"
	"slices"
	"testing"
)

func TestChanges(t *testing.T) {
	old, now := Default(), Default()
	if got := Changes(old, now); len(got) != 0 {
		t.Errorf("nothing changed: %q", got)
	}
	old.VMs, now.VMs, now.VMUser, now.MaxStdin, now.Concurrent = []string{"work"}, nil, "me", 1000, 4
	want := []string{"QVM_REMOTE_VMS: work -> nothing", "QVM_REMOTE_VM_USER: user -> me", "QVM_REMOTE_MAX_STDIN: 64M -> 1000", "QVM_REMOTE_CONCURRENT: 8 -> 4"}
	if got := Changes(old, now); !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

// TestAValueIsShownAsItIsRead: what [Setting.In] says, written to the file, is
// the same settings again.
func TestAValueIsShownAsItIsRead(t *testing.T) {
	t.Parallel()
	s := Default()
	s.VMs, s.VMUser, s.MaxOutput, s.SpoolFree, s.StopWait, s.Excerpt = []string{"work", "anon"}, "me", 3000, 3<<30, 0, 7
	text := ""
	for _, d := range Table() {
		if d.Default != d.In(Default()) {
			t.Errorf("%s is %q by default, and shown as %q", d.Name, d.Default, d.In(Default()))
		}
		text += d.Name + "='" + d.In(s) + "'\n"
	}
	if again, _, err := file(t, text).Load(); err != nil || !reflect.DeepEqual(again, s) {
		t.Errorf("%+v, %v", again, err)
	}
}

func TestWhatWaitsForAStartIsNotInForce(t *testing.T) {
	t.Parallel()
	started, now := Default(), Default()
	started.SpoolFree, now.Concurrent, now.PidsMax, now.VMs = 5, 9, 7, []string{"work"}
	want := Default()
	want.SpoolFree, want.Concurrent, want.VMs = 5, 9, []string{"work"}
	if got := InForce(started, now); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
}
