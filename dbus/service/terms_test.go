package service

import (
	"testing"

	godbus "github.com/godbus/dbus/v5"

	"qvmremote/daemon/admin"
)

// TestNobodyIsAllowedEverythingByDefault: the desktop authorises without saying.
func TestNobodyIsAllowedEverythingByDefault(t *testing.T) {
	t.Parallel()
	var o authorization
	if terms, err := o.read(nil, nil); err != nil || terms.Rules != admin.RulesAsk {
		t.Errorf("without a policy: %q, %v", terms.Rules, err)
	}
}

// TestAnExplicitZeroIsNoLimit: it must not pass for one without an end.
func TestAnExplicitZeroIsNoLimit(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"for", "count"} {
		var o authorization
		if terms, err := o.read(map[string]godbus.Variant{name: godbus.MakeVariant(uint64(0))}, nil); err == nil {
			t.Errorf("%s 0: %+v", name, terms)
		}
	}
}
