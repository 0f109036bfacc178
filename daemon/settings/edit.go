package settings

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"qvmremote/daemon/disk"
	"qvmremote/queue"
)

// AddVM adds a qube to the file's QVM_REMOTE_VMS and keeps all else as it is;
// a missing file is made from [Template]. It reports whether the file changed,
// and warns when it does not count because something overrides it.
//
// Hold the lock of the keys: two who edit at once would undo one another.
func (src Source) AddVM(vm string) (changed bool, warnings []Warning, err error) {
	if !queue.ValidQube(vm) {
		return false, nil, fmt.Errorf("%s is not a qube's name", queue.Quote(vm, 40))
	}
	return src.edit(func(vms []string) []string {
		if slices.Contains(vms, vm) {
			return vms
		}
		return append(vms, vm)
	})
}

// RemoveVM takes a qube out of the file; see [Source.AddVM].
func (src Source) RemoveVM(vm string) (changed bool, warnings []Warning, err error) {
	return src.edit(func(vms []string) []string {
		return slices.DeleteFunc(vms, func(s string) bool { return s == vm })
	})
}

func (src Source) edit(change func([]string) []string) (bool, []Warning, error) {
	text, _, err := src.read()
	if err != nil {
		return false, nil, err
	}
	old, err := fileVMs(src.Path, text)
	if err != nil {
		return false, nil, fmt.Errorf("mend the file first: %w", err)
	}
	vms := change(slices.Clone(old))
	if slices.Equal(vms, old) {
		return false, src.overrides(), nil
	}
	if text == "" {
		text = Template()
	}
	text, err = rewrite(src.Path, text, vms)
	if err != nil {
		return false, nil, err
	}
	if err := os.MkdirAll(filepath.Dir(src.Path), 0o755); err != nil {
		return false, nil, fmt.Errorf("cannot write the settings: %w", err)
	}
	if err := disk.Replace("settings.edit", src.Path, []byte(text), 0o600); err != nil {
		return false, nil, err
	}
	return true, src.overrides(), nil
}

// overrides says what keeps the file's list of qubes from counting.
func (src Source) overrides() []Warning {
	var warnings []Warning
	env, _ := src.environment()
	if a, _, ok := pick(vmsSetting(), env); ok {
		warnings = append(warnings, Warning{a.where, fmt.Sprintf("%s is set there and overrides %s", a.name, src.Path)})
	}
	if len(src.VMs) > 0 {
		warnings = append(warnings, Warning{"--vm", "overrides " + src.Path})
	}
	return warnings
}

func vmsSetting() Setting { return Table()[0] }

// fileVMs returns the qubes that the file's text names.
func fileVMs(path, text string) ([]string, error) {
	set, err := parse(path, text)
	if err != nil {
		return nil, err
	}
	a, _, _ := pick(vmsSetting(), set)
	var s Settings
	if err := setVMs(&s, a.value); err != nil {
		return nil, fmt.Errorf("%s: %s: %w", a.where, a.name, err)
	}
	return s.VMs, nil
}

// rewrite returns text with vms in QVM_REMOTE_VMS. Lines with older names of
// it become comments, or the next of them would begin to count when the list
// gets empty.
func rewrite(path, text string, vms []string) (string, error) {
	set, err := parse(path, text)
	if err != nil {
		return "", err
	}
	d := vmsSetting()
	lines := strings.Split(text, "\n")
	target := slices.IndexFunc(set, func(a assignment) bool { return a.name == d.Name })
	if target < 0 {
		target = slices.IndexFunc(set, func(a assignment) bool { return slices.Contains(d.Older, a.name) })
	}
	for i, a := range set {
		if i == target {
			lines[a.line] = a.with(d.Name, vms) + lineEnd(lines[a.line])
		} else if slices.Contains(d.Older, a.name) {
			lines[a.line] = "# now in " + d.Name + ": " + lines[a.line]
		}
	}
	if target < 0 {
		lines = insert(lines, assignment{}.with(d.Name, vms))
	}
	text = strings.Join(lines, "\n")
	if back, err := fileVMs(path, text); err != nil || !slices.Equal(back, vms) {
		return "", errors.Join(fmt.Errorf("cannot edit %s: edit %s by hand", path, d.Name), err)
	}
	if len(text) > maxFile {
		return "", fmt.Errorf("%s would be longer than %d bytes", path, maxFile)
	}
	return text, nil
}

// insert puts line where the template has its place, else at the end.
func insert(lines []string, line string) []string {
	if i := slices.Index(lines, "#"+vmsSetting().Name+"="); i >= 0 {
		lines[i] = line
		return lines
	}
	if last := len(lines) - 1; lines[last] == "" {
		return append(lines[:last], line, "")
	}
	return append(lines, line, "")
}

// with is the assignment's line with another name and other qubes.
func (a assignment) with(name string, vms []string) string {
	line := name + "=" + strings.Join(vms, " ")
	if len(vms) > 1 {
		line = name + `="` + strings.Join(vms, " ") + `"`
	}
	if a.exported {
		line = "export " + line
	}
	if a.comment != "" {
		line += " " + a.comment
	}
	return line
}

func lineEnd(line string) string {
	if strings.HasSuffix(line, "\r") {
		return "\r"
	}
	return ""
}
