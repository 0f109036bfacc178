package settings

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func content(t *testing.T, src Source) string {
	t.Helper()
	b, err := os.ReadFile(src.Path)
	must(t, err)
	return string(b)
}

func TestAFileIsMadeFromTheTemplate(t *testing.T) {
	t.Parallel()
	src := Source{Path: filepath.Join(t.TempDir(), "etc/qubes/remote.conf")}
	if changed, _, err := src.RemoveVM("work"); changed || err != nil {
		t.Errorf("nothing to remove: %v, %v", changed, err)
	}
	for i, vm := range []string{"work", "anon", "work"} {
		changed, warnings, err := src.AddVM(vm)
		if err != nil || len(warnings) > 0 || changed != (i < 2) {
			t.Fatalf("%s: %v, %v, %v", vm, changed, warnings, err)
		}
	}
	want := strings.Replace(Template(), "\n#QVM_REMOTE_VMS=\n", "\nQVM_REMOTE_VMS=\"work anon\"\n", 1)
	if got := content(t, src); got != want {
		t.Errorf("got\n%s", got)
	}
	info, err := os.Stat(src.Path)
	must(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %o", info.Mode().Perm())
	}
}

func TestEditingKeepsAllElse(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ before, add, remove, after string }{
		{"# mine\nexport QVM_REMOTE_VMS='a b' # both\n\nX=1", "c", "", "# mine\nexport QVM_REMOTE_VMS=\"a b c\" # both\n\nX=1"},
		{"QVM_REMOTE_VMS=a b\r\nX=1\r\n", "", "a", "QVM_REMOTE_VMS=b\r\nX=1\r\n"},
		{"QVM_REMOTE_VMS=a # c\r\n", "b", "", "QVM_REMOTE_VMS=\"a b\" # c\r\n"},
		{"QVM_REMOTE_VMS=a # only\n", "", "a", "QVM_REMOTE_VMS= # only\n"},
		{"X=1", "a", "", "X=1\nQVM_REMOTE_VMS=a\n"},
		{"X=1\n", "a", "", "X=1\nQVM_REMOTE_VMS=a\n"},
		{"X=1\n#QVM_REMOTE_VMS=\nY=2\n", "a", "", "X=1\nQVM_REMOTE_VMS=a\nY=2\n"},
		{"QUBES_REMOTE_VMS=\"a\"\n", "b", "", "QVM_REMOTE_VMS=\"a b\"\n"},
		{"QVM_REMOTE_VMS=a\nQVM_REMOTE_VM=b\n", "", "a", "QVM_REMOTE_VMS=\n# now in QVM_REMOTE_VMS: QVM_REMOTE_VM=b\n"},
		{"QVM_REMOTE_VMS=a\n", "a", "", "QVM_REMOTE_VMS=a\n"},
	} {
		src := file(t, c.before)
		var changed bool
		var err error
		if c.add != "" {
			changed, _, err = src.AddVM(c.add)
		} else {
			changed, _, err = src.RemoveVM(c.remove)
		}
		if got := content(t, src); err != nil || got != c.after || changed != (c.before != c.after) {
			t.Errorf("%q became %q (%v, %v), want %q", c.before, got, changed, err, c.after)
		}
	}
}

func TestABrokenFileIsNotEdited(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"QVM_REMOTE_VMS=\"a\nb\"\n", "QVM_REMOTE_VMS=#\n", "what is this\n"} {
		src := file(t, text)
		if _, _, err := src.AddVM("work"); err == nil || !strings.Contains(err.Error(), "remote.conf:1") {
			t.Errorf("%q: %v", text, err)
		}
		if content(t, src) != text {
			t.Errorf("%q was changed", text)
		}
	}
	src := file(t, "X=1\n")
	if _, _, err := src.AddVM("a\nQVM_REMOTE_LEGACY=1"); err == nil || content(t, src) != "X=1\n" {
		t.Errorf("a name with a newline: %v", err)
	}
	must(t, os.Chmod(src.Path, 0o666))
	if _, _, err := src.AddVM("work"); err == nil {
		t.Error("a file that others can write was edited")
	}
}

func TestAnEditThatDoesNotCountIsReported(t *testing.T) {
	t.Parallel()
	src := file(t, "QVM_REMOTE_VMS=a\n")
	src.Environ, src.VMs = []string{"QUBES_REMOTE_VMS=z"}, []string{"y"}
	changed, warnings, err := src.AddVM("b")
	if !changed || err != nil || len(warnings) != 2 || warnings[0].Where != "environment" || warnings[1].Where != "--vm" {
		t.Errorf("%v, %v, %v", changed, warnings, err)
	}
}

func FuzzEdit(f *testing.F) {
	f.Add("# c\nexport QVM_REMOTE_VMS='a b' # x\nQVM_REMOTE_VM=c\r\nX=\"1\"\n", "work")
	f.Add("QUBES_REMOTE_VM=b\"\n", "#")
	f.Add(Template(), "a")
	f.Fuzz(func(t *testing.T, text, vm string) {
		before, err := fileVMs("f", text)
		if err != nil {
			return
		}
		for _, name := range before {
			if strings.ContainsAny(name, "#\"'$ \n/") {
				t.Fatalf("%q names the qube %q", text, name)
			}
		}
		vms := append(slices.Clone(before), vm)
		after, err := rewrite("f", text, vms)
		if err != nil {
			return // a name that is none, or one that is there already
		}
		if got, err := fileVMs("f", after); err != nil || !slices.Equal(got, vms) {
			t.Fatalf("%q became %q: %q, %v", text, after, got, err)
		}
		d := vmsSetting()
		for _, line := range strings.Split(text, "\n") {
			a, set, _ := parseLine(line)
			ours := set && (a.name == d.Name || slices.Contains(d.Older, a.name)) || line == "#"+d.Name+"="
			if !ours && !strings.Contains("\n"+after+"\n", "\n"+line+"\n") {
				t.Fatalf("%q lost the line %q: %q", text, line, after)
			}
		}
	})
}
