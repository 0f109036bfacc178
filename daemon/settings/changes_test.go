package settings

import (
	"slices"
	"testing"
)

func TestChanges(t *testing.T) {
	old, now := Default(), Default()
	if got := Changes(old, now); len(got) != 0 {
		t.Errorf("nothing changed: %q", got)
	}
	old.VMs, now.VMs, now.VMUser, now.Concurrent = []string{"work"}, nil, "me", 4
	want := []string{"QVM_REMOTE_VMS: work -> nothing", "QVM_REMOTE_VM_USER: user -> me", "QVM_REMOTE_CONCURRENT: 8 -> 4"}
	if got := Changes(old, now); !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}
