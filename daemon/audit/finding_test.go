package audit

import "testing"

// TestSeverities: what is normal or mended is no fault, what a claim may be
// lost by is told apart, and an unknown kind counts as bad.
func TestSeverities(t *testing.T) {
	t.Parallel()
	for kind, want := range map[FindingKind]struct {
		severity Severity
		loses    bool
	}{
		New: {Info, true}, TornTail: {Info, false}, TreeGone: {Info, false},
		Short: {Error, true}, Damaged: {Error, true}, NoHead: {Error, true}, ChangedKey: {Error, true},
		Broken: {Error, false}, Failing: {Error, false}, NoReserve: {Error, false}, Young: {Error, false},
		Unsigned: {Warning, false}, NoRotation: {Warning, false}, Unsettled: {Warning, false},
		"of another version": {Error, false},
	} {
		if s, loses := kind.Severity(), kind.LosesClaims(); s != want.severity || loses != want.loses {
			t.Errorf("%s: %s, loses claims %v", kind, s, loses)
		}
	}
}
