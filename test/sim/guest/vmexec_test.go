package guest

import (
	"slices"
	"testing"
)

func TestEncodeExec(t *testing.T) {
	tests := []struct {
		argv []string
		want string
	}{
		{[]string{"ls"}, "ls"},
		{[]string{"ls", "-l", "a b"}, "ls+--l+a-20b"},
		{[]string{"", "+", "é\n"}, "+-2B+-C3-A9-0A"},
		{[]string{"/usr/bin/x_y.z"}, "-2Fusr-2Fbin-2Fx_y.z"},
	}
	for _, tt := range tests {
		if got := EncodeExec(tt.argv); got != tt.want {
			t.Errorf("EncodeExec(%q) = %q, want %q", tt.argv, got, tt.want)
		}
	}
	for _, bad := range []string{"-", "a-", "a-2", "-2f", "-G0", "a b", "-41", "é"} {
		if argv, err := DecodeExec(bad); err == nil {
			t.Errorf("DecodeExec(%q) = %q, want an error", bad, argv)
		}
	}
}

func FuzzDecodeExec(f *testing.F) {
	for _, s := range []string{"", "ls", "ls+--l+a-20b", "-", "+", "-2f", "--", "---", "-00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		argv, err := DecodeExec(s)
		if err != nil {
			return
		}
		if got := EncodeExec(argv); got != s {
			t.Errorf("%q decodes to %q, which encodes to %q", s, argv, got)
		}
		again, err := DecodeExec(EncodeExec(argv))
		if err != nil || !slices.Equal(again, argv) {
			t.Errorf("%q comes back as %q, %v", argv, again, err)
		}
	})
}
